"""float32 from uint8, where a layer that is not quantised follows one that is."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class FloatDequantize:
    """The input's quantisation says it all."""


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """As DequantizeLinear computes."""
    import torch

    q = graph.tensors[node.inputs[0]].quantization
    y = (inputs[0].numpy().astype(np.int32) - q.zero).astype(np.float32) * np.float32(q.scale)
    return torch.from_numpy(y.reshape(len(y), *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random tensor."""
    x = draw.tensor("x", (1, draw.integer(1, 70)))
    return sampling.graph("float_dequantize", [x], Tensor("y", x.shape, None), FloatDequantize())


OPERATOR = Operator(
    name="float_dequantize",
    title="float32 from uint8",
    reference=reference,
    sample=sample,
)
