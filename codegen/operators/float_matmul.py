"""Products of matrices, in float32."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatMatmul:
    """shapes: of both operands for one sample, (.., rows, inner) and (.., inner, cols) with axes of batches that spread; where
    swapped, the last two axes lie the other way round in memory. a, b: the operand that is constant, at most one."""

    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    swapped: tuple[bool, bool] = (False, False)
    a: np.ndarray | None = None
    b: np.ndarray | None = None

    @property
    def batch(self) -> tuple[int, ...]:
        """Axes of batches of the result."""
        return tuple(np.broadcast_shapes(*(s[:-2] for s in self.shapes)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result, for one sample."""
        return (*self.batch, self.shapes[0][-2], self.shapes[1][-1])

    def starts(self, which: int) -> np.ndarray:
        """uint32: where each matrix of an operand begins, for each of the result."""
        shape = self.shapes[which]
        count = prod(shape[:-2])
        numbers = np.arange(count).reshape(shape[:-2]) * (shape[-2] * shape[-1])
        return np.broadcast_to(numbers, self.batch).reshape(-1).astype(np.uint32)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C: one product after the other."""
    import torch

    n: FloatMatmul = node.attributes
    waiting, samples = iter(inputs), len(inputs[0])
    operands = []
    for value, shape, swapped in zip((n.a, n.b), n.shapes, n.swapped, strict=True):
        lies = (*shape[:-2], shape[-1], shape[-2]) if swapped else shape
        x = value.reshape(1, *lies) if value is not None else next(waiting).numpy().reshape(samples, *lies)
        x = x.swapaxes(-1, -2) if swapped else x
        operands.append(x.reshape(len(x), *(1,) * (len(n.shape) - len(shape)), *shape))
    a, b = operands
    total = np.zeros((samples, *n.shape), np.float32)
    with np.errstate(all="ignore"):
        for k in range(n.shapes[0][-1]):
            total = total + a[..., :, k : k + 1] * b[..., k : k + 1, :]
    return torch.from_numpy(total.reshape(samples, *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random product."""
    rows, inner, cols = (draw.integer(1, 6) for _ in range(3))
    batch = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 2)))
    shapes = [
        (*(d if draw.choice([True, False]) else 1 for d in batch), *ends) for ends in ((rows, inner), (inner, cols))
    ]
    constant = draw.choice([None, 0, 1])
    values = [draw.floats(s) if k == constant else None for k, s in enumerate(shapes)]
    swapped = (draw.choice([True, False]), draw.choice([True, False]))
    n = FloatMatmul(tuple(shapes), swapped, *values)
    inputs = [Tensor(f"x{k}", (1, *s), None) for k, s in enumerate(shapes) if k != constant]
    return sampling.graph("float_matmul", inputs, Tensor("y", (1, *n.shape), None), n)


OPERATOR = Operator(
    name="float_matmul",
    title="products of matrices, in float32",
    reference=reference,
    sample=sample,
    macs=lambda graph, node: prod(node.attributes.shape) * node.attributes.shapes[0][-1],
)
