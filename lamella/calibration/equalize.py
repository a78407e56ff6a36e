"""Cross-layer equalisation (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019).

Where a layer's output goes through a function with f(s x) = s f(x) for s > 0 to one other layer alone, a channel may be
made larger before and smaller behind. s = sqrt(r1 r2) / r2 makes its weights equally large in both.
"""

from collections.abc import Iterator

import numpy as np
import onnx

from lamella.calibration.layers import Layer, layers, store

#: Operators with f(s x) = s f(x), channel by channel.
HOMOGENEOUS = ("Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity", "Dropout")
SWEEPS = 8


def equalize_(model: onnx.ModelProto) -> int:
    """Equalises every pair of layers, in place. Returns the number of pairs."""
    by_output = {layer.node.output[0]: layer for layer in layers(model)}
    pairs = list(_pairs(model, by_output))
    for _ in range(SWEEPS):
        for first, second in pairs:
            _equalize_pair(first, second)
    for layer in by_output.values():
        store(model, layer)
    return len(pairs)


def _equalize_pair(first: Layer, second: Layer) -> None:
    before = np.abs(first.weight).reshape(len(first.weight), -1).max(axis=1)
    behind = np.abs(second.weight if second.group > 1 else second.weight.swapaxes(0, 1))
    behind = behind.reshape(len(behind), -1).max(axis=1)
    alive = (before > 0) & (behind > 0)
    s = np.where(alive, np.sqrt(before / np.where(alive, behind, 1.0)), 1.0)
    first.weight /= s.reshape(-1, *[1] * (first.weight.ndim - 1))
    first.bias /= s
    at = 0 if second.group > 1 else 1
    second.weight *= s.reshape([-1 if axis == at else 1 for axis in range(second.weight.ndim)])


def _pairs(model: onnx.ModelProto, by_output: dict[str, Layer]) -> Iterator[tuple[Layer, Layer]]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ends = {o.name for o in model.graph.output}
    by_node = {id(layer.node): layer for layer in by_output.values()}
    for layer in by_output.values():
        name = layer.node.output[0]
        while name not in ends and len(readers.get(name, ())) == 1:
            (reader,) = readers[name]
            second = by_node.get(id(reader))
            if second is not None and reader.input[0] == name:
                channels = second.weight.shape[1] if second.group == 1 else len(second.weight)
                depthwise = second.group == len(second.weight) and second.weight.shape[1] == 1
                if channels == len(layer.weight) and (second.group == 1 or depthwise):
                    yield layer, second
                break
            if reader.op_type not in HOMOGENEOUS:
                break
            name = reader.output[0]
