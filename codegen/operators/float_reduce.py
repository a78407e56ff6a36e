"""Sums, products, largest and least values over some axes, in float32."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen import float_math
from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatReduce:
    """function: a key of float_math.BINARY, of what was found so far and the next value. shape: of one sample; axes: those that go.
    start: None where the first value is it. divisor: of the result."""

    function: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    start: float | None
    divisor: float = 1.0


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C: one value after the other."""
    import torch

    n: FloatReduce = node.attributes
    x = inputs[0].numpy().reshape(-1, *n.shape)
    kept = [k for k in range(len(n.shape)) if k not in n.axes]
    moved = x.transpose(0, *(k + 1 for k in kept), *(k + 1 for k in n.axes))
    values = moved.reshape(*moved.shape[: 1 + len(kept)], prod(n.shape[k] for k in n.axes))
    found = values[..., 0] if n.start is None else np.full(values.shape[:-1], np.float32(n.start))
    for k in range(n.start is None, values.shape[-1]):
        found = float_math.binary(n.function, found, values[..., k])
    y = float_math.binary("div", found, np.float32(n.divisor))
    return torch.from_numpy(y.reshape(len(x), *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random reduction."""
    shape = tuple(draw.integer(1, 5) for _ in range(draw.integer(1, 4)))
    axes = tuple(k for k in range(len(shape)) if draw.choice([True, False]))
    function, start = draw.choice([("add", 0.0), ("max", None), ("min", None), ("mul", 1.0), ("add_square", 0.0)])
    x = Tensor("x", (1, *shape), None)
    y = Tensor("y", (1, *(d for k, d in enumerate(shape) if k not in axes)), None)
    return sampling.graph(
        "float_reduce", [x], y, FloatReduce(function, shape, axes, start, draw.choice([1.0, 3.0, 7.0]))
    )


OPERATOR = Operator(
    name="float_reduce",
    title="sum, mean, product, largest or least value over some axes, in float32",
    reference=reference,
    sample=sample,
    details=lambda graph, node: f"{node.attributes.function} over {', '.join(map(str, node.attributes.axes))}",
)
