"""lam_maxpool2d: the maximum of every window."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import pooling
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    yield Choice("lam_maxpool2d", work=pooling.work("lam_maxpool2d", graph, node))


def _describe(graph: Graph, node: Node) -> Struct:
    return Struct("lam_maxpool2d_desc", {"window": pooling.window(graph, node)})


KERNEL = Kernel(
    function="lam_maxpool2d",
    operator="maxpool2d",
    header="lam_pool.h",
    sources=("src/lam_maxpool2d.c",),
    options=_options,
    describe=_describe,
)
