"""Softmax over the last axis, by a table of exponentials."""

from dataclasses import dataclass
from math import floor

import numpy as np

from lamella.codegen.ir import Graph, Node, Quantization, Tensor
from lamella.codegen.operators import sampling, transpose
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Softmax:
    """exp uint32 (256,): round(2^23 * e^(-k * scale of x)); multiplier: 1 / scale of y, rounded."""

    exp: np.ndarray
    multiplier: int


def table(x_scale: float) -> np.ndarray:
    """Exponentials of the distances from the largest input."""
    return np.floor(np.exp(-np.arange(256) * float(x_scale)) * 2.0**23 + 0.5).astype(np.uint32)


def read(reader, node) -> None:
    """ONNX Softmax along any axis but the batch."""
    x = reader.activation(node, 0)
    old = reader.opset() < 13  # then all axes from `axis` on were one
    axis = reader.attributes(node, axis=1 if old else -1)["axis"]
    axis %= len(x.shape)
    if old and axis != 0 and axis != len(x.shape) - 1:
        raise reader.unsupported(
            node, f"axis {axis} of {len(x.shape)} as before opset 13; convert to opset 13 or later"
        )
    if axis == 0:
        raise reader.unsupported(node, "axis 0; any axis but the batch is supported")
    sink = reader.sink(node)
    inverse = 1.0 / sink.quantization.scale
    multiplier = floor(inverse + 0.5)
    if not 1 <= multiplier <= 2**16 or abs(inverse - multiplier) > multiplier / 1024:
        raise reader.unsupported(
            node, f"output scale {sink.quantization.scale}; 1/256 or another whole fraction is supported"
        )
    if (sink.low, sink.high) != (0, 255):
        raise reader.unsupported(node, "a clip behind it; remove it")
    y, attributes = sink.quantization, Softmax(table(x.quantization.scale), multiplier)
    if axis == len(x.shape) - 1:
        reader.add("softmax", node, [x], x.shape, y, attributes)
        return
    others = [k for k in range(len(x.shape)) if k != axis]
    moved = tuple(x.shape[k] for k in (*others, axis))
    back = [others.index(k) if k != axis else len(others) for k in range(len(x.shape))]
    last = transpose.permuted(reader, node, x, x.shape, [*others, axis], moved, None)
    result = reader.add_hidden("softmax", node, [last], moved, y, attributes)
    transpose.permuted(reader, node, result, moved, back, x.shape, node.output[0])


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    a: Softmax = node.attributes
    x = inputs[0].to(torch.int64)
    e = torch.from_numpy(a.exp.astype(np.int64))[x.amax(dim=-1, keepdim=True) - x]
    total = e.sum(dim=-1, keepdim=True)
    y = graph.tensors[node.output].quantization.zero + (e * a.multiplier + total // 2) // total
    return y.clamp(0, 255).to(torch.uint8)


def sample(draw) -> Graph:
    """A random softmax."""
    x = draw.tensor("x", (1, draw.integer(1, 3), draw.integer(1, 30)))
    inverse = draw.choice([256, 255, 128, 1000])
    y = Tensor("y", x.shape, Quantization(float(np.float32(1 / inverse)), draw.choice([0, 128])))
    return sampling.graph("softmax", [x], y, Softmax(table(x.quantization.scale), inverse))


OPERATOR = Operator(
    name="softmax",
    title="softmax along any axis but the batch",
    onnx=("Softmax",),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
)
