"""lam_expand: pieces of the input written several times."""

from collections.abc import Iterator
from dataclasses import asdict

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a = node.attributes
    rows = a.outer * a.times
    places = rows * a.middle
    counts = {"call": 1, "row": rows}
    if a.inner == 1:
        counts |= {"place": places, "filled": places * a.copies}
    else:
        counts |= {"piece": places * a.copies, "copied": places * a.copies * a.inner}
    yield Choice("lam_expand", work={f"lam_expand.{name}": n for name, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    return Struct("lam_expand_desc", asdict(node.attributes))


KERNEL = Kernel(
    function="lam_expand",
    operator="expand",
    header="lam_move.h",
    sources=("src/lam_expand.c",),
    options=_options,
    describe=_describe,
)
