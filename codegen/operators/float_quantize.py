"""uint8 from float32, where a quantised layer follows one that is not."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatQuantize:
    """The output's quantisation says it all."""


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Half to even, as QuantizeLinear rounds; NaN becomes 0."""
    import torch

    q = graph.tensors[node.output].quantization
    with np.errstate(all="ignore"):
        level = np.rint(inputs[0].numpy() / np.float32(q.scale)) + np.float32(q.zero)
    y = np.nan_to_num(level, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(y.reshape(len(y), *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random quantisation."""
    x = Tensor("x", (1, draw.integer(1, 70)), None)
    return sampling.graph("float_quantize", [x], draw.tensor("y", x.shape), FloatQuantize())


OPERATOR = Operator(
    name="float_quantize",
    title="uint8 from float32",
    reference=reference,
    sample=sample,
)
