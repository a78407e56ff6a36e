"""lam_prelu: ReLU with a slope for each channel."""

from collections.abc import Iterator

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.prelu import PRelu


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: PRelu = node.attributes
    counts = {"call": 1, "slope": a.slopes.size * a.times, "value": graph.tensors[node.output].bytes}
    yield Choice("lam_prelu", work={f"lam_prelu.{event}": n for event, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    a: PRelu = node.attributes
    return Struct("lam_prelu_desc", {
        "count": a.slopes.size, "inner": a.inner, "times": a.times, "slopes": Array("slopes", "int16_t", a.slopes),
        "in_zero": graph.tensors[node.inputs[0]].quantization.zero,
        "q": structs.requant(a.requant), "below": structs.requant(a.below, "below_"),
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_prelu",
    operator="prelu",
    header="lam_elementwise.h",
    sources=("src/lam_prelu.c",),
    options=_options,
    describe=_describe,
)
