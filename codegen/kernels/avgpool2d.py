"""lam_avgpool2d: the mean of every window."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import pooling, structs
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.avgpool2d import AvgPool2d


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    yield Choice("lam_avgpool2d", work=pooling.work("lam_avgpool2d", graph, node))


def _describe(graph: Graph, node: Node) -> Struct:
    a: AvgPool2d = node.attributes
    return Struct(
        "lam_avgpool2d_desc",
        {
            "window": pooling.window(graph, node),
            "in_zero": graph.tensors[node.inputs[0]].quantization.zero,
            "by_count": int(a.by_count),
            "q": structs.requant(a.requant),
        },
    )


KERNEL = Kernel(
    function="lam_avgpool2d",
    operator="avgpool2d",
    header="lam_pool.h",
    sources=("src/lam_avgpool2d.c",),
    options=_options,
    describe=_describe,
)
