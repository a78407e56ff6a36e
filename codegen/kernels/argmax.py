"""lam_argmax: the place of the largest or smallest value."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators import argmax


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    outer, n, inner = argmax.sizes(graph, node)
    counts = {"call": 1, "block": outer, "column": outer * inner, "value": outer * inner * n}
    yield Choice("lam_argmax", work={f"lam_argmax.{name}": count for name, count in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    outer, n, inner = argmax.sizes(graph, node)
    a = node.attributes
    fields = {"outer": outer, "n": n, "inner": inner, "smallest": int(a.smallest), "last": int(a.last)}
    return Struct("lam_argmax_desc", fields)


KERNEL = Kernel(
    function="lam_argmax",
    operator="argmax",
    header="lam_matrix.h",
    sources=("src/lam_argmax.c",),
    options=_options,
    describe=_describe,
)
