"""QONNX (Brevitas, FINN): Quant, BipolarQuant and Trunc become QuantizeLinear and DequantizeLinear, weights integers of 8 bits.

What the nodes compute is said in QONNX's own reference (qonnx/custom_op/general). Signs of an activation, and Trunc's dropping of
low bits (behind a sum that stands for a mean), are float operators in front of a QuantizeLinear that changes nothing more.
"""

import numpy as np
import onnx

from lamella.codegen.rewrites.editor import Editor, attribute
from lamella.codegen.rewrites.record import Rewrite

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "onnx.quant")


def apply(editor: Editor) -> None:
    """Replace what can be said with 8 bits; the rest stays, and the reader names it."""

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.domain not in DOMAINS or len(node.input) < 2:
            return None
        if node.op_type == "BipolarQuant":
            return _bipolar(editor, node) if editor.is_constant(node.input[0]) else _signs(editor, node)
        if node.op_type == "Trunc" and len(node.input) == 5:
            return _truncated(editor, node)
        if node.op_type == "Quant" and len(node.input) == 4:
            weights = editor.is_constant(node.input[0])
            return _weights(editor, node) if weights else _activation(editor, node)
        return None

    editor.each(replace)


def _range(editor: Editor, node: onnx.NodeProto, most: int = 8) -> tuple[int, int] | None:
    """Lowest and highest level; None beyond `most` bits."""
    bits = editor.constant(node.input[3])
    if bits is None or bits.size != 1 or not 1 <= float(bits.reshape(-1)[0]) <= most:
        return None
    bits, narrow = int(bits.reshape(-1)[0]), int(bool(attribute(node, "narrow", 0)))
    if attribute(node, "signed", 1):
        return -(1 << bits - 1) + narrow, (1 << bits - 1) - 1
    return 0, (1 << bits) - 1 - narrow


def _rounded(values: np.ndarray, mode: str) -> np.ndarray | None:
    ways = {
        "ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor,
        "ROUND_TO_ZERO": np.trunc, "DOWN": np.trunc, "UP": lambda v: np.copysign(np.ceil(np.abs(v)), v),
        "HALF_UP": lambda v: np.copysign(np.floor(np.abs(v) + 0.5), v),
        "HALF_DOWN": lambda v: np.copysign(np.ceil(np.abs(v) - 0.5), v),
    }  # fmt: skip
    return ways[mode](values) if mode in ways else None


