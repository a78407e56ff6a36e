"""Fully connected layer: Gemm, or MatMul with constant weights and perhaps an Add behind it."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen import weights
from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import matmul, sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Dense:
    """levels int16 (rows, cols); weight_scales float32 (1,) or (rows,); bias int64 (rows,)."""

    levels: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray
    requant: Requant


def read(reader, node) -> None:
    """ONNX Gemm with alpha = beta = 1, and MatMul with constant weights on the right."""
    if node.op_type == "Gemm":
        a = reader.attributes(node, alpha=1.0, beta=1.0, transA=0, transB=0)
        if a["alpha"] != 1.0 or a["beta"] != 1.0 or a["transA"]:
            raise reader.unsupported(node, "alpha, beta other than 1, or transA; fold them into weights and bias")
    else:
        a = {**reader.attributes(node), "transB": 0}
    if node.op_type == "MatMul" and not reader.is_constant(node.input[1]):
        matmul.read(reader, node)
        return
    x = reader.activation(node, 0, rows=node.op_type == "Gemm")
    w = reader.weights(node, 1)
    levels, axis = (w.levels, w.axis) if a["transB"] else (w.levels.T, 1 - w.axis)
    if (
        levels.ndim != 2
        or len(x.shape) < 2
        or (node.op_type == "Gemm" and len(x.shape) != 2 + reader.is_rows(x))
        or x.shape[-1] != levels.shape[1]
    ):
        raise reader.unsupported(node, f"weights of shape {w.levels.shape} for an input of shape {x.shape}")
    if w.scales.size > 1 and axis != 0:
        raise reader.unsupported(node, "weight scales along another axis than the output")
    rows, cols = levels.shape
    if rows > 65535 or cols > 65535 or prod(x.shape[:-1]) > 65535:
        raise reader.unsupported(node, "more than 65535 rows or columns")
    output = node.output[0]
    if node.op_type == "Gemm":
        bias = reader.bias(node, 2, rows, x.quantization.scale, w.scales)
    else:
        output, bias = _bias_behind(reader, node, rows, x, w)
    weights.refuse_overflow(reader, node, levels, bias, x.quantization.zero)
    sink = reader.sink(node, output)
    attributes = Dense(
        np.ascontiguousarray(levels), w.scales, bias, reader.requant(node, x.quantization.scale, w.scales, sink)
    )
    reader.add("dense", node, [x], (*x.shape[:-1], rows), sink.quantization, attributes, output)


def _bias_behind(reader, node, rows: int, x: Tensor, w) -> tuple[str, np.ndarray]:
    """An Add of a constant vector behind a MatMul is its bias."""
    add = reader.only_consumer(node.output[0])
    if add is not None and add.op_type == "Add":
        index = 1 if add.input[0] == node.output[0] else 0
        if reader.is_constant(add.input[index]):
            reader.absorb(add)
            return add.output[0], reader.bias(add, index, rows, x.quantization.scale, w.scales)
    return node.output[0], np.zeros(rows, np.int64)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    a: Dense = node.attributes
    x = inputs[0].to(torch.int64) - graph.tensors[node.inputs[0]].quantization.zero
    acc = exact.linear(x, torch.from_numpy(a.levels), torch.from_numpy(a.bias))
    return exact.requantize(acc, a.requant, channel_axis=acc.dim() - 1)


def batch(graph: Graph, node: Node) -> int:
    """Vectors that the layer multiplies for one sample."""
    return prod(graph.tensors[node.inputs[0]].shape[:-1])


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates for one sample."""
    return node.attributes.levels.size * batch(graph, node)


def sample(draw) -> Graph:
    """A random dense layer."""
    rows, cols = draw.integer(1, 12), draw.integer(1, 90)
    x = draw.tensor("x", (1, cols) if draw.choice([True, False]) else (1, draw.integer(1, 3), cols))
    levels = draw.levels((rows, cols))
    scales = draw.scales(rows)
    quantization = draw.quantization(x.quantization.scale * float(scales.max()) * 40)
    requant = draw.requant(x.quantization.scale, scales, quantization)
    y = Tensor("y", (*x.shape[:-1], rows), quantization)
    return sampling.graph("dense", [x], y, Dense(levels, scales, draw.integers((rows,), -3000, 3000), requant))


OPERATOR = Operator(
    name="dense",
    title="fully connected layer (Gemm, MatMul with constant weights)",
    onnx=("Gemm", "MatMul"),
    read=read,
    reference=reference,
    macs=macs,
    details=lambda graph, node: "{1} -> {0}".format(*node.attributes.levels.shape),
    sample=sample,
    short_sizes=True,
)
