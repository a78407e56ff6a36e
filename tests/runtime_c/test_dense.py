"""Fully connected layers, for every weight format, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import c_requant, checks, random_levels, random_pixels, random_requant
from runtime_library import Memory, Runtime
from runtime_reference import Requant, dense

from lamella.formats import WeightFormat, formats, get

CHECKS = checks(40)
SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 300), st.integers(1, 3))
SEEDS = st.integers(0, 2**32 - 1)


def random_layer(seed: int, record: WeightFormat, shape: tuple[int, int, int]):
    """Levels, bias, requantisation, input and expected output."""
    rows, cols, batch = shape
    rng = np.random.default_rng(seed)
    levels = random_levels(rng, record, rows, cols)
    bias, x = rng.integers(-3000, 3001, rows), random_pixels(rng, (batch, cols))
    q = random_requant(rng, rows, float(np.abs(x.astype(np.int64) @ levels.T.astype(np.int64) + bias).max()))
    return levels, bias, q, x, dense(levels, bias, q, x)


def c_shape(memory: Memory, levels: np.ndarray, bias: np.ndarray, q: Requant, batch: int) -> dict:
    """lam_dense_shape for cffi."""
    rows, cols = levels.shape
    shape = {"bias": memory.array("int32_t", bias), "q": c_requant(memory, q)}
    return {**shape, "rows": rows, "cols": cols, "batch": batch}


@pytest.mark.parametrize("record", [r for r in formats().values() if r.c_unpack], ids=lambda r: r.name)
@CHECKS
@given(shape=SHAPES, seed=SEEDS)
def test_dense_matches_reference(lam: Runtime, record: WeightFormat, shape, seed: int):
    levels, bias, q, x, expected = random_layer(seed, record, shape)
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_dense_desc *", {"shape": c_shape(memory, levels, bias, q, len(x))})
        desc.unpack, desc.weights = lam.function(record.c_unpack), memory.bytes(record.pack(levels))
        y = memory.blank(expected.size)
        lam.lib.lam_dense(desc, memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)


@CHECKS
@given(shape=SHAPES, seed=SEEDS)
def test_dense_int8_matches_reference(lam: Runtime, shape, seed: int):
    levels, bias, q, x, expected = random_layer(seed, get("int8"), shape)
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_dense_int8_desc *", {"shape": c_shape(memory, levels, bias, q, len(x))})
        desc.weights = memory.bytes(get("int8").pack(levels), "int8_t")
        y = memory.blank(expected.size)
        lam.lib.lam_dense_int8(desc, memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)


@pytest.mark.parametrize("record", [r for r in formats().values() if r.c_positions], ids=lambda r: r.name)
@CHECKS
@given(shape=SHAPES, seed=SEEDS)
def test_dense_sparse_matches_reference(lam: Runtime, record: WeightFormat, shape, seed: int):
    levels, bias, q, x, expected = random_layer(seed, record, shape)
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_dense_sparse_desc *", {"shape": c_shape(memory, levels, bias, q, len(x))})
        desc.positions, desc.weights = lam.function(record.c_positions), memory.bytes(record.pack(levels))
        desc.capacity = int((levels != 0).sum(1).max())
        y = memory.blank(expected.size)
        lam.lib.lam_dense_sparse(desc, memory.array("uint8_t", x), y, memory.blank(2 * desc.capacity))
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)
