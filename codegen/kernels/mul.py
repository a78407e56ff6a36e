"""lam_mul: the product of two activations, element by element."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape, structs
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    way = dense_shape.stored(
        node.attributes.requant
    )  # the full range has a loop of its own, scales from one half take longer
    work = {"lam_mul.call": 1, f"lam_mul.{way}": graph.tensors[node.output].bytes}
    yield Choice("lam_mul", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a, b = (graph.tensors[name] for name in node.inputs)
    zeros = {"a_zero": a.quantization.zero, "b_zero": b.quantization.zero}
    return Struct("lam_mul_desc", {"n": a.bytes, **zeros, "q": structs.requant(node.attributes.requant)})


KERNEL = Kernel(
    function="lam_mul",
    operator="mul",
    header="lam_elementwise.h",
    sources=("src/lam_mul.c",),
    options=_options,
    describe=_describe,
)
