"""A function of every value, in float32."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen import float_math
from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatUnary:
    """function: a key of float_math.UNARY, with its parameters."""

    function: str
    a: float = 0.0
    b: float = 0.0


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C."""
    import torch

    n: FloatUnary = node.attributes
    return torch.from_numpy(float_math.unary(n.function, inputs[0].numpy(), n.a, n.b))


def sample(draw) -> Graph:
    """A random function of a random tensor."""
    function = draw.choice(sorted(float_math.UNARY))
    a, b = draw.choice([0.1, 0.5, 1.0]), draw.choice([0.2, 1.0])
    x = Tensor("x", (1, draw.integer(1, 70)), None)
    attributes = FloatUnary(function, float(np.float32(a)), float(np.float32(b)))
    return sampling.graph("float_unary", [x], Tensor("y", x.shape, None), attributes)


OPERATOR = Operator(
    name="float_unary",
    title="a function of every value, in float32",
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: node.attributes.function,
)
