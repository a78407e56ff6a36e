"""The C readers of every weight format, against the Python ones. Packed bytes lie on the heap, exactly as long."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import checks, random_levels
from runtime_library import SANITIZE, Runtime

from lamella.formats import WeightFormat, formats, get

UNPACKING = [record for record in formats().values() if record.c_unpack]
SPARSE = [record for record in formats().values() if record.c_positions]
CHECKS = checks(50)
SHAPES = st.tuples(st.integers(1, 12), st.one_of(st.integers(1, 40), st.integers(1, 3000)))


def c_unpack(lam: Runtime, record: WeightFormat, levels: np.ndarray, steps: list[int]) -> np.ndarray:
    """The levels as C reads them, in calls of the given lengths."""
    with lam.memory() as memory:
        stream = lam.ffi.new("lam_stream *", {"next": memory.bytes(record.pack(levels))})
        parts = []
        for n in steps:
            out = memory.bytes(bytes(2 * n), "int16_t")
            lam.function(record.c_unpack)(stream, out, n)
            parts.append(memory.read(out, n, np.int16))
        return np.concatenate(parts).reshape(levels.shape)


def c_positions(lam: Runtime, record: WeightFormat, levels: np.ndarray) -> np.ndarray:
    """The levels that the positions of all rows describe."""
    rows, cols = levels.shape
    capacity = int((levels != 0).sum(1).max())
    again = np.zeros_like(levels)
    with lam.memory() as memory:
        stream = lam.ffi.new("lam_stream *", {"next": memory.bytes(record.pack(levels))})
        counts = lam.ffi.new("uint32_t[2]")
        for row in range(rows):
            index = memory.bytes(b"\xff" * 2 * capacity, "uint16_t")
            lam.function(record.c_positions)(stream, cols, index, capacity, counts, counts + 1)
            found = memory.read(index, capacity, np.uint16).astype(np.int64)
            plus, minus = found[: counts[0]], found[::-1][: counts[1]]
            assert counts[0] + counts[1] <= capacity
            assert (np.diff(plus) > 0).all() and (np.diff(minus) > 0).all()
            again[row, plus], again[row, minus] = 1, -1
    return again


@pytest.mark.parametrize("record", UNPACKING, ids=lambda r: r.name)
@CHECKS
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_c_unpacks_what_python_packed(lam: Runtime, record: WeightFormat, shape, seed: int, cuts: list[int]):
    levels = random_levels(np.random.default_rng(seed), record, *shape)
    steps = []
    for n in cuts:  # calls of any length, across rows
        steps.append(min(n, levels.size - sum(steps)))
    steps.append(levels.size - sum(steps))
    np.testing.assert_array_equal(c_unpack(lam, record, levels, steps), levels)


@CHECKS
@given(
    length=st.sampled_from([2, 4, 8]),
    bits=st.integers(1, 8),
    entries=st.integers(1, 256),
    shape=SHAPES,
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_c_unpacks_repeated_pieces(lam: Runtime, length, bits, entries, shape, seed: int, cuts: list[int]):
    """vectors: codebooks of every width, read in calls that begin and end inside pieces."""
    rng = np.random.default_rng(seed)
    book = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (entries, length)).astype(np.int16)
    size = shape[0] * shape[1]
    levels = book[rng.integers(0, entries, -(-size // length))].ravel()[:size].reshape(shape)
    steps = []
    for n in cuts:
        steps.append(min(n, size - sum(steps)))
    np.testing.assert_array_equal(c_unpack(lam, get("vectors"), levels, [*steps, size - sum(steps)]), levels)


@pytest.mark.parametrize("record", SPARSE, ids=lambda r: r.name)
@CHECKS
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_c_finds_the_positions_python_packed(lam: Runtime, record: WeightFormat, shape, seed: int):
    levels = random_levels(np.random.default_rng(seed), record, *shape)
    np.testing.assert_array_equal(c_positions(lam, record, levels), levels)


#: Zeros around every change of code length; the long ones take long to pack.
SHORT, LONG = (0, 1, 126, 127, 128, 254, 255, 16510), (16509, 16511, 65534)


@pytest.mark.parametrize("record", SPARSE, ids=lambda r: r.name)
@pytest.mark.parametrize("gap", [*SHORT, *([] if os.environ.get(SANITIZE) else LONG)])
def test_positions_survive_long_gaps(lam: Runtime, record: WeightFormat, gap: int):
    """Gaps around every change of code length, alone in a row and across rows of zeros; rows of one column, too."""
    levels = np.zeros((4, 65535), np.int16)
    levels[0, 0], levels[3, gap] = -1, 1
    np.testing.assert_array_equal(c_positions(lam, record, levels), levels)
    one_column = np.zeros((gap + 2, 1), np.int16)
    one_column[-1] = -1
    np.testing.assert_array_equal(c_positions(lam, record, one_column), one_column)
    if record.c_unpack:
        np.testing.assert_array_equal(c_unpack(lam, record, one_column, [one_column.size]), one_column)


@pytest.mark.parametrize("record", SPARSE, ids=lambda r: r.name)
def test_rows_without_levels_have_no_positions(lam: Runtime, record: WeightFormat):
    levels = np.zeros((5, 9), np.int16)
    np.testing.assert_array_equal(c_positions(lam, record, levels), levels)
