"""lam_slice: runs of bytes out of a tensor."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.slice import runs


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    outer, _, _, size = runs(graph, node)
    yield Choice("lam_slice", work={"lam_slice.call": 1, "lam_slice.run": outer, "lam_slice.byte": outer * size})


def _describe(graph: Graph, node: Node) -> Struct:
    outer, pitch, start, size = runs(graph, node)
    return Struct("lam_slice_desc", {"runs": outer, "pitch": pitch, "start": start, "bytes": size})


KERNEL = Kernel(
    function="lam_slice",
    operator="slice",
    header="lam_move.h",
    sources=("src/lam_slice.c",),
    options=_options,
    describe=_describe,
)
