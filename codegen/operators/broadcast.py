"""Arithmetic of operands of different shapes, by numpy's rules.

Two activations: the smaller one is repeated (operator expand). Constants: a product, sum or difference with them is a
depthwise convolution of 1 x 1 pixels, one channel for each number, which any core has fast kernels for.
"""

from math import prod

import numpy as np

from lamella.codegen import weights
from lamella.codegen.ir import Tensor
from lamella.codegen.operators import expand
from lamella.codegen.operators.concat import Concat
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.maxpool2d import MaxPool2d
from lamella.codegen.operators.windows import Window

#: A sum with constants: the activation counts so many steps, the constant is rounded to one of them.
STEPS = 127
#: Constants of one operator.
MOST = 65535


def activations(reader, node) -> tuple[Tensor, Tensor]:
    """Both inputs, repeated to the shape of the result where they are smaller."""
    a, b = reader.activation(node, 0), reader.activation(node, 1)
    shape = expand.broadcast(reader, node, a.shape, b.shape)
    return tuple(x if x.shape == shape else expand.add(reader, node, x, shape) for x in (a, b))


def read_with_array(reader, node) -> bool:
    """Add, Sub, Mul or Div of an activation and constants of any shape that broadcasts; False if none is constant."""
    constant = [reader.is_constant(name) for name in node.input]
    if not any(constant):
        return False
    reader.attributes(node)
    k = constant.index(True)
    if node.op_type == "Div" and k == 0:
        raise reader.unsupported(node, "constants divided by an activation; one number can be")
    x = reader.activation(node, 1 - k)
    real = np.asarray(reader.constant(node, k), np.float64)
    shape = expand.broadcast(reader, node, x.shape, real.shape)
    if shape != x.shape:
        x = expand.add(reader, node, x, shape)
    inner, spread = _channels(shape, real.shape)
    exact = reader.integers_of(node.input[k]) if node.op_type == "Mul" else None
    if exact is not None:
        levels, scales, bias = spread(exact[0]), exact[1], None
    elif node.op_type in ("Mul", "Div"):
        levels, scales, bias = _product(spread(real if node.op_type == "Mul" else 1 / real))
    else:
        levels, scales, bias = _sum(node.op_type, k, spread(real), x)
    if not np.isfinite(scales).all() or (bias is not None and np.abs(bias).max() >= 2**31):
        raise reader.unsupported(node, "constants too large, or a division by zero")
    _add(reader, node, x, inner, levels, scales, np.zeros(len(levels), np.int64) if bias is None else bias)
    return True


def read_extreme(reader, node) -> None:
    """Max or Min of two activations: one beside the other in the result's scale, then maximum pooling over the pair; for
    the smaller one of 255 - x."""
    from lamella.codegen.operators.table import Table  # which hands its operands on to this module

    a, b = activations(reader, node)
    channels, inner = prod(a.shape[:2]), prod(a.shape[2:])
    if max(channels, inner) > 65535:
        raise reader.unsupported(node, f"an activation of shape {a.shape}: more than 65535 values a channel")
    sink = reader.sink(node)
    y = sink.quantization
    requants = tuple(reader.requant(node, x.quantization.scale, np.ones(1), sink) for x in (a, b))
    sides = [reader.view(node, x, (1, channels, 1, inner)) for x in (a, b)]
    both = reader.add_hidden("concat", node, sides, (1, channels, 2, inner), y, Concat(2, requants))
    window = Window((2, 1), (2, 1))
    if node.op_type == "Max":
        best = reader.add_hidden("maxpool2d", node, [both], (1, channels, 1, inner), y, MaxPool2d(window))
    else:
        flip = Table(np.arange(255, -1, -1).astype(np.uint8), "255 - x")
        turned = reader.add_hidden("table", node, [both], both.shape, y, flip)
        best = reader.add_hidden("maxpool2d", node, [turned], (1, channels, 1, inner), y, MaxPool2d(window))
        best = reader.add_hidden("table", node, [best], best.shape, y, flip)
    reader.view(node, best, a.shape, node.output[0])


