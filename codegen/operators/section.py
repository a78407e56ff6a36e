"""A slice that needs no copy: bytes in the middle of another tensor (passes.find_sections)."""

from dataclasses import dataclass
from math import prod

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator

#: Kernels may expect tensors to begin at multiples of so many bytes.
ALIGN = 4


@dataclass(frozen=True)
class Section:
    """Begins `start` bytes behind the beginning of the input."""

    start: int


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    y = graph.tensors[node.output]
    start = node.attributes.start // (y.bytes // prod(y.shape))
    return inputs[0].flatten(1)[:, start : start + prod(y.shape)].reshape(-1, *y.shape[1:])


def sample(draw) -> Graph:
    """A random section."""
    x = draw.tensor("x", (1, draw.integer(5, 40)))
    start = ALIGN * draw.integer(0, (x.bytes - 1) // ALIGN)
    y = Tensor("y", (1, draw.integer(1, x.bytes - start)), x.quantization)
    return sampling.graph("section", [x], y, Section(start))


OPERATOR = Operator(
    name="section",
    title="a slice that lies in one piece: no copy",
    reference=reference,
    sample=sample,
    is_view=True,
    view_offset=lambda node: node.attributes.start,
)
