"""A source of choices for the operators' `sample` functions, from hypothesis (so that failures shrink) or from a seed."""

import random

import numpy as np
from hypothesis import strategies as st

from lamella import requant
from lamella.codegen.ir import Quantization, Requant, Tensor


class Draw:
    """What `sample(draw)` of an operator may ask for. `integer(low, high)` is all a source must give."""

    def __init__(self, integer):
        self.integer = integer

    @classmethod
    def seeded(cls, seed: int) -> "Draw":
        return cls(random.Random(seed).randint)

    def choice(self, options):
        return options[self.integer(0, len(options) - 1)]

    def _rng(self):
        return np.random.default_rng(self.integer(0, 2**31))

    def integers(self, shape, low, high):
        return self._rng().integers(low, high, shape, endpoint=True).astype(np.int64)

    def levels(self, shape):
        """int16 levels of one of the kinds that trainers make."""
        rng = self._rng()
        kind = self.choice(["ternary", "sparse", "dense ternary", "int4", "int8", "int16", "zero", "plus", "minus"])
        if kind == "sparse":
            values = rng.choice([-1, 0, 0, 0, 0, 0, 0, 0, 0, 1], shape)
        else:
            low, high = {
                "ternary": (-1, 1), "dense ternary": (-1, 1), "int4": (-8, 7), "int8": (-128, 127), "int16": (-255, 255),
                "zero": (0, 0), "plus": (1, 1), "minus": (-1, -1),
            }[kind]  # fmt: skip
            values = rng.integers(low, high, shape, endpoint=True)
        return values.astype(np.int16)

    def scales(self, n):
        """float32 weight scales, one or one per channel."""
        count = self.choice([1, n])
        return np.exp(self._rng().uniform(-7, 0, count)).astype(np.float32)

    def quantization(self, around):
        """A quantisation whose scale lies around a value."""
        scale = float(np.float32(around * float(np.exp(self._rng().uniform(-2.5, 1.5)))))
        return Quantization(scale, self.choice([0, 128, 255, self.integer(0, 255)]))

    def floats(self, shape):
        """float32 values of both signs, some of them zero."""
        rng = self._rng()
        return (rng.normal(0, 1, shape) * (rng.random(shape) < 0.9)).astype(np.float32)

    def tensor(self, name, shape):
        return Tensor(name, shape, self.quantization(0.05))

    def range(self):
        """A range of activations."""
        low, high = sorted((self.integer(0, 255), self.integer(0, 255)))
        return self.choice([(0, 255), (low, high)])

    def requant(self, x_scale, w_scales, y):
        m, s = requant.quantize_multipliers(x_scale, np.atleast_1d(w_scales), y.scale)
        low, high = self.range()
        return Requant(m, s, y.zero, low, high)


@st.composite
def graphs(draw, sample):
    """Random graphs of one operator."""
    return sample(Draw(lambda low, high: draw(st.integers(low, high))))


def inputs_of(graph, seed, samples=1):
    """Random inputs by tensor name: uint8, sometimes at the ends of the range; float32 of any size, sometimes not finite."""
    rng = np.random.default_rng(seed)
    return {
        port.tensor: _values(rng, seed % 4, (samples, *graph.tensor_of(port).shape[1:]), graph.tensor_of(port).is_float)
        for port in graph.inputs
    }


def _values(rng, kind, shape, is_float):
    if is_float:
        x = rng.normal(0, [1, 10, 1e-3, 100][kind], shape).astype(np.float32)
        odd = np.array([0, -0.0, 0.5, -2.5, 3, 1e38, -1e38, 1e-40, np.inf, -np.inf, np.nan], np.float32)
        return np.where(rng.random(shape) < [0, 0.1, 0, 0.3][kind], rng.choice(odd, shape), x)
    if kind in (1, 2):
        return np.full(shape, 255 if kind == 1 else 0, np.uint8)
    return rng.integers(0, 256, shape, dtype=np.uint8)
