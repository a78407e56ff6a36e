"""lam_rescale: each value at another scale."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    wide = node.attributes.requant.shift[0] != 32  # a scale of one half or more takes the longer way
    work = {"lam_rescale.call": 1, f"lam_rescale.{'wide' if wide else 'value'}": graph.tensors[node.output].bytes}
    yield Choice("lam_rescale", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    x = graph.tensors[node.inputs[0]]
    q = structs.requant(node.attributes.requant)
    return Struct("lam_rescale_desc", {"n": x.bytes, "in_zero": x.quantization.zero, "q": q})


KERNEL = Kernel(
    function="lam_rescale",
    operator="rescale",
    header="lam_elementwise.h",
    sources=("src/lam_rescale.c",),
    options=_options,
    describe=_describe,
)
