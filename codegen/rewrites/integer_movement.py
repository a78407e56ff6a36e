"""Operators that move quantised integers about (Transpose, Reshape, MaxPool, ... of int8) get a pair of DequantizeLinear
and QuantizeLinear of that very quantisation around them: the reader then sees data movement in float only."""

import numpy as np
import onnx

from lamella.codegen.rewrites.editor import Editor, attribute, same_attributes
from lamella.codegen.rewrites.record import Rewrite

MOVING = (
    "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Slice", "Split", "Gather", "Concat", "Pad",
    "Clip", "DepthToSpace", "SpaceToDepth", "Resize", "Expand", "Tile", "Identity",
)  # fmt: skip
_INTEGERS = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def apply(editor: Editor) -> None:
    """Give every integer tensor its scale and zero point, then wrap what moves it."""
    known = _quantizations(editor)

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        moved = node.input if node.op_type == "Concat" else node.input[:1]
        if not _moves(node) or not all(name in known or editor.is_constant(name) for name in moved):
            return None
        found = next((known[name] for name in node.output if name in known), None)
        if found is None or all(editor.is_constant(name) for name in moved):
            return None
        scale, zero = found
        nodes, inputs = [], list(node.input)
        for k, name in enumerate(moved):
            before, inputs[k] = editor.dequantized(name, scale, zero)
            nodes.append(before)
        if node.op_type in ("Pad", "Clip"):  # their levels become real numbers
            for k in (2,) if node.op_type == "Pad" else (1, 2):
                if k < len(inputs) and inputs[k]:
                    inputs[k] = _real(editor, inputs[k], scale, zero)
            if node.op_type == "Pad" and len(inputs) < 3:
                inputs.append(_zero(editor, scale, zero))
        outputs = [editor.fresh(f"{name}_moved") if name else "" for name in node.output]
        inner = onnx.helper.make_node(node.op_type, inputs, outputs, name=node.name, **same_attributes(node))
        nodes.append(inner)
        for value, name in zip(outputs, node.output, strict=True):
            if name:
                nodes.append(editor.node("QuantizeLinear", [value, scale, zero], name))
        return nodes

    editor.each(replace)


def _moves(node: onnx.NodeProto) -> bool:
    if node.op_type == "Resize" and attribute(node, "mode", b"nearest") not in (b"nearest", b"linear"):
        return False  # linear: onnxruntime cuts the integers off where we round
    return node.op_type in MOVING and bool(node.input) and len([name for name in node.output if name]) >= 1


def _quantizations(editor: Editor) -> dict[str, tuple[str, str]]:
    """Integer tensor -> names of its scale and zero point: from QuantizeLinear before it or DequantizeLinear behind it."""
    nodes = list(editor.model.graph.node)
    known: dict[str, tuple[str, str]] = {}
    integer_inputs = {v.name for v in editor.model.graph.input if v.type.tensor_type.elem_type in _INTEGERS}
    behind: dict[str, tuple[str, str]] = {}
    for node in reversed(nodes):  # the quantisation that readers further on give an integer tensor
        pair = None
        if node.op_type == "DequantizeLinear" and not editor.is_constant(node.input[0]):
            pair = node.input[1], node.input[2] if len(node.input) > 2 else ""
        elif _moves(node):
            pair = next((behind[name] for name in node.output if name in behind), None)
        if pair is not None:
            for name in node.input if node.op_type == "Concat" else node.input[:1]:
                behind.setdefault(name, pair)
    known |= {name: behind[name] for name in integer_inputs if name in behind}
    for node in nodes:
        if node.op_type == "QuantizeLinear" and not editor.is_constant(node.input[0]):
            known[node.output[0]] = node.input[1], node.input[2] if len(node.input) > 2 else ""
        elif _moves(node) and node.input[0] in known:
            known |= {name: known[node.input[0]] for name in node.output if name}
    return known


def _real(editor: Editor, name: str, scale: str, zero: str) -> str:
    level, factor = editor.constant(name), editor.constant(scale)
    if level is None or factor is None or level.dtype.kind not in "iu":
        return name
    offset = editor.constant(zero) if zero else None
    offset = 0 if offset is None else int(offset.reshape(-1)[0])
    value = (int(level.reshape(-1)[0]) - offset) * np.float32(factor.reshape(-1)[0])
    return editor.add_constant(np.float32(value), f"{name}_real")


def _zero(editor: Editor, scale: str, zero: str) -> str:
    """Pad without a value pads with the integer 0, which is the real -zero * scale."""
    offset = editor.constant(zero) if zero else None
    level = editor.add_constant(np.int64(0), "padding")
    return _real(editor, level, scale, zero) if offset is not None else editor.add_constant(np.float32(0), "padding")


REWRITE = Rewrite(
    "integer_movement", "data movement on integers, between QuantizeLinear and DequantizeLinear", 30, apply
)
