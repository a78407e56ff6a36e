"""Padding, concatenation, copying, slices, transposition and loops against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import c_requant, checks
from runtime_library import Runtime
from runtime_reference import Requant

CHECKS = checks(50)
SEEDS = st.integers(0, 2**32 - 1)


@CHECKS
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    value=st.integers(0, 255),
    seed=SEEDS,
)
def test_pad2d_matches_reference(lam: Runtime, shape, pads, value: int, seed: int):
    x = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    top, left, bottom, right = pads
    expected = np.pad(x, ((0, 0), (top, bottom), (left, right)), constant_values=value)
    fields = dict(zip(("channels", "in_h", "in_w"), shape, strict=True))
    fields |= {"top": top, "left": left, "bottom": bottom, "right": right, "value": value}
    with lam.memory() as memory:
        y = memory.blank(expected.size)
        lam.lib.lam_pad2d(lam.ffi.new("lam_pad2d_desc *", fields), memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)
        y = memory.array("uint8_t", np.concatenate([x.reshape(-1), np.zeros(expected.size - x.size, np.uint8)]))
        lam.lib.lam_pad2d(lam.ffi.new("lam_pad2d_desc *", fields), y, y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)


@CHECKS
@given(outer=st.integers(1, 4), sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=SEEDS)
def test_concat_matches_reference(lam: Runtime, outer: int, sizes: list[int], seed: int):
    """Every other part is requantised on the way, every third is a constant."""
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(0, 256, (outer, n)).astype(np.uint8) for n in sizes]
    q = Requant(np.array([2**30]), np.array([30 + seed % 3]), zero=5, high=200)
    fixed = range(seed % 3, len(sizes), 3)
    scaled = [i % 2 and i not in fixed for i in range(len(sizes))]
    expected = np.concatenate([q.at(x.astype(np.int64) - 9) if scaled[i] else x for i, x in enumerate(inputs)], axis=1)
    with lam.memory() as memory:
        parts = lam.ffi.new("lam_concat_part[]", len(sizes))
        for i, n in enumerate(sizes):
            parts[i].bytes, parts[i].rescale, parts[i].in_zero = n, scaled[i], 9
            if i in fixed:
                parts[i].values = memory.array("uint8_t", inputs[i])
            parts[i].q = lam.ffi.new("lam_requant *", c_requant(memory, q))[0]
        desc = lam.ffi.new("lam_concat_desc *", {"outer": outer, "n_parts": len(sizes), "parts": parts})
        y = memory.blank(expected.size)
        given = [memory.array("uint8_t", part) for i, part in enumerate(inputs) if i not in fixed]
        x = lam.ffi.new("uint8_t *[]", given)
        lam.lib.lam_concat(desc, x, y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)


@pytest.mark.parametrize("offset", [0, 128])
@pytest.mark.parametrize("in_place", [False, True])
def test_copy_turns_int8_into_uint8_and_back(lam: Runtime, offset: int, in_place: bool):
    x = np.arange(256, dtype=np.uint8)
    with lam.memory() as memory:
        source = memory.array("uint8_t", x)
        y = source if in_place else memory.blank(256)
        lam.lib.lam_copy(source, y, 256, offset)
        np.testing.assert_array_equal(memory.read(y, 256), (x + np.uint8(offset)).astype(np.uint8))


@CHECKS
@given(
    n=st.integers(0, 19), x_at=st.integers(0, 3), y_at=st.integers(0, 3), offset=st.sampled_from([0, 128]), seed=SEEDS
)
def test_copy_of_any_length_at_any_address(lam: Runtime, n: int, x_at: int, y_at: int, offset: int, seed: int):
    x, around = (np.random.default_rng([seed, k]).integers(0, 256, 32).astype(np.uint8) for k in range(2))
    expected = around.copy()
    expected[y_at : y_at + n] = x[x_at : x_at + n] + np.uint8(offset)
    with lam.memory() as memory:
        source, y = memory.array("uint8_t", x), memory.array("uint8_t", around)
        lam.lib.lam_copy(source + x_at, y + y_at, n, offset)
        np.testing.assert_array_equal(memory.read(y, 32), expected)


@CHECKS
@given(shape=st.tuples(*[st.integers(1, 6)] * 3), seed=SEEDS, data=st.data())
def test_slice_matches_reference(lam: Runtime, shape, seed: int, data):
    axis = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, shape[axis] - 1))
    count = data.draw(st.integers(1, shape[axis] - start))
    x = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    expected = np.take(x, range(start, start + count), axis)
    inner = int(np.prod(shape[axis + 1 :]))
    fields = {"runs": int(np.prod(shape[:axis])), "pitch": shape[axis] * inner, "start": start * inner}
    with lam.memory() as memory:
        y = memory.blank(expected.size)
        desc = lam.ffi.new("lam_slice_desc *", {**fields, "bytes": count * inner})
        lam.lib.lam_slice(desc, memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)


@CHECKS
@given(shape=st.tuples(*[st.integers(1, 5)] * 4), seed=SEEDS)
def test_transpose_matches_reference(lam: Runtime, shape, seed: int):
    x = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    fields = dict(zip(("outer", "rows", "cols", "inner"), shape, strict=True))
    with lam.memory() as memory:
        y = memory.blank(x.size)
        lam.lib.lam_transpose(lam.ffi.new("lam_transpose_desc *", fields), memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, x.size), x.transpose(0, 2, 1, 3).ravel())


@CHECKS
@given(steps=st.integers(1, 5), width=st.integers(1, 9), back=st.booleans(), out_back=st.booleans(), seed=SEEDS)
def test_scan_hands_states_on(lam: Runtime, steps: int, width: int, back: bool, out_back: bool, seed: int):
    """Three states: the sum of the inputs so far, the input before, a given one that stays. Their sum, of every step and of
    the last one, and the first state are the results."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (steps, width)).astype(np.uint8)
    given, before_first = rng.integers(0, 256, (2, width)).astype(np.uint8)
    total, before, kept, input_at, total_next, before_next, result, size = (k * width for k in range(8))

    @lam.ffi.callback("void(uint8_t *)")
    def step(a):
        for i in range(width):
            a[total_next + i] = (a[total + i] + a[input_at + i]) & 255
            a[before_next + i] = a[input_at + i]
            a[result + i] = (a[total_next + i] + a[before + i] + a[kept + i]) & 255

    first = lam.ffi.new("uint8_t[]", before_first.tobytes())
    states = lam.ffi.new("lam_scan_state[]", [
        {"at": total, "next": total_next, "bytes": width, "fill": 7},
        {"at": before, "next": before_next, "bytes": width, "first": first},
        {"at": kept, "next": kept, "bytes": width, "given": 1},
    ])  # fmt: skip
    results = lam.ffi.new("lam_scan_result[]", [
        {"at": result, "bytes": width, "sequence": 1, "backwards": out_back},
        {"at": result, "bytes": width},
        {"at": total_next, "bytes": width},
    ])  # fmt: skip
    inputs = lam.ffi.new("lam_scan_input[]", [{"at": input_at, "bytes": width, "backwards": back}])
    fields = {"step": step, "steps": steps, "n_inputs": 1, "n_states": 3, "n_results": 3}
    desc = lam.ffi.new("lam_scan_desc *", {**fields, "inputs": inputs, "states": states, "results": results})
    taken = x[::-1] if back else x
    sums = 7 + taken.astype(int).cumsum(0)
    every = (sums + np.concatenate([before_first[None], taken[:-1]]) + given) & 255
    expected = np.concatenate([every[::-1] if out_back else every, every[-1:], sums[-1:] & 255])
    with lam.memory() as memory:
        y = memory.blank(expected.size)
        arrays = [memory.array("uint8_t", values) for values in (x, given)]
        lam.lib.lam_scan(desc, lam.ffi.new("const uint8_t *[]", arrays), y, memory.blank(size))
        np.testing.assert_array_equal(memory.read(y, expected.size), expected.ravel())
