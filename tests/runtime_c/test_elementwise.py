"""Sums, differences, products, rescaling, tables, softmax against numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import c_requant, checks
from runtime_library import Runtime
from runtime_reference import Requant

from lamella.requant import quantize_multiplier, quantize_multipliers_shared

CHECKS = checks(100)
BYTE = st.integers(0, 255)
SEEDS = st.integers(0, 2**32 - 1)


@CHECKS
@given(
    scales=st.tuples(*[st.one_of(st.floats(1e-4, 4.0), st.floats(1e-4, 1e6))] * 2),
    zeros=st.tuples(BYTE, BYTE, BYTE),
    limits=st.tuples(BYTE, BYTE),
    seed=SEEDS,
    in_place=st.sampled_from([None, 0, 1]),
)
def test_add_matches_reference(lam: Runtime, scales, zeros, limits, seed: int, in_place):
    """Shifts from 12 to 32, and y in the place of either input."""
    (a_multiplier, b_multiplier), shift = quantize_multipliers_shared(list(scales))
    low, high = sorted(limits)
    x = np.random.default_rng(seed).integers(0, 256, (2, 100)).astype(np.uint8)
    a, b = (x[i].astype(np.int64) - zeros[i] for i in (0, 1))
    total = [int(p) * a_multiplier + int(q) * b_multiplier for p, q in zip(a, b, strict=True)]
    expected = [min(max(zeros[2] + ((t + (1 << (shift - 1))) >> shift), low), high) for t in total]
    fields = {"n": 100, "a_multiplier": a_multiplier, "b_multiplier": b_multiplier, "shift": shift}
    fields |= {"a_zero": zeros[0], "b_zero": zeros[1], "zero": zeros[2], "low": low, "high": high}
    with lam.memory() as memory:
        inputs = [memory.array("uint8_t", row) for row in x]
        y = memory.blank(100) if in_place is None else inputs[in_place]
        lam.lib.lam_add(lam.ffi.new("lam_add_desc *", fields), *inputs, y)
        np.testing.assert_array_equal(memory.read(y, 100), expected)


@CHECKS
@given(scale=st.floats(1e-3, 100.0), in_zero=BYTE, zero=BYTE, in_place=st.booleans())
def test_rescale_matches_reference(lam: Runtime, scale: float, in_zero: int, zero: int, in_place: bool):
    multiplier, shift = quantize_multiplier(scale)
    q = Requant(np.array([multiplier]), np.array([shift]), zero, 3, 250)
    values = np.arange(256)
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_rescale_desc *", {"n": 256, "in_zero": in_zero, "q": c_requant(memory, q)})
        x = memory.array("uint8_t", values)
        y = x if in_place else memory.blank(256)
        lam.lib.lam_rescale(desc, x, y)
        np.testing.assert_array_equal(memory.read(y, 256), q.at(values - in_zero))


@CHECKS
@given(
    rows=st.integers(1, 3),
    cols=st.integers(1, 40),
    scale=st.floats(0.001, 0.5),
    multiplier=st.sampled_from([1, 255, 256, 65536]),
    zero=BYTE,
    seed=SEEDS,
    in_place=st.booleans(),
)
def test_softmax_matches_reference(lam: Runtime, rows, cols, scale, multiplier, zero, seed, in_place):
    exp = np.floor(2.0**23 * np.exp(-scale * np.arange(256)) + 0.5).astype(np.int64)
    x = np.random.default_rng(seed).integers(0, 256, (rows, cols))
    e = exp[x.max(1, keepdims=True) - x]
    total = e.sum(1, keepdims=True)
    expected = np.minimum(255, zero + (e * multiplier + total // 2) // total)
    with lam.memory() as memory:
        fields = {"rows": rows, "cols": cols, "exp": memory.array("uint32_t", exp)}
        desc = lam.ffi.new("lam_softmax_desc *", {**fields, "multiplier": multiplier, "zero": zero})
        source = memory.array("uint8_t", x)
        y = source if in_place else memory.blank(x.size)
        lam.lib.lam_softmax(desc, source, y)
        np.testing.assert_array_equal(memory.read(y, x.size).reshape(x.shape), expected)


def test_softmax_sums_thousands_of_largest_values(lam: Runtime):
    """600 equal values sum to more than 2^32; each gets 1/600 of 65536, rounded."""
    with lam.memory() as memory:
        exp = np.full(256, 2**23)
        desc = lam.ffi.new("lam_softmax_desc *", {"rows": 1, "cols": 600, "exp": memory.array("uint32_t", exp)})
        desc.multiplier = 65536
        y = memory.blank(600)
        lam.lib.lam_softmax(desc, memory.array("uint8_t", np.zeros(600)), y)
        np.testing.assert_array_equal(memory.read(y, 600), np.full(600, 109))


@CHECKS
@given(
    scales=st.tuples(st.floats(1e-5, 0.999), st.floats(1e-5, 0.999)),
    zeros=st.tuples(BYTE, BYTE, BYTE),
    limits=st.sampled_from([(0, 255), (17, 17), (100, 200)]),
    seed=SEEDS,
    in_place=st.sampled_from([None, 0, 1]),
)
def test_both_subtractions_match_reference(lam: Runtime, scales, zeros, limits, seed: int, in_place):
    """Scales below one, so that both serve; sums at both ends of their range among them."""
    (a_multiplier, b_multiplier), shift = quantize_multipliers_shared(list(scales))
    x = np.random.default_rng(seed).integers(0, 256, (2, 100)).astype(np.uint8)
    x[:, :4] = [[0, 0, 255, 255], [0, 255, 0, 255]]
    a, b = (x[i].astype(np.int64) - zeros[i] for i in (0, 1))
    total = [int(p) * a_multiplier - int(q) * b_multiplier for p, q in zip(a, b, strict=True)]
    expected = [min(max(zeros[2] + ((t + (1 << (shift - 1))) >> shift), limits[0]), limits[1]) for t in total]
    fields = {"n": 100, "a_multiplier": a_multiplier, "b_multiplier": -b_multiplier, "shift": shift}
    fields |= {"a_zero": zeros[0], "b_zero": zeros[1], "zero": zeros[2], "low": limits[0], "high": limits[1]}
    for function in (lam.lib.lam_add, lam.lib.lam_subtract):
        if b_multiplier == 0 and function == lam.lib.lam_subtract:
            continue
        with lam.memory() as memory:
            inputs = [memory.array("uint8_t", row) for row in x]
            y = memory.blank(100) if in_place is None else inputs[in_place]
            function(lam.ffi.new("lam_add_desc *", fields), *inputs, y)
            np.testing.assert_array_equal(memory.read(y, 100), expected)


@CHECKS
@given(
    scale=st.floats(1e-6, 100.0),
    zeros=st.tuples(BYTE, BYTE, BYTE),
    limits=st.sampled_from([(0, 255), (3, 250)]),
    in_place=st.booleans(),
)
def test_mul_matches_reference(lam: Runtime, scale: float, zeros, limits, in_place: bool):
    """Every value of a with sixteen of b."""
    multiplier, shift = quantize_multiplier(scale)
    q = Requant(np.array([multiplier]), np.array([shift]), zeros[2], *limits)
    a, b = (v.ravel() for v in np.meshgrid(np.arange(256), np.arange(0, 256, 17)))
    with lam.memory() as memory:
        fields = {"n": a.size, "a_zero": zeros[0], "b_zero": zeros[1], "q": c_requant(memory, q)}
        inputs = [memory.array("uint8_t", v) for v in (a, b)]
        y = inputs[1] if in_place else memory.blank(a.size)
        lam.lib.lam_mul(lam.ffi.new("lam_mul_desc *", fields), *inputs, y)
        np.testing.assert_array_equal(memory.read(y, a.size), q.at((a - zeros[0]) * (b - zeros[1])))


def test_table_is_looked_up(lam: Runtime):
    table = np.random.default_rng(0).permutation(256)
    with lam.memory() as memory:
        x = memory.array("uint8_t", np.arange(256))
        desc = lam.ffi.new("lam_table_desc *", {"n": 256, "table": memory.array("uint8_t", table)})
        lam.lib.lam_table(desc, x, x)
        np.testing.assert_array_equal(memory.read(x, 256), table)
