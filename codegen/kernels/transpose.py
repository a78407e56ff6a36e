"""lam_transpose: two groups of axes change places."""

from collections.abc import Iterator
from dataclasses import asdict

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a = node.attributes
    columns, pieces = a.outer * a.cols, a.outer * a.cols * a.rows
    if a.inner == 1:
        counts = {"call": 1, "column": columns, "value": pieces}
    else:
        counts = {"call": 1, "column": columns, "piece": pieces, "byte": pieces * a.inner}
    yield Choice("lam_transpose", work={f"lam_transpose.{name}": n for name, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    return Struct("lam_transpose_desc", asdict(node.attributes))


KERNEL = Kernel(
    function="lam_transpose",
    operator="transpose",
    header="lam_move.h",
    sources=("src/lam_transpose.c",),
    options=_options,
    describe=_describe,
)
