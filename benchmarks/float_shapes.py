"""Layers to measure of the operators in float32."""

import random

import numpy as np
import shapes

from lamella.codegen import float_math
from lamella.codegen.ir import Quantization, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.float_binary import FloatBinary
from lamella.codegen.operators.float_conv2d import FloatConv2d
from lamella.codegen.operators.float_dequantize import FloatDequantize
from lamella.codegen.operators.float_matmul import FloatMatmul
from lamella.codegen.operators.float_pick import FloatPick
from lamella.codegen.operators.float_pool import FloatPool
from lamella.codegen.operators.float_quantize import FloatQuantize
from lamella.codegen.operators.float_reduce import FloatReduce
from lamella.codegen.operators.float_unary import FloatUnary
from lamella.codegen.operators.windows import Window

Q = Quantization(0.05, 128)
#: Reductions that networks have, with what they begin with.
REDUCTIONS = {"add": 0.0, "max": None, "min": None, "mul": 1.0, "add_square": 0.0, "add_abs": 0.0}


def _layer(op: str, inputs: list[Tensor], y: Tensor, attributes: object, seed: int) -> shapes.Layer:
    values = np.random.default_rng(seed)
    given = {
        x.name: values.normal(0, 1, x.shape).astype(np.float32)
        if x.is_float
        else values.integers(0, 256, x.shape).astype(np.uint8)
        for x in inputs
    }
    return shapes.Layer(op, sampling.graph(op, inputs, y, attributes), given)


def _tensor(name: str, *shape: int) -> Tensor:
    return Tensor(name, (1, *shape), None)


def _unary(rng: random.Random, seed: int) -> shapes.Layer:
    n = rng.choice([1, 10, 100, 1000])
    attributes = FloatUnary(rng.choice(sorted(float_math.UNARY)), 0.5, 1.0)
    return _layer("float_unary", [_tensor("x", n)], _tensor("y", n), attributes, seed)


def _binary(rng: random.Random, seed: int) -> shapes.Layer:
    shape = (rng.choice([1, 8]), rng.choice([1, 30]), rng.choice([4, 20]))
    other = tuple(d if rng.random() < 0.6 else 1 for d in shape)
    constant = np.random.default_rng(seed).normal(0, 1, other).astype(np.float32) if rng.random() < 0.5 else None
    attributes = FloatBinary(rng.choice(sorted(float_math.BINARY)), shape, (shape, other), None, constant)
    inputs = [_tensor("x", *shape), *([_tensor("b", *other)] if constant is None else [])]
    return _layer("float_binary", inputs, _tensor("y", *shape), attributes, seed)


def _reduce(rng: random.Random, seed: int) -> shapes.Layer:
    shape = (rng.choice([1, 8, 20]), rng.choice([1, 10, 49, 200]))
    function = rng.choice(sorted(REDUCTIONS))
    attributes = FloatReduce(function, shape, (rng.choice([0, 1]),), REDUCTIONS[function], rng.choice([1.0, 49.0]))
    y = _tensor("y", *(d for k, d in enumerate(shape) if k not in attributes.axes))
    return _layer("float_reduce", [_tensor("x", *shape)], y, attributes, seed)


def _pick(rng: random.Random, seed: int) -> shapes.Layer:
    shape = tuple(rng.choice([1, 3, 8, 12]) for _ in range(rng.choice([1, 2, 3])))
    steps = [int(np.prod(shape[k + 1 :])) for k in range(len(shape))]
    at = [np.arange(d) * s for d, s in zip(shape, steps, strict=True)]
    rng.shuffle(at)
    attributes = FloatPick(tuple(a.astype(np.int32) for a in at))
    return _layer("float_pick", [_tensor("x", *shape)], _tensor("y", *attributes.shape), attributes, seed)


def _matmul(rng: random.Random, seed: int) -> shapes.Layer:
    batch, rows, inner, cols = (rng.choice(n) for n in ([1, 3], [1, 1, 10], [4, 16, 64, 200], [1, 10, 32]))
    values = np.random.default_rng(seed).normal(0, 1, (inner, cols)).astype(np.float32)
    attributes = FloatMatmul(((batch, rows, inner), (inner, cols)), b=values)
    return _layer("float_matmul", [_tensor("x", batch, rows, inner)], _tensor("y", batch, rows, cols), attributes, seed)


def _conv(rng: random.Random, seed: int) -> shapes.Layer:
    kernel = rng.choice([(1, 1), (3, 3), (3, 3), (1, 5), (5, 5)])
    window = Window(kernel, (rng.choice([1, 2]),) * 2, (1, 1), (kernel[0] // 2, kernel[1] // 2) * 2)
    groups, filters, per_group = rng.choice([1, 1, 2, 4]), rng.choice([4, 8]), rng.choice([1, 2, 6])
    shape, weights_shape = (
        (1, groups * per_group, rng.choice([1, 6, 10]), rng.choice([6, 12])),
        (filters, per_group, *kernel),
    )
    values = np.random.default_rng(seed)
    weights, bias = (values.normal(0, 1, s).astype(np.float32) for s in (weights_shape, filters))
    attributes = FloatConv2d(shape, weights_shape, window, groups, True, weights, bias)
    return _layer("float_conv2d", [_tensor("x", *shape)], _tensor("y", *attributes.out_shape), attributes, seed)


def _pool(rng: random.Random, seed: int) -> shapes.Layer:
    window = Window(rng.choice([(2, 2), (3, 3), (1, 4)]), (2, 2), (1, 1), (0, 0, 0, 0))
    shape = (rng.choice([1, 4, 8]), rng.choice([4, 9]), rng.choice([4, 12]))
    out = window.out_size(shape[1:])
    attributes = FloatPool(rng.random() < 0.5, False, shape, window, out)
    return _layer("float_pool", [_tensor("x", *shape)], _tensor("y", shape[0], *out), attributes, seed)


def _quantize(rng: random.Random, seed: int) -> shapes.Layer:
    n = rng.choice([1, 10, 100, 1000])
    return _layer("float_quantize", [_tensor("x", n)], Tensor("y", (1, n), Q), FloatQuantize(), seed)


def _dequantize(rng: random.Random, seed: int) -> shapes.Layer:
    n = rng.choice([1, 10, 100, 1000])
    return _layer("float_dequantize", [Tensor("x", (1, n), Q)], _tensor("y", n), FloatDequantize(), seed)


def varied(rng: random.Random, seed: int) -> shapes.Layer:
    """A layer in float32; more of those with a function, of which there are many."""
    kinds = [_unary] * 8 + [_binary] * 4 + [_reduce] * 2
    return rng.choice([*kinds, _pick, _matmul, _conv, _pool, _quantize, _dequantize])(rng, seed)