def read_batch_normalization(reader, node) -> None:
    """BatchNormalization that stands alone; behind a convolution that is not quantised it is folded into that."""
    x = reader.activation(node, 0)
    factor, offset = batch_normalization(reader, node, x.shape[1] if len(x.shape) > 1 else 0)
    levels, scales, _ = _product(factor)
    bias = np.floor(offset / (float(np.float32(x.quantization.scale)) * scales.astype(np.float64)) + 0.5)
    if not np.isfinite(bias).all() or np.abs(bias).max(initial=0) >= 2**31:
        raise reader.unsupported(node, "an offset too large for its scales")
    _add(reader, node, x, prod(x.shape[2:]), levels, scales, bias)


def batch_normalization(reader, node, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """A BatchNormalization as y = factor * x + offset for each channel."""
    a = reader.attributes(node, epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1)
    parts = [np.asarray(reader.constant(node, k), np.float64) for k in range(1, 5)]
    if a["training_mode"] or any(part.shape != (channels,) for part in parts):
        raise reader.unsupported(node, f"training_mode, or statistics that are not of {channels} channels")
    gamma, beta, mean, variance = parts
    factor = gamma / np.sqrt(np.maximum(variance, 0) + a["epsilon"])
    return factor, beta - mean * factor


def _channels(shape: tuple[int, ...], constant: tuple[int, ...]):
    """Values that share one constant (the innermost axes), and how constants are laid out for all others."""
    aligned = (1,) * (len(shape) - len(constant)) + tuple(constant)
    axis = max((a for a, d in enumerate(aligned) if d > 1), default=0)
    inner = prod(shape[axis + 1 :])

    def spread(values: np.ndarray) -> np.ndarray:
        full = np.broadcast_to(np.reshape(values, aligned), (*shape[: axis + 1], *(1,) * (len(shape) - axis - 1)))
        return np.ascontiguousarray(full).reshape(-1)

    return inner, spread


def pattern(reader, node, shape: tuple[int, ...], constant: tuple[int, ...]):
    """How often constants repeat (the outermost axes), values that share one (the innermost), and how they are laid out."""
    aligned = (1,) * (len(shape) - len(constant)) + tuple(constant)
    axis = next((a for a, d in enumerate(aligned) if d > 1), 0)
    times = prod(shape[:axis])
    inner, spread = _channels(shape[axis:], aligned[axis:])
    if prod(shape) // (times * inner) > MOST:
        raise reader.unsupported(node, f"more than {MOST} constants")
    return times, inner, spread


def _product(real: np.ndarray):
    """Levels of +-127 and a scale for each: as exact as a multiplier is."""
    levels = np.where(real < 0, -STEPS, np.where(real > 0, STEPS, 0))
    scales = np.where(real == 0, 1.0, np.abs(real) / STEPS).astype(np.float32)
    return levels, scales, None


def _sum(kind: str, k: int, real: np.ndarray, x: Tensor):
    """x + c, x - c or c - x in steps of x's scale / STEPS."""
    sign = -1 if kind == "Sub" and k == 0 else 1
    number = -real if kind == "Sub" and k == 1 else real
    scale = np.float32(1 / STEPS)
    bias = np.floor(number / (float(np.float32(x.quantization.scale)) * float(scale)) + 0.5)
    return np.full(real.shape, sign * STEPS), np.array([scale], np.float32), bias


def _add(reader, node, x: Tensor, inner: int, levels, scales, bias) -> None:
    """The convolution over views of input and output."""
    count = len(levels)
    if count > MOST:
        raise reader.unsupported(node, f"more than {MOST} constants")
    levels = levels.astype(np.int16).reshape(count, 1, 1, 1)
    bias = bias.astype(np.int64)
    weights.refuse_overflow(reader, node, levels, bias, x.quantization.zero)
    sink = reader.sink(node)
    requant = reader.requant(node, x.quantization.scale, scales, sink)
    rows, columns = (1, inner) if inner <= 65535 else _sides(reader, node, inner)
    image = reader.view(node, x, (1, count, rows, columns))
    attributes = Conv2d(levels, scales, bias, Window((1, 1)), count, requant)
    result = reader.add_hidden("conv2d", node, [image], (1, count, rows, columns), sink.quantization, attributes)
    reader.view(node, result, x.shape, node.output[0])


def _sides(reader, node, inner: int) -> tuple[int, int]:
    side = next((d for d in range(int(inner**0.5), 0, -1) if inner % d == 0), 1)
    if inner // side > 65535:
        raise reader.unsupported(node, f"{inner} values that share one constant")
    return side, inner // side
