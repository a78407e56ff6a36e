"""Layers to measure of the operators that attention, U-Nets, classifiers and TFLite files bring."""

import random

import numpy as np
import shapes

from lamella import requant
from lamella.codegen.ir import Quantization, Requant, Sink, Tensor
from lamella.codegen.operators import add_as_tflite, argmax, expand, layernorm, matmul, prelu, resize

Q = Quantization(0.05, 128)


def _scaled(scale: float) -> Requant:
    multiplier, shift = requant.quantize_multiplier(scale)
    return Requant(np.array([multiplier]), np.array([shift]), 128, 0, 255)


def _expand(rng: random.Random, seed: int) -> shapes.Layer:
    rows, cols = rng.choice([4, 8, 16]), rng.choice([4, 6, 12])
    a = rng.choice([
        expand.Expand(rows * 8, 2, cols, 2, 1), expand.Expand(1, 1, rows, cols * cols, 1),
        expand.Expand(1, rows, cols, 1, 1), expand.Expand(rows, rng.choice([2, 9]), 1, 1, cols),
        expand.Expand(2, 1, rows, 3, cols),
    ])  # fmt: skip
    x = Tensor("x", (1, a.outer, a.middle, a.inner), Q)
    y = Tensor("y", (1, a.outer, a.times, a.middle, a.copies, a.inner), Q)
    return shapes._one("expand", [x], y, a, seed)


def _matmul(rng: random.Random, seed: int) -> shapes.Layer:
    batch, rows, depth, cols = (rng.choice(n) for n in ([1, 2, 4], [4, 10, 25], [4, 8, 16, 32], [4, 10, 25]))
    transposed = rng.random() < 0.5
    a = Tensor("a", (1, batch, rows, depth), Q)
    b = Tensor("b", (1, batch, cols, depth) if transposed else (1, batch, depth, cols), Q)
    way = matmul.MatMul(_scaled(rng.choice([0.003, 0.01])), transposed)
    return shapes._one("matmul", [a, b], Tensor("y", (1, batch, rows, cols), Q), way, seed)


def _layernorm(rng: random.Random, seed: int) -> shapes.Layer:
    cols, values = rng.choice([4, 16, 32, 64, 128]), np.random.default_rng(seed)
    x = Tensor("x", (1, rng.choice([1, 6, 20]), cols), Q)
    gamma, beta = values.integers(200, 1000, cols).astype(np.int16), values.integers(-99999, 99999, cols)
    way = layernorm.LayerNorm(cols, cols * cols // 250, gamma, beta.astype(np.int64), _scaled(1e-5))
    return shapes._one("layernorm", [x], Tensor("y", x.shape, Q), way, seed)


def _argmax(rng: random.Random, seed: int) -> shapes.Layer:
    shape = rng.choice([(1, 10, 1), (1, 100, 1), (1, 4, 64), (1, 21, 40), (1, 2, 200)])
    axis = 1 if shape[2] > 1 or rng.random() < 0.5 else 2
    shape = (1, shape[2], shape[1]) if axis == 2 else shape
    y = Tensor("y", tuple(1 if k == axis else n for k, n in enumerate(shape)), argmax.PLACES)
    return shapes._one("argmax", [Tensor("x", shape, Q)], y, argmax.ArgMax(axis), seed)


def _resize(rng: random.Random, seed: int) -> shapes.Layer:
    channels, rows, cols = rng.choice([1, 4, 8]), rng.choice([4, 8, 12]), rng.choice([4, 7, 12])
    factor = rng.choice([1.5, 2, 3])
    sizes = (int(rows * factor), int(cols * factor))
    taps = [
        resize._taps(resize._places(n, m, m / n, "half_pixel"), n) for n, m in zip((rows, cols), sizes, strict=True)
    ]
    way = resize.Resize(*taps[0], *taps[1], _scaled(0.9 / resize.ONE**2))
    x, y = Tensor("x", (1, channels, rows, cols), Q), Tensor("y", (1, channels, *sizes), Q)
    return shapes._one("resize", [x], y, way, seed)


def _add_as_tflite(rng: random.Random, seed: int) -> shapes.Layer:
    shape = (1, rng.choice([4, 16, 40]), rng.choice([1, 8, 25, 100]))
    x, y, sink = Tensor("x", shape, Q), Tensor("y", shape, Q), Sink(Q)
    values = np.random.default_rng(seed)
    b = Tensor("b", shape, Quantization(float(values.uniform(0.02, 0.1)), 120))
    scales = [Q.scale, b.quantization.scale]
    if rng.random() < 0.5:
        way = add_as_tflite.attributes_of(False, sink, scales, (1, 1))
        return shapes._one("add_as_tflite", [x, b], y, way, seed)
    levels = values.integers(-255, 256, shape[1])
    way = add_as_tflite.attributes_of(False, sink, scales, (1, 1), 1, levels, shape[2])
    return shapes._one("add_as_tflite", [x], y, way, seed)


def _prelu(rng: random.Random, seed: int) -> shapes.Layer:
    shape = (1, rng.choice([4, 16, 40]), rng.choice([1, 8, 25, 100]))
    slopes = np.random.default_rng(seed).integers(-255, 256, shape[1]).astype(np.int16)
    same, below = (_scaled(scale) for scale in rng.choice([(0.4, 0.002), (0.9, 0.004)]))
    way = prelu.PRelu(slopes, shape[2], 1, same, below)
    return shapes._one("prelu", [Tensor("x", shape, Q)], Tensor("y", shape, Q), way, seed)


MORE = (_expand, _matmul, _layernorm, _argmax, _resize, _add_as_tflite, _prelu)
