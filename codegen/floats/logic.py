"""Comparisons, logic, and the choice between two values: truth is 1, falsehood 0."""

from functools import partial

import numpy as np
import onnx

from lamella.codegen.onnx_floats import Operand

_FLOAT, _BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL


def _truth(reader, node, index: int) -> Operand:
    """An input that may be a constant of truth values."""
    value = reader.constants.get(node.input[index]) if index < len(node.input) else None
    if value is not None and value.dtype == np.bool_:
        return reader.fixed(value.astype(np.float32))
    return reader.operand(node, index)


def _pair(reader, node, function: str, swapped: bool = False) -> None:
    reader.attributes(node)
    a, b = _truth(reader, node, 0), _truth(reader, node, 1)
    reader.give(node, reader.binary(node, function, *((b, a) if swapped else (a, b))))


def _opposite(reader, node, x: Operand) -> Operand:
    return reader.scalar(node, "equal", x, 0.0)


def _not(reader, node) -> None:
    reader.attributes(node)
    reader.give(node, _opposite(reader, node, _truth(reader, node, 0)))


def _xor(reader, node) -> None:
    reader.attributes(node)
    same = reader.binary(node, "equal", _truth(reader, node, 0), _truth(reader, node, 1))
    reader.give(node, _opposite(reader, node, same))


def _where(reader, node) -> None:
    """Each of the two values is kept where it is wanted and 0 elsewhere, also where it is no number; their sum has both."""
    reader.attributes(node)
    condition = _truth(reader, node, 0)
    a = reader.binary(node, "keep", condition, reader.operand(node, 1))
    b = reader.binary(node, "keep", _opposite(reader, node, condition), reader.operand(node, 2))
    reader.give(node, reader.binary(node, "add", a, b))


def _cast(reader, node) -> None:
    """Between truth and numbers."""
    to = reader.attributes(node, to=None, saturate=1, round_mode="up")["to"]
    if to not in (_FLOAT, _BOOL):
        raise reader.unsupported(node, f"a cast to element type {to}; float32 and bool are supported")
    x = _truth(reader, node, 0)
    reader.give(node, x if to == _FLOAT else _opposite(reader, node, _opposite(reader, node, x)))


READERS = {
    "Greater": partial(_pair, function="greater"),
    "GreaterOrEqual": partial(_pair, function="greater_equal"),
    "Less": partial(_pair, function="greater", swapped=True),
    "LessOrEqual": partial(_pair, function="greater_equal", swapped=True),
    "Equal": partial(_pair, function="equal"),
    "And": partial(_pair, function="min"),
    "Or": partial(_pair, function="max"),
    "Xor": _xor,
    "Not": _not,
    "Where": _where,
    "Cast": _cast,
}
