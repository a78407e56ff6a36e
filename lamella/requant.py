"""The one rule for going from an accumulator to an 8-bit activation. Numpy only: trainer, reference and codegen all call it.

    y = clamp(zero + floor((acc * m + 2^(s-1)) / 2^s), low, high)

m and s are a function of the scales alone, never of board or options.

For TFLite files there is a second rule, on request: that of TensorFlow Lite Micro, which rounds twice (gemmlowp's
SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT: half up, then half away from zero). Where it differs from the one
above, s stands for it:

    s = TWICE + r    x = floor((acc * m + 2^30) / 2^31);  y = zero + x / 2^r, half away from zero
    s = AWAY         y = (acc + m * zero) / m, half away from zero, with zero less 128: the mean of m integers with sign
"""

import math
from collections.abc import Callable

import numpy as np

TWICE, AWAY = 64, 255

#: Scales at or above this one would need a shift below 1.
LARGEST_SCALE = 2.0**30


def effective_scale(x_scale: float, w_scale: float, y_scale: float) -> float:
    """(x_scale * w_scale) / y_scale in float64, in this order; each argument is the float32 value of the ONNX file."""
    return (float(np.float32(x_scale)) * float(np.float32(w_scale))) / float(np.float32(y_scale))


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """(m, s) with scale ~ m / 2^s: s = 32 below one half, otherwise the largest s for which m < 2^31.

    A scale so close below one half that m would round to 2^31 takes s = 31. Raises ValueError outside (0, 2^30).
    """
    if not (math.isfinite(scale) and 0.0 < scale < LARGEST_SCALE):
        raise ValueError(f"scale {scale!r} is outside (0, 2^30)")
    shift = 32 if scale < 0.5 else 31 - math.frexp(scale)[1]
    multiplier = _round_half_up(scale * 2.0**shift)
    if multiplier == 2**31:
        shift -= 1
        multiplier = _round_half_up(scale * 2.0**shift)
    return multiplier, shift


def quantize_multiplier_twice(scale: float) -> tuple[int, int]:
    """(m, s) as TensorFlow Lite's QuantizeMultiplier: m of 31 bits; from one half on both rules are the same."""
    if not scale < 0.5:
        return quantize_multiplier(scale)
    if not scale > 0.0:
        raise ValueError(f"scale {scale!r} is outside (0, 2^30)")
    fraction, exponent = math.frexp(scale)
    multiplier = _round_half_up(fraction * 2.0**31)
    if multiplier == 2**31:
        multiplier, exponent = 2**30, exponent + 1
    if exponent == 0:
        return multiplier, 31
    return (multiplier, TWICE - exponent) if exponent >= -31 else (0, 32)


def quantize_mean_twice(scale: float, count: int) -> tuple[int, int]:
    """(m, s) for the mean of `count` integers: TensorFlow Lite divides the multiplier of `scale`, moved up before, by them."""
    multiplier, shift = quantize_multiplier_twice(scale)
    if not multiplier:
        return multiplier, shift
    right = shift - TWICE if shift >= TWICE else shift - 31
    up = min(count.bit_length() - 1, 32, 31 - right)
    multiplier, right = (multiplier << up) // count, right + up
    return multiplier, TWICE + right if right > 0 else 31 + right


def quantize_multipliers(
    x_scale: float, w_scales: np.ndarray, y_scale: float, rule: Callable[[float], tuple[int, int]] = quantize_multiplier
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (int64) and shifts (int64) for weight scales of shape (n,)."""
    pairs = [rule(effective_scale(x_scale, w, y_scale)) for w in np.atleast_1d(w_scales)]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


def quantize_multipliers_shared(scales: list[float]) -> tuple[list[int], int]:
    """Multipliers of several addends on one shift, that of the largest scale: (m_i), s with scales[i] ~ m_i / 2^s."""
    _, shift = quantize_multiplier(max(scales))
    return [_round_half_up(scale * 2.0**shift) for scale in scales], shift


def requantize(
    acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, zero: int, low: int, high: int
) -> np.ndarray:
    """uint8 activations of int64 accumulators; multiplier and shift broadcast against acc."""
    acc, multiplier, shift = (np.asarray(v, np.int64) for v in (acc, multiplier, shift))
    rounded = scale_by(acc, multiplier, shift)
    if (shift == AWAY).any():
        total, count = acc + multiplier * (zero - 128), np.maximum(multiplier, 1)
        mean = np.sign(total) * ((np.abs(total) + count // 2) // count) + 128 - zero
        rounded = np.where(shift == AWAY, mean, rounded)
    return np.clip(rounded + zero, low, high).astype(np.uint8)


def scale_by(acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """int64 (acc * multiplier) / 2^shift, rounded as the shift says; where that is AWAY, nothing of use."""
    acc, multiplier, shift = (np.asarray(v, np.int64) for v in (acc, multiplier, shift))
    once = np.where(shift < TWICE, shift, 1)
    rounded = (acc * multiplier + (np.int64(1) << (once - 1))) >> once
    if (shift > TWICE).any():
        right = np.where((shift > TWICE) & (shift != AWAY), shift - TWICE, 1)
        x = (acc * multiplier + 2**30) >> 31
        rounded = np.where(shift > TWICE, (x + (np.int64(1) << (right - 1)) - (x < 0)) >> right, rounded)
    return rounded


def quantize_input(x: np.ndarray, scale: float, zero: int, dtype: type) -> np.ndarray:
    """What QuantizeLinear gives for a graph input: float32 division, rounding half to even, saturation (ONNX operator docs)."""
    info = np.iinfo(dtype)
    q = np.rint(np.asarray(x, np.float32) / np.float32(scale)) + np.float32(zero)
    return np.clip(q, info.min, info.max).astype(dtype)


def quantize_bias(bias: np.ndarray, x_scale: float, w_scales: np.ndarray) -> np.ndarray:
    """int64 bias at scale x_scale * w_scale, rounded half up."""
    scale = float(np.float32(x_scale)) * np.asarray(w_scales, np.float32).astype(np.float64)
    return np.floor(np.asarray(bias, np.float64) / scale + 0.5).astype(np.int64)


def _round_half_up(value: float) -> int:
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)
