"""From one quantisation to another, activation functions (Relu, Clip) included."""

from dataclasses import dataclass, replace

import numpy as np

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator
from lamella.errors import UnsupportedError


@dataclass(frozen=True)
class Rescale:
    """y = requant(x - zero point of x)."""

    requant: Requant


def attributes(reader, node, x: Tensor, sink) -> Rescale:
    """The rescaling from a tensor to a sink."""
    return Rescale(reader.requant(node, x.quantization.scale, np.ones(1), sink))


def read(reader, node) -> None:
    """ONNX Relu and Clip that stand alone; the others are folded into the operator before them."""
    from lamella.codegen.operators import table  # which is made of this one among others

    if node.input[0] in reader.deferred:
        table.clamped(reader, node, *reader.bounds(node))
        return
    x = reader.activation(node, 0, rows=True)
    try:
        sink = reader.sink(node)
    except UnsupportedError:
        if not table.begins(reader, node):
            raise
        table.clamped(reader, node, *reader.bounds(node))
        return
    low, high = reader.clip_bounds(node, sink.quantization)
    sink = replace(sink, low=max(low, sink.low), high=min(high, sink.high))
    reader.add("rescale", node, [x], x.shape, sink.quantization, attributes(reader, node, x, sink))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    acc = inputs[0].to(torch.int64) - graph.tensors[node.inputs[0]].quantization.zero
    return exact.requantize(acc, node.attributes.requant)


def sample(draw) -> Graph:
    """A random rescaling."""
    x = draw.tensor("x", (1, draw.integer(1, 60)))
    quantization = draw.quantization(x.quantization.scale)
    requant = draw.requant(x.quantization.scale, np.ones(1), quantization)
    return sampling.graph("rescale", [x], Tensor("y", x.shape, quantization), Rescale(requant))


OPERATOR = Operator(
    name="rescale",
    title="change of scale; ReLU and clip that stand alone",
    onnx=("Relu", "Clip"),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
)
