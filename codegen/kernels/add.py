"""lam_add: the sum or difference of two activations."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.add import Add


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    at: Add = node.attributes
    below_one = 0 <= min(at.multipliers) and max(at.multipliers) < 1 << min(
        at.shift, 31
    )  # has a faster loop on cores that multiply to 64 bits
    pixel = "value" if below_one else "large_value"
    work = {"lam_add.call": 1, f"lam_add.{pixel}": graph.tensors[node.output].bytes}
    yield Choice("lam_add", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    at: Add = node.attributes
    a, b = (graph.tensors[name] for name in node.inputs)
    return Struct("lam_add_desc", {
        "n": a.bytes, "a_multiplier": at.multipliers[0], "b_multiplier": at.multipliers[1], "shift": at.shift,
        "a_zero": a.quantization.zero, "b_zero": b.quantization.zero, "zero": at.zero, "low": at.low, "high": at.high,
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_add",
    operator="add",
    header="lam_elementwise.h",
    sources=("src/lam_add.c",),
    options=_options,
    describe=_describe,
)
