"""From a FrozenNetwork to an ONNX file: float operators between QuantizeLinear and DequantizeLinear.

Weights are int8 initialisers behind a DequantizeLinear, biases int32. Equal networks give equal bytes.
"""

from functools import singledispatch
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import lamella
from lamella.errors import PlatformError
from lamella.trainer.frozen import FrozenNetwork
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    Clip,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    InputNode,
    LayerNode,
    MaxPoolNode,
    Node,
    SoftmaxNode,
)

OPSET = 17
#: What onnxruntime 1.20 still reads, and all that opset 17 needs.
IR_VERSION = 8
OUTPUT = "output"


def save(network: FrozenNetwork, path: Path) -> None:
    """Writes the checked model beside `path` and renames it."""
    model = build(network)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(model.SerializeToString(deterministic=True))
        part.replace(path)
    except OSError as error:
        raise PlatformError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free some space"
        ) from None


def build(network: FrozenNetwork) -> onnx.ModelProto:
    """The ONNX model, valid by onnx.checker."""
    writer = _Writer(network)
    for node in network.graph:
        _write(node, writer)
    source, sink = network.graph.input, network.graph.output
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [helper.make_tensor_value_info(source.name, TensorProto.FLOAT, ["N", *source.shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", *sink.shape])],
        writer.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lamella",
        producer_version=lamella.__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Writer:
    """Collects nodes and initialisers. The tensor `values[name]` is what later float operators take of a node."""

    def __init__(self, network: FrozenNetwork):
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.values: dict[str, str] = {}

    def constant(self, name: str, array: np.ndarray) -> str:
        """Name of an initialiser, added once."""
        if all(tensor.name != name for tensor in self.initializers):
            self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def add(self, kind: str, name: str, inputs: list[str], output: str | None = None, **attributes) -> str:
        """Name of the output of a new node."""
        output = output or name
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def operator(self, node: Node, kind: str, inputs: list[str], **attributes) -> None:
        """An operator of a node, its activation function, and the quantisation of the result."""
        self.quantize(node, self.clip(node, self.add(kind, node.name, inputs, f"{node.name}_float", **attributes)))

    def clip(self, node: Node, value: str) -> str:
        """The activation function of a node behind `value`."""
        if node.clip == Clip():
            return value
        # An activation function alone is the operator of its node and has its name.
        alone = isinstance(node, ClipNode)
        if node.clip == Clip(0.0, None):
            return self.add("Relu", node.name if alone else f"{node.name}_relu", [value], f"{node.name}_clipped")
        bounds = [
            "" if bound is None else self.constant(f"{node.name}_{which}", np.float32(bound))
            for which, bound in (("lowest", node.clip.low), ("highest", node.clip.high))
        ]
        return self.add("Clip", node.name if alone else f"{node.name}_clip", [value, *bounds], f"{node.name}_clipped")

    def quantize(self, node: Node, value: str) -> None:
        """QuantizeLinear and DequantizeLinear behind `value`; nodes that only move values use their source's scale."""
        owner = self.network.graph.source(node.name).name
        affine = self.network.affines[owner]
        parameters = [
            self.constant(f"{owner}_scale", np.float32(affine.scale)),
            self.constant(f"{owner}_zero_point", np.uint8(affine.zero)),
        ]
        quantized = self.add("QuantizeLinear", f"{node.name}_quantize", [value, *parameters], f"{node.name}_quantized")
        last = node is self.network.graph.output
        name = OUTPUT if last else f"{node.name}_dequantized"
        self.values[node.name] = self.add("DequantizeLinear", f"{node.name}_dequantize", [quantized, *parameters], name)

    def inputs(self, node: Node) -> list[str]:
        """What the operator of a node takes."""
        return [self.values[name] for name in node.inputs]

    def weights(self, node: LayerNode) -> list[str]:
        """Dequantised weight and bias of a layer. One scale for the layer is a scalar, several are an axis-0 vector."""
        layer = self.network.layers[node.name]
        x_scale = self.network.affines[node.inputs[0]].scale
        bias_scales = (np.float32(x_scale) * layer.scales).astype(np.float32)
        names = []
        for part, levels, scales in (("weight", layer.levels, layer.scales), ("bias", layer.bias, bias_scales)):
            scale = scales if scales.size > 1 else scales.reshape(())
            inputs = [
                self.constant(f"{node.name}.{part}_levels", levels),
                self.constant(f"{node.name}.{part}_scale", scale),
            ]
            axis = {"axis": 0} if scales.size > 1 else {}
            names.append(
                self.add("DequantizeLinear", f"{node.name}.{part}_dequantize", inputs, f"{node.name}.{part}", **axis)
            )
        return names


@singledispatch
def _write(node: Node, writer: _Writer) -> None:
    raise TypeError(f"no ONNX form of {type(node).__name__}")


@_write.register
def _(node: InputNode, writer: _Writer) -> None:
    writer.quantize(node, node.name)


@_write.register
def _(node: LayerNode, writer: _Writer) -> None:
    inputs = [*writer.inputs(node), *writer.weights(node)]
    if node.kernel is None:
        writer.operator(node, "Gemm", inputs, transB=1)
        return
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "dilations": node.dilation, "pads": node.pads}
    writer.operator(node, "Conv", inputs, group=node.groups, **attributes)


@_write.register
def _(node: MaxPoolNode, writer: _Writer) -> None:
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "dilations": node.dilation}
    writer.operator(node, "MaxPool", writer.inputs(node), pads=[*node.padding, *node.padding], **attributes)


@_write.register
def _(node: AveragePoolNode, writer: _Writer) -> None:
    if node.whole and len(node.shape) == 1:
        writer.operator(node, "ReduceMean", writer.inputs(node), axes=[2, 3], keepdims=0)
        return
    if node.whole:
        writer.operator(node, "GlobalAveragePool", writer.inputs(node))
        return
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "pads": [*node.padding, *node.padding]}
    writer.operator(node, "AveragePool", writer.inputs(node), count_include_pad=int(node.count_padding), **attributes)


@_write.register
def _(node: AddNode, writer: _Writer) -> None:
    writer.operator(node, "Add", writer.inputs(node))


@_write.register
def _(node: ConcatNode, writer: _Writer) -> None:
    writer.operator(node, "Concat", writer.inputs(node), axis=1)


@_write.register
def _(node: ClipNode, writer: _Writer) -> None:
    (value,) = writer.inputs(node)
    writer.quantize(node, writer.clip(node, value))


@_write.register
def _(node: FlattenNode, writer: _Writer) -> None:
    writer.operator(node, "Flatten", writer.inputs(node), axis=1)


@_write.register
def _(node: DropoutNode, writer: _Writer) -> None:
    writer.values[node.name] = writer.values[node.inputs[0]]


@_write.register
def _(node: SoftmaxNode, writer: _Writer) -> None:
    writer.operator(node, "Softmax", writer.inputs(node), axis=1)
