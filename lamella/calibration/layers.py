"""Weights and biases of a float model's layers, to read and to change."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper


@dataclass
class Layer:
    """A Conv or Gemm with constant weights. weight: (out, in of the group, ...); bias: (out,), zeros where there is none."""

    node: onnx.NodeProto
    weight: np.ndarray
    bias: np.ndarray
    group: int
    transposed: bool


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Initializers by name."""
    return {t.name: t for t in model.graph.initializer}


def layers(model: onnx.ModelProto) -> Iterator[Layer]:
    """Every layer whose weights nobody else uses."""
    stored = constants(model)
    uses = [name for node in model.graph.node for name in node.input]
    for node in model.graph.node:
        fields = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        plain = node.op_type == "Conv" or (
            node.op_type == "Gemm" and fields.get("alpha", 1.0) == 1.0 and fields.get("beta", 1.0) == 1.0
            and not fields.get("transA", 0)
        )  # fmt: skip
        if not plain or node.input[1] not in stored or uses.count(node.input[1]) != 1:
            continue
        has_bias = len(node.input) > 2 and bool(node.input[2])
        if has_bias and (node.input[2] not in stored or uses.count(node.input[2]) != 1):
            continue
        transposed = node.op_type == "Gemm" and not fields.get("transB", 0)
        weight = numpy_helper.to_array(stored[node.input[1]]).astype(np.float64)
        weight = weight.T if transposed else weight
        bias = numpy_helper.to_array(stored[node.input[2]]).astype(np.float64) if has_bias else np.zeros(len(weight))
        if bias.shape == (len(weight),):
            yield Layer(node, weight, bias, int(fields.get("group", 1)), transposed)


def store(model: onnx.ModelProto, layer: Layer) -> None:
    """Writes a layer's weights and bias back; a bias that was not there becomes an input."""
    _replace(model, layer.node.input[1], layer.weight.T if layer.transposed else layer.weight)
    if len(layer.node.input) < 3 or not layer.node.input[2]:
        if not layer.bias.any():
            return
        name = f"{layer.node.input[1]}_bias"
        del layer.node.input[2:]
        layer.node.input.append(name)
        model.graph.initializer.append(numpy_helper.from_array(layer.bias.astype(np.float32), name))
        return
    _replace(model, layer.node.input[2], layer.bias)


def _replace(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    tensor = constants(model)[name]
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))


def drop_unused_(model: onnx.ModelProto) -> None:
    """Removes initializers that no node wants any more."""
    bodies = [a.g for node in model.graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    used = {name for graph in (model.graph, *bodies) for node in graph.node for name in node.input}
    kept = [t for t in model.graph.initializer if t.name in used]
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(kept)
