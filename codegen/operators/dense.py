"""Fully connected layer: Gemm, or MatMul with constant weights and perhaps an Add behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from lamella import formats
from lamella.codegen import cost, weights
from lamella.codegen.cdata import Array, Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Requant, Target, Tensor
from lamella.codegen.operators import sampling, structs
from lamella.codegen.operators.record import Kernel, Operator


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
    x = reader.activation(node, 0)
    w = reader.weights(node, 1)
    levels, axis = (w.levels, w.axis) if a["transB"] else (w.levels.T, 1 - w.axis)
    if (
        levels.ndim != 2
        or len(x.shape) < 2
        or (node.op_type == "Gemm" and len(x.shape) != 2)
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


def _options(function: str):
    def options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
        a: Dense = node.attributes
        requant = cost.REQUANT * a.levels.shape[0] * batch(graph, node)
        for packed in weights.candidates(a.levels):
            record, scratch = packed.format, 0
            if function == "lam_dense_int8":
                if record.name != "int8":
                    continue
                per_vector = a.levels.size * cost.DENSE_INT8_MAC
            elif function == "lam_dense_sparse":
                if record.c_positions is None:
                    continue
                scratch = 2 * weights.largest_row(a.levels)
                nonzero = np.count_nonzero(a.levels)
                per_vector = nonzero * (cost.SPARSE_DENSE_NONZERO + cost.position(record))
            else:
                per_vector = a.levels.size * (cost.DENSE_MAC + cost.unpack(record, a.levels))
            yield Choice(function, record.name, {}, scratch, packed.bytes, per_vector * batch(graph, node) + requant)

    return options


def _describe(graph: Graph, node: Node) -> Struct:
    a: Dense = node.attributes
    record = formats.get(node.choice.format)
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors[node.inputs[0]].quantization.zero)
    shape = Struct(
        "",
        {
            "bias": Array("bias", "int32_t", bias.astype(np.int32), "zero point of the input folded in"),
            "q": structs.requant(a.requant),
            "rows": a.levels.shape[0],
            "cols": a.levels.shape[1],
            "batch": batch(graph, node),
        },
    )
    array = weights.array(a.levels, record.name)
    if node.choice.kernel == "lam_dense_int8":
        return Struct("lam_dense_int8_desc", {"shape": shape, "weights": array})
    if node.choice.kernel == "lam_dense_sparse":
        capacity = weights.largest_row(a.levels)
        positions = Symbol(record.c_positions)
        return Struct(
            "lam_dense_sparse_desc", {"shape": shape, "positions": positions, "weights": array, "capacity": capacity}
        )
    return Struct("lam_dense_desc", {"shape": shape, "unpack": Symbol(record.c_unpack), "weights": array})


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
    kernels=tuple(
        Kernel(
            function,
            "lam_dense.h",
            (f"src/{function}.c",),
            _options(function),
            _describe,
            function == "lam_dense_sparse",
        )
        for function in ("lam_dense", "lam_dense_int8", "lam_dense_sparse")
    ),
)