def _mode(node: onnx.NodeProto, default: str = "ROUND") -> str:
    mode = attribute(node, "rounding_mode", default)
    return (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()


def _weights(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    values, scale, zero = (editor.constant(name) for name in node.input[:3])
    is_bias = values is not None and values.ndim == 1
    bounds = _range(editor, node, most=32 if is_bias else 8)
    if values is None or scale is None or zero is None or bounds is None or (scale <= 0).any():
        return None
    levels = _rounded(values.astype(np.float64) / scale + zero, _mode(node))
    wide = max(-bounds[0], bounds[1]) > 255  # DequantizeLinear takes int32 then, without a zero point
    if levels is None or (wide and (zero.any() or bounds[1] >= 2**31)):
        return None
    return _constant(editor, node, np.clip(levels, *bounds), scale, zero, np.int32 if wide else None)


def _bipolar(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    values, scale = (editor.constant(name) for name in node.input[:2])
    if values is None or scale is None or (scale <= 0).any():
        return None
    return _constant(editor, node, np.where(values >= 0, 1, -1), scale, np.zeros(scale.shape))


def _signs(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """An activation of two levels: the scale where it is not negative, else minus the scale."""
    scale = editor.constant(node.input[1])
    if scale is None or scale.size != 1 or not scale.reshape(-1)[0] > 0:
        return None
    factor, base = np.float32(scale.reshape(-1)[0]), node.output[0]
    # The sign of zero is zero: twice the sign and one has the right one.
    nodes, value = [], node.input[0]
    for op, number in (("Sign", None), ("Mul", 2.0), ("Add", 1.0), ("Sign", None), ("Mul", factor)):
        value = _step(editor, nodes, op, value, number, base)
    return [*nodes, *_quantized(editor, node, value, factor, np.int8(0))]


def _truncated(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Trunc: the integer behind the input, divided by 2^(bits dropped) and rounded as the node says, counts in the same scale."""
    scale, zero, before, after = (editor.constant(name) for name in node.input[1:])
    if any(v is None or v.size != 1 for v in (scale, zero, before, after)):
        return None
    factor, offset = np.float32(scale.reshape(-1)[0]), float(zero.reshape(-1)[0])
    dropped, bits = int(before.reshape(-1)[0]) - int(after.reshape(-1)[0]), int(after.reshape(-1)[0])
    signed = _is_signed(editor, node.input[0])
    way = {"FLOOR": "Floor", "CEIL": "Ceil", "ROUND": "Round", "HALF_EVEN": "Round"}.get(_mode(node, "FLOOR"))
    if way is None or not factor > 0 or dropped < 0 or not 1 <= bits <= 8 or (signed is None and bits == 8):
        return None
    kind = np.uint8 if signed is False else np.int8
    if not np.iinfo(kind).min <= offset <= np.iinfo(kind).max or offset != int(offset):
        return None
    base, value, nodes = node.output[0], node.input[0], []
    for op, number in (("Div", factor), ("Add", offset), ("Round", None), ("Div", 2.0**dropped), (way, None), ("Sub", offset),
                       ("Mul", factor)):  # fmt: skip
        value = _step(editor, nodes, op, value, number, base)
    return [*nodes, *_quantized(editor, node, value, factor, kind(offset))]


def _step(editor: Editor, nodes: list, op: str, value: str, number: float | None, base: str) -> str:
    """Appends an operator on a value, and a number if it takes one; the name of its result."""
    inputs = [value] if number is None else [value, editor.add_constant(np.float32(number), f"{base}_{op}_by")]
    nodes.append(editor.node(op, inputs, editor.fresh(f"{base}_{op}")))
    return nodes[-1].output[0]


def _is_signed(editor: Editor, name: str) -> bool | None:
    """Whether the quantiser that a value comes from through operators of one input has a sign; None where there is none."""
    makers = {out: node for node in editor.model.graph.node for out in node.output}
    while (maker := makers.get(name)) is not None:
        if maker.op_type == "Quant" and maker.domain in DOMAINS:
            return bool(attribute(maker, "signed", 1))
        name = maker.input[0] if maker.input else ""
    return None


def _quantized(
    editor: Editor, node: onnx.NodeProto, value: str, scale: np.float32, zero: np.generic
) -> list[onnx.NodeProto]:
    """QuantizeLinear and DequantizeLinear from a value to the node's output."""
    base, integer = node.output[0], editor.fresh(f"{node.output[0]}_integer")
    parameters = [editor.add_constant(scale, f"{base}_scale"), editor.add_constant(zero, f"{base}_zero")]
    return [
        editor.node("QuantizeLinear", [value, *parameters], integer),
        editor.node("DequantizeLinear", [integer, *parameters], base, node.name),
    ]


def _constant(
    editor: Editor, node, levels: np.ndarray, scale: np.ndarray, zero: np.ndarray, kind: type | None = None
) -> list[onnx.NodeProto] | None:
    """Levels behind DequantizeLinear, of 8 bits if nothing else is said; one axis at most may have a scale of its own at each
    place."""
    if kind is None:
        kind = np.int8 if levels.min(initial=0) >= -128 and levels.max(initial=0) <= 127 else np.uint8
    if scale.size > 1 and (scale.ndim != levels.ndim or sum(d > 1 for d in scale.shape) != 1):
        return None
    axis = int(np.argmax(scale.shape)) if scale.size > 1 else None
    zeros = np.broadcast_to(zero, scale.shape).astype(kind)
    flat = [array.reshape(-1) if axis is not None else array.reshape(-1)[0] for array in (scale, zeros)]
    names = [
        editor.add_constant(np.asarray(array, dtype), f"{node.output[0]}_{word}")
        for array, dtype, word in ((levels, kind, "levels"), (flat[0], np.float32, "scale"), (flat[1], kind, "zero"))
    ]
    attributes = {} if axis is None else {"axis": axis}
    return [editor.node("DequantizeLinear", names, node.output[0], node.name, **attributes)]


def _activation(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Fewer than 8 bits are a narrower range of the same levels: a Clip before QuantizeLinear."""
    scale, zero = (editor.constant(name) for name in node.input[1:3])
    bounds = _range(editor, node)
    if scale is None or zero is None or bounds is None or scale.size != 1 or zero.size != 1:
        return None
    if _mode(node) not in ("ROUND", "HALF_EVEN", "HALF_UP"):
        return None
    kind = np.int8 if attribute(node, "signed", 1) else np.uint8
    factor, offset = np.float32(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])
    base, nodes, value = node.output[0], [], node.input[0]
    info = np.iinfo(kind)
    if bounds != (info.min, info.max):
        low, high = (
            editor.add_constant(np.float32((level - offset) * factor), f"{base}_{word}")
            for level, word in zip(bounds, ("low", "high"), strict=True)
        )
        clipped = editor.fresh(f"{base}_clipped")
        nodes.append(editor.node("Clip", [value, low, high], clipped))
        value = clipped
    return [*nodes, *_quantized(editor, node, value, factor, kind(offset))]


REWRITE = Rewrite("qonnx", "Quant, BipolarQuant and Trunc of QONNX become QDQ form", 10, apply)
