"""Collects the nodes of an ONNX graph: constants once, quantisation behind every operator, weights behind DequantizeLinear."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella.trainer.frozen import FrozenNetwork
from lamella.trainer.graph import Clip, ClipNode, LayerNode, Node

#: What the output of the model is called.
OUTPUT = "output"


class Writer:
    """Collects nodes and initialisers. The tensor `values[name]` is what later float operators take of a node, and
    `levels[name]` holds its integers. Inside a loop, constants and weights are those of `outer`."""

    def __init__(self, network: FrozenNetwork, outer: "Writer | None" = None):
        self.network = network
        self.outer = outer or self
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = [] if outer is None else outer.initializers
        self.values: dict[str, str] = {}
        self.levels: dict[str, str] = {}

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
        inputs = [value, *self.parameters(node)]
        self.dequantize(node, self.add("QuantizeLinear", f"{node.name}_quantize", inputs, f"{node.name}_quantized"))

    def dequantize(self, node: Node, levels: str) -> None:
        """DequantizeLinear behind the integers of a node."""
        name = OUTPUT if node is self.network.graph.output else f"{node.name}_dequantized"
        inputs = [levels, *self.parameters(node)]
        self.levels[node.name] = levels
        self.values[node.name] = self.add("DequantizeLinear", f"{node.name}_dequantize", inputs, name)

    def parameters(self, node: Node) -> list[str]:
        """Scale and zero point of what a node gives."""
        owner = self.network.graph.source(node.name).name
        affine = self.network.affines[owner]
        return [
            self.constant(f"{owner}_scale", np.float32(affine.scale)),
            self.constant(f"{owner}_zero_point", np.uint8(affine.zero)),
        ]

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
            name = f"{node.name}.{part}"
            names.append(self.outer.add("DequantizeLinear", f"{name}_dequantize", inputs, name, **axis))
        return names
