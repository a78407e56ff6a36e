"""The integers of a front end: what lies in flash, made from its parameters by one rounding each."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lamella.errors import UsageError
from lamella.mfcc.parameters import SCALE, ZERO_POINT, Mfcc

#: Amplitudes of the spectrum are shifted to so many bits, without the sign, before they are squared.
AMPLITUDE_BITS = 15
#: Segments of the table of log2, and its fraction bits.
LOG_SEGMENTS, LOG_BITS = 32, 14
#: Fraction bits of a logarithm (base 2) where it enters the cosine transform.
ENERGY_BITS = 10
#: Between two corners: more would not fit a byte.
MOST_BINS = 255
#: Fraction bits of a filter's weight, fewer where many bins lie between two corners.
MOST_WEIGHT_BITS = 14


@dataclass(frozen=True)
class Tables:
    """See lam_mfcc_desc in runtime_c/include/lam_mfcc.h for each field."""

    sine: np.ndarray
    first_bin: int
    bins: np.ndarray
    weight_bits: int
    rising: np.ndarray
    floor: int
    log_floor: int
    log2: np.ndarray
    cosine: np.ndarray
    offset: np.ndarray
    shift: np.ndarray


@lru_cache(maxsize=32)
def tables(p: Mfcc) -> Tables:
    """The tables of a front end."""
    sine = _round(2**15 * np.sin(2 * np.pi * np.arange(p.frame // 4 + 1) / p.frame))
    # Bins that coincide with a corner belong to the segment above it. The one of 0 Hz is in none, nor that of rate / 2.
    used = np.arange(1, p.frame // 2)
    segment = np.searchsorted(p.corners(), used * p.rate / p.frame, side="right") - 1
    inside = (segment >= 0) & (segment <= p.filters)
    used, segment = used[inside], segment[inside]
    bins = np.bincount(segment, minlength=p.filters + 1)
    if bins.max() > MOST_BINS:
        raise UsageError(
            f"MFCC: {bins.max()} bins lie between two corners, at most {MOST_BINS} may; take more filters or a shorter frame"
        )
    # Powers have 32 bits, and the sum of their 16-bit halves times the weights of a segment must too.
    weight_bits = min(MOST_WEIGHT_BITS, 16 - int(np.ceil(np.log2(bins.max()))))
    corners, one = p.corners(), 2**weight_bits
    left, right = corners[segment], corners[segment + 1]
    rising = np.minimum(one - 1, _round(one * (used * p.rate / p.frame - left) / (right - left)))
    # What an energy of 1 is as an integer before the logarithm; the transform gives twice the spectrum.
    unit = (2.0 * 2**15 * 2 ** (16 - window_shift(p))) ** 2 * p.frame * one
    floor = int(_round(p.floor * unit))
    cosine, offset, shift = _cosines(p, np.log2(p.frame / 4 / p.floor + 1))
    return Tables(
        sine=sine,
        first_bin=int(used[0]),
        bins=bins,
        weight_bits=weight_bits,
        rising=rising,
        floor=floor,
        log_floor=int(_round(2**LOG_BITS * np.log2(floor))),
        log2=_round(2**LOG_BITS * np.log2(1 + np.arange(LOG_SEGMENTS + 1) / LOG_SEGMENTS)),
        cosine=cosine,
        offset=offset,
        shift=shift,
    )


def window_shift(p: Mfcc) -> int:
    """A sample times its window (16 fraction bits) is shifted so far right that no value of the transform reaches 2^29."""
    return int(np.log2(p.frame)) + 3


def _cosines(p: Mfcc, largest_log: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of the transform's rows with the normalisation in them, what is added, and the shift behind it.

    No sum may leave 32 bits, whatever the logarithms between 0 (a step of rounding below it) and `largest_log`.
    """
    mean = np.array(p.mean or [0.0] * p.coefficients)
    deviation = np.array(p.deviation or [1.0] * p.coefficients)
    rows = p.dct() * np.log(2) / 2**ENERGY_BITS / (deviation[:, None] * SCALE)
    offset = ZERO_POINT - mean / deviation / SCALE
    largest = np.abs(rows).sum(axis=1) * (2**ENERGY_BITS * largest_log + 2) + np.abs(offset) + 1
    by_sum = 30 - np.ceil(np.log2(largest))
    by_entry = 14 - np.ceil(np.log2(np.abs(rows).max(axis=1)))
    shift = np.minimum(np.minimum(by_sum, by_entry), 30).astype(np.int64)
    if shift.min() < 1:
        raise UsageError("MFCC: a mean is too large against its deviation; look at the recordings it was found on")
    cosine = _round(rows * 2.0 ** shift[:, None])[:, : p.filters // 2]
    return cosine, _round(offset * 2.0**shift) + (1 << (shift - 1)), shift


def _round(x: np.ndarray | float) -> np.ndarray:
    return np.floor(np.asarray(x) + 0.5).astype(np.int64)
