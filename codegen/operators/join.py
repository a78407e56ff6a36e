"""A concatenation that needs no copy: its inputs lie in the result from the start (lamella.codegen.join)."""

from dataclasses import dataclass

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Join:
    """All axes before this one have length 1, so that the parts lie one behind the other."""

    axis: int


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    import torch

    return torch.cat(list(inputs), dim=node.attributes.axis)


def sample(draw) -> Graph:
    """A random join of two or three tensors."""
    shape = (draw.integer(1, 4), draw.integer(1, 4))
    parts = [draw.tensor("x0", (1, 4 * draw.integer(1, 3), *shape))]
    for k in range(1, draw.integer(2, 3)):
        parts.append(Tensor(f"x{k}", (1, 4 * draw.integer(1, 3), *shape), parts[0].quantization))
    y = Tensor("y", (1, sum(p.shape[1] for p in parts), *shape), parts[0].quantization)
    return sampling.graph("join", parts, y, Join(1))


OPERATOR = Operator(
    name="join",
    title="a concatenation whose parts are written where they belong: no copy",
    reference=reference,
    sample=sample,
    is_view=True,
    holds_inputs=True,
)
