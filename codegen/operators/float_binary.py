"""A function of two values, spread over each other's axes, in float32."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen import float_math
from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatBinary:
    """function: a key of float_math.BINARY. shapes: of both operands, with as many axes as the result (`shape`) for one sample.
    a, b: the operand that is constant, at most one."""

    function: str
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    a: np.ndarray | None = None
    b: np.ndarray | None = None


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C."""
    import torch

    n: FloatBinary = node.attributes
    waiting = iter(inputs)
    samples = len(inputs[0])
    a, b = (
        value.reshape(1, *shape) if value is not None else next(waiting).numpy().reshape(samples, *shape)
        for value, shape in zip((n.a, n.b), n.shapes, strict=True)
    )
    y = float_math.binary(n.function, a, b)
    return torch.from_numpy(y.reshape(samples, *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """Two random operands, one of them a constant now and then."""
    function = draw.choice(sorted(float_math.BINARY))
    shape = tuple(draw.integer(1, 5) for _ in range(draw.integer(1, 4)))
    kept = [tuple(d if draw.choice([True, True, False]) else 1 for d in shape) for _ in range(2)]
    shape = tuple(max(pair) for pair in zip(*kept, strict=True))
    constant = draw.choice([None, 0, 1])
    values = [draw.floats(s) if k == constant else None for k, s in enumerate(kept)]
    inputs = [Tensor(f"x{k}", (1, *s), None) for k, s in enumerate(kept) if k != constant]
    attributes = FloatBinary(function, shape, tuple(kept), *values)
    return sampling.graph("float_binary", inputs, Tensor("y", (1, *shape), None), attributes)


OPERATOR = Operator(
    name="float_binary",
    title="a function of two values, spread over each other's axes, in float32",
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: node.attributes.function,
)
