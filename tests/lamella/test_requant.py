"""The requantisation rule, against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamella import requant


@given(st.floats(min_value=1e-12, max_value=1e9))
def test_multiplier_is_the_nearest_on_the_largest_allowed_shift(scale):
    m, s = requant.quantize_multiplier(scale)
    assert 0 <= m < 2**31 and 1 <= s <= 32
    assert m == math.floor(Fraction(scale) * 2**s + Fraction(1, 2))
    if s < 32:
        assert math.floor(Fraction(scale) * 2 ** (s + 1) + Fraction(1, 2)) >= 2**31


@given(st.floats(min_value=1e-12, max_value=0.4999999))
def test_small_scales_take_a_shift_of_32(scale):
    assert requant.quantize_multiplier(scale)[1] == 32


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (0.5, (2**30, 31)),
        (1.0, (2**30, 30)),
        (0.25, (2**30, 32)),
        (math.nextafter(0.5, 0), (2**30, 31)),
        (math.nextafter(1, 0), (2**30, 30)),
        (1e-30, (0, 32)),
    ],
)
def test_multiplier_at_the_corners(scale, expected):
    assert requant.quantize_multiplier(scale) == expected


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan, 2.0**30])
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(ValueError, match="outside"):
        requant.quantize_multiplier(scale)


@given(st.integers(-(2**31), 2**31 - 1), st.floats(min_value=1e-9, max_value=100), st.integers(0, 255))
def test_requantize_rounds_half_up_once(acc, scale, zero):
    m, s = requant.quantize_multiplier(scale)
    exact = math.floor(Fraction(acc) * m / 2**s + Fraction(1, 2)) + zero
    assert int(requant.requantize(np.array(acc), m, s, zero, 0, 255)) == min(max(exact, 0), 255)


def test_shared_multipliers_have_the_shift_of_the_largest_scale():
    (a, b), s = requant.quantize_multipliers_shared([0.7, 1e-4])
    assert s == requant.quantize_multiplier(0.7)[1]
    assert (a, b) == (round(0.7 * 2**s), round(1e-4 * 2**s))


def test_input_quantisation_is_float32_division_and_half_to_even():
    x = np.array([0.05, 0.15, 0.25, -1.0, 100.0], np.float32)
    assert requant.quantize_input(x, 0.1, 10, np.uint8).tolist() == [10, 12, 12, 0, 255]


@given(st.floats(min_value=1e-9, max_value=1e3) | st.just(1 - 2**-40), st.integers(1, 2**22))
def test_a_mean_divides_the_multiplier_of_the_scale(scale, count):
    """As TensorFlow Lite: m of 31 bits and a power of two, moved up by the bits of the count less one, divided, rounded down."""
    fraction, exponent = math.frexp(scale)
    whole = math.floor(Fraction(fraction) * 2**31 + Fraction(1, 2))
    if whole == 2**31:
        whole, exponent = 2**30, exponent + 1
    up = min(math.floor(math.log2(count)), 31 + exponent)
    m, s = requant.quantize_mean_twice(scale, count)
    assert m == (whole << up) // count
    down = up - exponent  # shifts to the right behind that by 31 bits
    assert s == (requant.TWICE + down if down > 0 else 31 + down)


def test_scaling_twice_rounds_half_up_and_then_half_away_from_zero():
    acc = np.array([-9, -7, -6, -5, -3, -2, 2, 3, 5, 6, 7, 9])
    # Times 1 (2^31 / 2^31 is no multiplier, so 2 * 2^30), then by 4: -9 / 4 = -2.25, -6 / 4 = -1.5, ...
    assert requant.scale_by(2 * acc, 2**30, requant.TWICE + 2).tolist() == [-2, -2, -2, -1, -1, -1, 1, 1, 1, 2, 2, 2]
    # Times a half first: -9 / 2 = -4.5 is -4 and 9 / 2 is 5; then by 2.
    assert requant.scale_by(acc, 2**30, requant.TWICE + 1).tolist() == [-2, -2, -2, -1, -1, -1, 1, 1, 2, 2, 2, 3]
