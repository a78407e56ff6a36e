"""Maximum and average pooling against numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import c_requant, checks
from runtime_library import Runtime
from runtime_reference import Requant

from lamella.requant import quantize_multiplier

CHECKS = checks(100)


@st.composite
def windows(draw: st.DrawFn) -> dict:
    """lam_window; every window touches the image, because padding is less than the reach of the kernel."""
    window = {"channels": draw(st.integers(1, 3))}
    for axis, begin in (("h", "top"), ("w", "left")):
        kernel, dilation, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
        reach = (kernel - 1) * dilation + 1
        size = draw(st.integers(1, 12))
        pad = draw(st.integers(0, min((kernel - 1) // 2 * dilation, max(size - 1, 0))))
        size = max(size, reach - 2 * pad)
        window |= {f"kernel_{axis}": kernel, f"dilation_{axis}": dilation, f"stride_{axis}": stride}
        window |= {f"in_{axis}": size, f"out_{axis}": (size + 2 * pad - reach) // stride + 1, f"pad_{begin}": pad}
    return window


def taps(window: dict, x: np.ndarray) -> np.ma.MaskedArray:
    """(channels, out_h, out_w, kernel_h, kernel_w); pixels outside the image are masked."""
    axes = []
    for axis, begin in (("h", "top"), ("w", "left")):
        out = np.arange(window[f"out_{axis}"])[:, None] * window[f"stride_{axis}"]
        axes.append(out + np.arange(window[f"kernel_{axis}"]) * window[f"dilation_{axis}"] - window[f"pad_{begin}"])
    i, j = axes[0][:, None, :, None], axes[1][None, :, None, :]
    outside = (i < 0) | (i >= window["in_h"]) | (j < 0) | (j >= window["in_w"])
    values = x[:, np.clip(i, 0, window["in_h"] - 1), np.clip(j, 0, window["in_w"] - 1)].astype(np.int64)
    return np.ma.array(values, mask=np.broadcast_to(outside, values.shape))


def image(window: dict, seed: int) -> np.ndarray:
    """Random pixels for the window."""
    shape = (window["channels"], window["in_h"], window["in_w"])
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@CHECKS
@given(window=windows(), seed=st.integers(0, 2**32 - 1))
def test_maxpool_matches_reference(lam: Runtime, window: dict, seed: int):
    x = image(window, seed)
    expected = taps(window, x).max((3, 4))
    assert not np.ma.getmaskarray(expected).any()
    with lam.memory() as memory:
        y = memory.blank(expected.size)
        lam.lib.lam_maxpool2d(lam.ffi.new("lam_maxpool2d_desc *", {"window": window}), memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected.data)


@CHECKS
@given(window=windows(), seed=st.integers(0, 2**32 - 1), in_zero=st.integers(0, 255), by_count=st.booleans())
def test_avgpool_matches_reference(lam: Runtime, window: dict, seed: int, in_zero: int, by_count: bool):
    x = image(window, seed)
    covered = taps(window, x)
    area = window["kernel_h"] * window["kernel_w"]
    pairs = [quantize_multiplier(1.3 / n) for n in (range(1, area + 1) if by_count else [area])]
    q = Requant(np.array([m for m, _ in pairs]), np.array([s for _, s in pairs]), zero=17)
    pixels = (~np.ma.getmaskarray(covered)).sum((3, 4))
    acc = covered.filled(0).sum((3, 4)) - in_zero * pixels
    expected = np.empty(acc.shape, np.uint8)
    for count in np.unique(pixels):
        here = pixels == count
        expected[here] = q.at(acc[here], count - 1 if by_count else 0)
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_avgpool2d_desc *", {"window": window, "in_zero": in_zero, "by_count": by_count})
        desc.q = lam.ffi.new("lam_requant *", c_requant(memory, q))[0]
        y = memory.blank(expected.size)
        lam.lib.lam_avgpool2d(desc, memory.array("uint8_t", x), y)
        np.testing.assert_array_equal(memory.read(y, expected.size).reshape(expected.shape), expected)
