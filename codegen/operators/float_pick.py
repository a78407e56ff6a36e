"""Values at other places: transposition, slices, repetition, padding, gathering with constant indices; float32."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatPick:
    """at: int32 arrays, one for each axis of the result: y[i, j, ..] is the value number at[0][i] + at[1][j] + .. of a sample, or
    `fill` where one of them is below 0."""

    at: tuple[np.ndarray, ...]
    fill: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result, for one sample."""
        return tuple(len(a) for a in self.at)


def picked(n: FloatPick, x: np.ndarray) -> np.ndarray:
    """The values themselves, of samples (N, values): (N, *shape)."""
    place, outside = np.zeros(n.shape, np.int64), np.zeros(n.shape, bool)
    for k, at in enumerate(n.at):
        along = at.reshape([-1 if j == k else 1 for j in range(len(n.at))])
        place, outside = place + along, outside | (along < 0)
    return np.where(outside, np.float32(n.fill), x[:, np.where(outside, 0, place)])


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    import torch

    y = picked(node.attributes, inputs[0].numpy().reshape(len(inputs[0]), -1))
    return torch.from_numpy(y.reshape(len(y), *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random choice of places along random axes."""
    shape = [draw.integer(1, 5) for _ in range(draw.integer(1, 4))]
    steps = [int(np.prod(shape[k + 1 :])) for k in range(len(shape))]
    at = []
    for k in range(len(shape)):
        indices = draw.integers((draw.integer(1, 6),), -1, shape[k] - 1)
        at.append(np.where(indices < 0, -1, indices * steps[k]).astype(np.int32))
    order = draw.integer(0, len(at) - 1)
    n = FloatPick(tuple(at[order:] + at[:order]), draw.choice([0.0, 2.5]))
    return sampling.graph("float_pick", [Tensor("x", (1, *shape), None)], Tensor("y", (1, *n.shape), None), n)


OPERATOR = Operator(
    name="float_pick",
    title="transposition, slices, repetition, padding, gathering, in float32",
    reference=reference,
    sample=sample,
)
