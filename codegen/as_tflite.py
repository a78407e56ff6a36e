"""ONNX operators that are read in another way where a TFLite file shall give the bytes of TensorFlow Lite Micro.

Most operators differ by their rounding alone, which Builder.requant chooses; these differ in their formulas. Functions of one
value are tables of what its kernels compute in integers of 16 and 32 bits (hard_swish.h, leaky_relu.h, elementwise.cc).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from lamella import requant
from lamella.codegen.ir import Quantization
from lamella.codegen.operators import add_as_tflite, broadcast
from lamella.codegen.operators.table import FUNCTIONS, Table

#: A function of x less its zero point: int64 (256,), the scales of x and y, attributes; gives y less its zero point.
Integers = Callable[..., np.ndarray]


def _leaky_relu(x: np.ndarray, x_scale: np.float32, y_scale: np.float32, alpha: float) -> np.ndarray:
    alpha = np.float32(alpha)
    above = _scaled(x, x_scale / y_scale)
    below = np.sign(alpha) * _scaled(x, abs(x_scale * alpha / y_scale)) if alpha else 0 * x
    return np.where(x >= 0, above, below)


def _absolute(x: np.ndarray, x_scale: np.float32, y_scale: np.float32) -> np.ndarray:
    return _scaled(np.abs(x), x_scale / y_scale)


def _hard_swish(x: np.ndarray, x_scale: np.float32, y_scale: np.float32) -> np.ndarray:
    """x * ((x + 3) / 6 between 0 and 1), both factors as fractions of 2^15."""
    fine = np.float32(1 / 128) * x_scale
    output, output_up = _multiplier_of_16_bits(float(fine / y_scale))
    slope, slope_up = _multiplier_of_16_bits(float(fine / (np.float32(3) / np.float32(32768))))
    if output_up > 0:
        raise ValueError(
            f"the output's scale {y_scale:g} is below what HardSwish takes with an input scale of {x_scale:g}"
        )
    x = x << 7
    share = _saturated(x << (slope_up - 1)) if slope_up > 0 else x
    share = _high_product(share, slope)
    share = _saturated(share << 1) if slope_up > 0 else _halved(share, -slope_up)
    share = (share + (1 << 15)) >> 1
    product = share * _high_product(x, output)
    return _halved(np.sign(product) * (np.abs(product) >> 15), -output_up)


def _scaled(x: np.ndarray, scale: np.float32) -> np.ndarray:
    return requant.scale_by(x, *requant.quantize_multiplier_twice(float(scale)))


def _multiplier_of_16_bits(scale: float) -> tuple[int, int]:
    """(m, up) with scale ~ m / 2^15 * 2^up."""
    fraction, up = math.frexp(scale)
    multiplier = math.floor(fraction * 2.0**31 + 0.5)
    if multiplier == 2**31:
        multiplier, up = 2**30, up + 1
    return min((multiplier + (1 << 15)) >> 16, 32767), up


def _high_product(x: np.ndarray, multiplier: int) -> np.ndarray:
    """x * multiplier / 2^15, half up."""
    return (x * multiplier + (1 << 14)) >> 15


def _halved(x: np.ndarray, times: int) -> np.ndarray:
    """x / 2^times, half away from zero."""
    times = min(times, 31)
    return (x + (1 << (times - 1)) - (x < 0)) >> times if times else x


def _saturated(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -32768, 32767)


TABLES: Mapping[str, Integers] = {"Abs": _absolute, "HardSwish": _hard_swish, "LeakyRelu": _leaky_relu}


def _read_table(reader, node) -> bool:
    defaults, _ = FUNCTIONS[node.op_type]
    attributes = reader.attributes(node, **defaults)
    x, sink = reader.activation(node, 0, rows=True), reader.sink(node)
    p, q = x.quantization, sink.quantization
    try:
        values = TABLES[node.op_type](np.arange(256) - p.zero, _scale(p), _scale(q), **attributes)
    except ValueError as error:
        raise reader.unsupported(node, f"{error}; convert the model again") from None
    table = Table(np.clip(values + q.zero, sink.low, sink.high).astype(np.uint8), node.op_type.lower())
    reader.add("table", node, [x], x.shape, q, table)
    return True


def _scale(quantization: Quantization) -> np.float32:
    return np.float32(quantization.scale)


READERS: Mapping[str, Callable[..., bool]] = {
    **dict.fromkeys(TABLES, _read_table),
    **dict.fromkeys(("Add", "Sub"), add_as_tflite.read),
    "Mul": broadcast.read_with_array,  # with one number, too, of integers
}


def read(reader, node) -> bool:
    """Append what a node is in that arithmetic; False where its operator's own `read` does that."""
    return node.op_type in READERS and READERS[node.op_type](reader, node)
