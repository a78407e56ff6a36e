"""lam_table_mve: a function of each value, looked up, for cores with vectors of integers."""

from collections.abc import Iterator
from dataclasses import replace

from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import table
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    sixteens = -(-graph.tensors[node.output].bytes // 16)
    yield Choice("lam_table_mve", work={"lam_table_mve.call": 1, "lam_table_mve.sixteen": sixteens})


KERNEL: Kernel = replace(
    table.KERNEL,
    function="lam_table_mve",
    header="lam_elementwise_mve.h",
    sources=("src/lam_table_mve.c",),
    options=_options,
    requires=frozenset({"mve"}),
)
