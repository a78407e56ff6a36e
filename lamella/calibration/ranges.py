"""Which range of a tensor 256 levels cover: each method finds (low, high) from a histogram, 0 within."""

from collections.abc import Callable

import numpy as np

from lamella.calibration.floats import Histogram

Range = tuple[float, float]

#: Share of the values that "percentile" leaves out, half of it at each end.
LEFT_OUT = 1e-4
#: Parts of the whole range that "mse" tries.
SHRUNK = np.linspace(0.3, 1.0, 57)
LEVELS = 255


def min_max(h: Histogram) -> Range:
    """All that was seen."""
    return _with_zero(h.low, h.high)


def percentile(h: Histogram) -> Range:
    """All but a share of 1e-4 of the values, the farthest at both ends."""
    share = np.cumsum(h.counts) / h.counts.sum()
    inside = (share >= LEFT_OUT / 2) & (np.concatenate([[0.0], share[:-1]]) <= 1 - LEFT_OUT / 2)
    at, width = np.flatnonzero(inside), (h.high - h.low) / len(h.counts)
    return _with_zero(h.low + width * at[0], h.low + width * (at[-1] + 1))


def mse(h: Histogram) -> Range:
    """The part of the whole range with the least mean squared error, of rounding and of clipping together."""
    low, high = _with_zero(h.low, h.high)
    x, weight = h.centres, h.counts / h.counts.sum()

    def error(part: float) -> float:
        a, b = low * part, high * part
        step = (b - a) / LEVELS
        clipped = x - x.clip(a, b)
        return float((weight * clipped**2).sum() + (weight * (clipped == 0)).sum() * step**2 / 12)

    best = min(SHRUNK[::-1], key=error)  # of equals the widest
    return low * float(best), high * float(best)


def _with_zero(low: float, high: float) -> Range:
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


def quantization(limits: Range) -> tuple[np.float32, np.uint8]:
    """Scale (float32) and zero point (uint8) whose 256 levels cover a range, 0 among them; to the bit those that onnxruntime
    finds for it, so that a state has one quantisation whoever gives it."""
    low, high = float(np.float32(min(limits[0], 0.0))), float(np.float32(max(limits[1], 0.0)))
    step = (high - low) / LEVELS
    if step < np.finfo(np.float32).tiny:
        return np.float32(1), np.uint8(0)
    return np.float32(step), np.uint8(np.rint(-low / step))


METHODS: dict[str, Callable[[Histogram], Range]] = {"minmax": min_max, "percentile": percentile, "mse": mse}
