"""Requantisation in fewer instructions: equal to the rule for every accumulator, by enumeration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella import requant
from lamella.codegen import narrow_requant

FINDERS = [narrow_requant.find_long, narrow_requant.find_short]


@st.composite
def channels(draw):
    """Multipliers, a zero point, and the range of the accumulators of some channels."""
    n = draw(st.integers(1, 4))
    scales = [2.0 ** draw(st.floats(-14, -1.0001)) for _ in range(n)]
    multiplier = np.array([requant.quantize_multiplier(scale)[0] for scale in scales], np.int64)
    lowest = np.array([draw(st.integers(-20000, 3000)) for _ in range(n)], np.int64)
    highest = np.array([int(low) + draw(st.integers(0, 20000)) for low in lowest], np.int64)
    return multiplier, draw(st.sampled_from([0, 0, 1, 127, 128, 255])), lowest, highest


def enumerated(narrow, multiplier, zero, lowest, highest):
    """For each channel every accumulator, what the rule says, and a channel's numbers alone."""
    for k, m in enumerate(multiplier):
        acc = np.arange(lowest[k], highest[k] + 1, dtype=np.int64)[None]
        shift = None if narrow.shift is None else narrow.shift[k : k + 1]
        one = narrow_requant.NarrowRequant(
            narrow.multiplier[k : k + 1], narrow.fraction[k : k + 1], narrow.offset[k : k + 1], shift
        )
        yield acc, requant.requantize(acc, m, 32, zero, 0, 255), one


@settings(max_examples=300, deadline=None)
@given(channels())
def test_long_form_is_the_rule_for_every_accumulator(drawn):
    narrow = narrow_requant.find_long(*drawn)
    if narrow is None:
        return
    for acc, expected, one in enumerated(narrow, *drawn):
        assert one.multiplier % 2 == 0 and 0 < one.multiplier < 2**31
        s = acc + one.offset
        assert s.min() >= -(2**15) and s.max() < 2**15 and 0 <= one.fraction < 2**16
        assert np.array_equal(narrow_requant.apply(one, acc), expected)
        assert np.array_equal(narrow_requant.apply_by_lanes(one, acc), expected)


@settings(max_examples=300, deadline=None)
@given(channels())
def test_short_form_is_the_rule_for_every_accumulator(drawn):
    narrow = narrow_requant.find_short(*drawn)
    if narrow is None:
        return
    for acc, expected, one in enumerated(narrow, *drawn):
        s = acc + one.offset
        assert s.min() >= -(2**15) and s.max() < 2**15
        assert 16 <= one.shift <= 24 and 0 < one.multiplier < 2**24 and 0 <= one.fraction < 2**16
        assert (np.maximum(s.max(), 0) * one.multiplier + (one.fraction << (one.shift - 16)) < 2**32).all()
        assert np.array_equal(narrow_requant.apply(one, acc), expected)


@pytest.mark.parametrize(
    ("find", "zero", "most"),
    [(narrow_requant.find_long, 0, 64), (narrow_requant.find_long, 128, 64), (narrow_requant.find_short, 0, 24)],
)
def test_channels_as_networks_have_them_are_never_refused(find, zero: int, most: int):
    """Sums of up to `most` pixels of each sign, a standard deviation of them 20 to 60 steps of y."""
    rng = np.random.default_rng(0)
    plus, minus = rng.integers(0, most + 1, (2, 500))
    scale = rng.uniform(20, 60, 500) / (75 * np.sqrt(np.maximum(plus + minus, 1)))
    multiplier = np.array([requant.quantize_multiplier(min(s, 0.49))[0] for s in scale], np.int64)
    bias = rng.integers(-500, 500, 500)
    assert find(multiplier, zero, bias - 255 * minus, bias + 255 * plus) is not None


@pytest.mark.parametrize("find", FINDERS)
def test_what_cannot_be_is_refused(find):
    one = np.array([2**30])
    assert find(np.array([0]), 0, np.array([-5]), np.array([5])) is None, "a scale of 0"
    assert find(one, 0, np.array([0]), np.array([2**16])) is None, "more than 16 bits"
    assert find(np.array([2**10]), 255, np.array([0]), np.array([5])) is None, "a zero point that 16 bits do not reach"
