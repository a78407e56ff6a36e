"""Convolutions, for every weight format, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import (
    SPARSE_KERNELS,
    checks,
    convs,
    random_levels,
    random_pixels,
    random_requant,
    run_conv2d,
    run_conv2d_sparse,
)
from runtime_library import Runtime
from runtime_reference import Conv, Pool, Requant, conv2d, conv2d_accumulators

from lamella.formats import formats, get

UNPACKING = [record for record in formats().values() if record.c_unpack]
SPARSE = [record for record in formats().values() if record.c_positions]
CHECKS = checks(40)
SEEDS = st.integers(0, 2**32 - 1)


def random_layer(seed: int, record, conv: Conv) -> tuple[np.ndarray, np.ndarray, Requant, np.ndarray]:
    """Levels, bias, requantisation and input for a convolution."""
    rng = np.random.default_rng(seed)
    levels = random_levels(rng, record, conv.out_c, conv.cols)
    x = random_pixels(rng, (conv.in_c, conv.in_h, conv.in_w))
    bias = rng.integers(-2000, 2001, conv.out_c)
    spread = float(np.abs(conv2d_accumulators(conv, levels, bias, x)).max())
    return levels, bias, random_requant(rng, conv.out_c, spread), x


@pytest.mark.parametrize("record", UNPACKING, ids=lambda r: r.name)
@CHECKS
@given(conv=convs(), seed=SEEDS)
def test_conv2d_matches_reference(lam: Runtime, record, conv: Conv, seed: int):
    levels, bias, q, x = random_layer(seed, record, conv)
    y = run_conv2d(lam, record, conv, levels, bias, q, x)
    np.testing.assert_array_equal(y, conv2d(conv, levels, bias, q, x))


@pytest.mark.parametrize("record", SPARSE, ids=lambda r: r.name)
@pytest.mark.parametrize("kernel", SPARSE_KERNELS)
@CHECKS
@given(conv=convs(), seed=SEEDS, data=st.data())
def test_conv2d_sparse_matches_reference(lam: Runtime, record, kernel: str, conv: Conv, seed: int, data):
    levels, bias, q, x = random_layer(seed, record, conv)
    band_rows = data.draw(st.integers(1, conv.pooled[0]), label="band_rows")
    y = run_conv2d_sparse(lam, kernel, record, conv, levels, bias, q, x, band_rows)
    np.testing.assert_array_equal(y, conv2d(conv, levels, bias, q, x))


@pytest.mark.parametrize("record", SPARSE, ids=lambda r: r.name)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("channels", [14, 15, 29])
@pytest.mark.parametrize("width", [1, 4, 9, 17])
def test_sparse_lanes_hold_the_largest_sums(lam: Runtime, record, sign: int, channels: int, width: int):
    """126, 135 and 261 levels of one sign on pixels of 255: below, just above and twice what 16 bits hold."""
    conv = Conv(in_c=channels, in_h=5, in_w=width, out_c=2, kernel=(3, 3), pad=(1, 1, 1, 1), in_zero=255)
    levels = np.full((2, conv.cols), sign, np.int16)
    levels[1, ::3] = -sign
    x = np.full((channels, 5, width), 255, np.uint8)
    bias = np.array([-sign * 255 * conv.cols, 0])
    # The first row comes out at accumulators of 0, each step of which is seen; the second one far from 0.
    q = Requant(np.array([2**30, 2**31 // 500]), np.array([30, 32]), zero=100)
    for kernel in SPARSE_KERNELS:
        y = run_conv2d_sparse(lam, kernel, record, conv, levels, bias, q, x, 5)
        np.testing.assert_array_equal(y, conv2d(conv, levels, bias, q, x))


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (7, 14), (1, 40), (24, 4), (3, 2)])
def test_sparse_bands_of_any_height_agree(lam: Runtime, kind: int, shape: tuple[int, int]):
    """Every tile shape, and every way to cut the image into bands."""
    record, rng = get("sparse_ternary"), np.random.default_rng(5)
    pool_q = Requant(np.array([2**30]), None, zero=3)
    pool = Pool(kind, (2 if shape[0] > 1 else 1, 2), (2 if shape[0] > 1 else 1, 2), q=pool_q) if kind else Pool()
    conv = Conv(in_c=3, in_h=shape[0], in_w=shape[1], out_c=4, kernel=(3, 3), pad=(1, 1, 1, 1), in_zero=9, pool=pool)
    levels = rng.integers(-1, 2, (4, conv.cols)).astype(np.int16)
    x = rng.integers(0, 256, (3, *shape)).astype(np.uint8)
    bias = np.array([-500, 0, 300, 70000])
    q = Requant(np.array([2**27]), None, zero=128)
    expected = conv2d(conv, levels, bias, q, x)
    for band_rows in range(1, conv.pooled[0] + 1):
        for kernel in SPARSE_KERNELS:
            y = run_conv2d_sparse(lam, kernel, record, conv, levels, bias, q, x, band_rows)
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("function", SPARSE_KERNELS)
@pytest.mark.parametrize("stride", [(1, 2), (1, 3), (2, 2)])
def test_one_column_with_a_stride(lam: Runtime, function: str, stride: tuple[int, int]):
    """Each row gives one pixel, as if rows followed one another: but pixels are not `stride` apart there."""
    rng = np.random.default_rng(3)
    conv = Conv(in_c=2, in_h=9, in_w=1, out_c=3, stride=stride)
    levels = rng.integers(-1, 2, (3, conv.cols)).astype(np.int16)
    x = rng.integers(0, 256, (2, 9, 1)).astype(np.uint8)
    q = Requant(np.array([2**29]), None, zero=128)
    y = run_conv2d_sparse(lam, function, get("sparse_ternary"), conv, levels, np.zeros(3), q, x, conv.pooled[0])
    np.testing.assert_array_equal(y, conv2d(conv, levels, np.zeros(3), q, x))


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_rows_between_windows_are_left_out(lam: Runtime, kind: int, kernel: int):
    """A pooling stride larger than its kernel: rows of a tile belong to no window or to different ones."""
    record, rng = get("sparse_ternary"), np.random.default_rng(kernel)
    for gap in (1, 2, 3):
        pool = Pool(kind, (kernel, kernel), (kernel + gap, kernel + gap), q=Requant(np.array([2**29]), None))
        conv = Conv(in_c=2, in_h=17, in_w=13, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1), pool=pool)
        levels = rng.integers(-1, 2, (3, conv.cols)).astype(np.int16)
        x = rng.integers(0, 256, (2, 17, 13)).astype(np.uint8)
        q = Requant(np.array([2**29]), None, zero=128)
        expected = conv2d(conv, levels, np.zeros(3), q, x)
        for function in SPARSE_KERNELS:
            y = run_conv2d_sparse(lam, function, record, conv, levels, np.zeros(3), q, x, conv.pooled[0])
            np.testing.assert_array_equal(y, expected)


def test_requantised_result_may_leave_int32(lam: Runtime):
    """A shift of 1 doubles the multiplier's 2^30 times: the clamp must see all 64 bits."""
    conv = Conv(in_c=1, in_h=1, in_w=3, out_c=1)
    levels, x = np.array([[127]], np.int16), np.array([[[0, 1, 255]]], np.uint8)
    for bias in (-128, 0, 77):
        q = Requant(np.array([2**31 - 1]), np.array([1]), zero=40)
        y = run_conv2d(lam, get("int8"), conv, levels, np.array([bias]), q, x)
        np.testing.assert_array_equal(y, conv2d(conv, levels, np.array([bias]), q, x))
