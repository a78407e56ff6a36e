"""Operators that compute on integers themselves (QLinearConv, QGemm, QLinearAdd, ...) become float operators between
DequantizeLinear and QuantizeLinear: the same numbers, said the other way."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from lamella.codegen.rewrites.editor import Editor, attribute, same_attributes
from lamella.codegen.rewrites.record import Rewrite

Nodes = list[onnx.NodeProto]
DOMAINS = ("", "ai.onnx", "com.microsoft")


class _Maker:
    """Builds what takes the place of one node."""

    def __init__(self, editor: Editor, node: onnx.NodeProto):
        self.editor, self.node, self.nodes = editor, node, []

    def name(self, index: int) -> str:
        """An input's name; empty if it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def real(self, index: int, axis: int | None = None) -> str:
        """The input at an index as a real number, by the scale and zero point that follow it."""
        scale = self.editor.constant(self.name(index + 1))
        per_channel = axis is not None and scale is not None and scale.size > 1
        before, output = self.editor.dequantized(
            self.name(index), self.name(index + 1), self.name(index + 2), axis if per_channel else None
        )
        self.nodes.append(before)
        return output

    def bias(self, index: int, x_scale: int, w_scale: int) -> list[str]:
        """An int32 bias at the scale of input times weights; none if it is left out."""
        if not self.name(index):
            return []
        scales = [self.editor.constant(self.name(k)) for k in (x_scale, w_scale)]
        if any(s is None for s in scales):
            return [self.name(index)]  # refused by the reader, which wants constants
        product = (scales[0].astype(np.float32).reshape(-1) * scales[1].astype(np.float32).reshape(-1)).astype(
            np.float32
        )
        scale = self.editor.add_constant(product if product.size > 1 else product[0], f"{self.name(index)}_scale")
        before, output = self.editor.dequantized(self.name(index), scale, "", 0 if product.size > 1 else None)
        self.nodes.append(before)
        return [output]

    def finish(self, kind: str, inputs: Sequence[str], scale: int, **attributes) -> Nodes:
        """The operator itself and what quantises its result: scale and zero point are the inputs from `scale` on."""
        output = self.node.output[0]
        if not self.name(scale):  # QGemm without a scale gives real numbers
            self.nodes.append(self.editor.node(kind, inputs, output, self.node.name, **attributes))
            return self.nodes
        value = self.editor.fresh(f"{output}_real")
        self.nodes.append(self.editor.node(kind, inputs, value, self.node.name, **attributes))
        self.nodes.append(self.editor.node("QuantizeLinear", [value, self.name(scale), self.name(scale + 1)], output))
        return self.nodes


def _conv(m: _Maker) -> Nodes:
    inputs = [m.real(0), m.real(3, axis=0), *m.bias(8, 1, 4)]
    return m.finish("Conv", inputs, 6, **same_attributes(m.node))


def _matmul(m: _Maker) -> Nodes:
    return m.finish("MatMul", [m.real(0), m.real(3, axis=1)], 6)


def _gemm(m: _Maker) -> Nodes:
    axis = 0 if attribute(m.node, "transB", 0) else 1
    inputs = [m.real(0), m.real(3, axis=axis), *m.bias(6, 1, 4)]
    return m.finish("Gemm", inputs, 7, **same_attributes(m.node))


def _two(kind: str) -> Callable[[_Maker], Nodes]:
    return lambda m: m.finish(kind, [m.real(0), m.real(3)], 6)


def _one(kind: str) -> Callable[[_Maker], Nodes]:
    return lambda m: m.finish(kind, [m.real(0)], 3, **same_attributes(m.node, leave=("opset",)))


def _pool(kind: str) -> Callable[[_Maker], Nodes | None]:
    def make(m: _Maker) -> Nodes | None:
        if not attribute(m.node, "channels_last", 0):
            return m.finish(kind, [m.real(0)], 3, **same_attributes(m.node, leave=("channels_last",)))
        if not attribute(m.node, "kernel_shape", [1, 1])[1:]:
            return None  # a rank that nothing tells here
        first, last = m.editor.fresh("planar"), m.editor.fresh("planar")
        m.nodes.append(m.editor.node("Transpose", [m.real(0)], first, perm=[0, 3, 1, 2]))
        attributes = same_attributes(m.node, leave=("channels_last",))
        m.nodes.append(m.editor.node(kind, [first], last, m.node.name, **attributes))
        return m.finish("Transpose", [last], 3, perm=[0, 2, 3, 1])

    return make


def _concat(m: _Maker) -> Nodes:
    inputs = [m.real(k) for k in range(2, len(m.node.input), 3)]
    return m.finish("Concat", inputs, 0, **same_attributes(m.node))


MAKERS: dict[str, Callable[[_Maker], Nodes | None]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _two("Add"),
    "QLinearMul": _two("Mul"),
    "QLinearSigmoid": _one("Sigmoid"),
    "QLinearLeakyRelu": _one("LeakyRelu"),
    "QLinearSoftmax": _one("Softmax"),
    "QLinearAveragePool": _pool("AveragePool"),
    "QLinearGlobalAveragePool": _pool("GlobalAveragePool"),
    "QLinearConcat": _concat,
}


def apply(editor: Editor) -> None:
    """Replace every node of MAKERS."""

    def replace(node: onnx.NodeProto) -> Nodes | None:
        make = MAKERS.get(node.op_type)
        # onnxruntime writes QuantizeLinear in its own domain too, in some versions
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.domain == "com.microsoft":
            return [onnx.helper.make_node(node.op_type, node.input, node.output, node.name, **same_attributes(node))]
        return None if make is None or node.domain not in DOMAINS else make(_Maker(editor, node))

    editor.each(replace)


REWRITE = Rewrite("qoperator", "QLinearConv, QGemm, QLinearAdd and the like become QDQ form", 20, apply)
