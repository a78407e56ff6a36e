"""lam_mul_mve: the product of two activations, for cores with vectors of integers."""

from collections.abc import Iterator
from dataclasses import replace

from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import mul
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    if not (node.attributes.requant.shift != 32).any():
        work = {"lam_mul_mve.call": 1, "lam_mul_mve.four": -(-graph.tensors[node.output].bytes // 4)}
        yield Choice("lam_mul_mve", work=work)


KERNEL: Kernel = replace(
    mul.KERNEL,
    function="lam_mul_mve",
    header="lam_elementwise_mve.h",
    sources=("src/lam_mul_mve.c",),
    options=_options,
    requires=frozenset({"mve"}),
)
