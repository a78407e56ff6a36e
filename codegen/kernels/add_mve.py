"""lam_add_mve: the sum or difference of two activations, for cores with vectors of integers."""

from collections.abc import Iterator
from dataclasses import replace

from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import add
from lamella.codegen.kernels.record import Kernel

SMALLEST_SHIFT = 17  # below it the halves of the multipliers would meet


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    if node.attributes.shift >= SMALLEST_SHIFT:
        work = {"lam_add_mve.call": 1, "lam_add_mve.four": -(-graph.tensors[node.output].bytes // 4)}
        yield Choice("lam_add_mve", work=work)


KERNEL: Kernel = replace(
    add.KERNEL,
    function="lam_add_mve",
    header="lam_elementwise_mve.h",
    sources=("src/lam_add_mve.c",),
    options=_options,
    requires=frozenset({"mve"}),
)
