"""lam_subtract: the difference of two activations where both scales are below one."""

from collections.abc import Iterator
from dataclasses import replace

from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import add
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a, b = node.attributes.multipliers
    if b < 0 and max(a, -b) < 1 << min(node.attributes.shift, 31):
        work = {"lam_subtract.call": 1, "lam_subtract.value": graph.tensors[node.output].bytes}
        yield Choice("lam_subtract", work=work)


KERNEL: Kernel = replace(add.KERNEL, function="lam_subtract", sources=("src/lam_subtract.c",), options=_options)
