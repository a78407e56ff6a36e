"""Requantisation in fewer instructions, proved for the sums that a channel can really have.

    s = acc + offset
    long:   y = clamp(floor((s * 2^16 + fraction) * multiplier / 2^48), 0, 255), multiplier even
    short:  y = 0 for s < 0, else min((s * multiplier + fraction * 2^(shift - 16)) >> shift, 255), within 32 bits

have no rounding, no zero point and no bias left: they are in `offset` and `fraction`. All these numbers are whole, so
such a form is lamella.requant.requantize only for some of them. They are searched, and proved by the thresholds: both
sides never decrease with acc, so they are equal everywhere if they reach each y at the same acc. The long form must
agree when it is computed with lanes of 16 bits, too:

    y = clamp(floor((floor(s * multiplier / 2^16) + floor(fraction * multiplier / 2^32)) / 2^16), 0, 255)
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

#: Marks an acc that no input can give.
NEVER = np.iinfo(np.int64).min
#: What is tried: multipliers about the nearest, and parts of the way from the least start to the largest.
MULTIPLIER_STEPS = sorted(range(-80, 81, 2), key=abs)
STARTS = (8, 4, 12, 2, 14, 6, 10, 0, 16)
SHORT_STEPS = np.array(sorted(range(-40, 41), key=abs), np.int64)
SHORT_SHIFTS = range(24, 15, -1)


@dataclass(frozen=True)
class NarrowRequant:
    """One entry per channel, int64: 0 < multiplier < 2^31 (short: 2^24), 0 <= fraction < 2^16; acc + offset fits in 16
    bits with sign. shift: of the short form, 16 .. 24; None: the long form."""

    multiplier: np.ndarray
    fraction: np.ndarray
    offset: np.ndarray
    shift: np.ndarray | None = None


def find_long(multiplier: np.ndarray, zero: int, lowest: np.ndarray, highest: np.ndarray) -> NarrowRequant | None:
    """Numbers of the long form for requantize(acc, multiplier, 32, zero, 0, 255), with acc in lowest .. highest of each
    channel; None if there are none for one of them."""
    multiplier, lowest, highest = (np.asarray(v, np.int64) for v in (multiplier, lowest, highest))
    multiplier = np.broadcast_to(multiplier, lowest.shape)
    if (multiplier < 2).any():
        return None
    at, below = _thresholds(multiplier, zero, lowest, highest)
    middle = ((2 * zero + 1) * 2**31) // multiplier
    if (lowest + middle < -(2**15) - 1).any() or (highest + middle > 2**15).any():
        return None
    found = np.zeros((3, len(multiplier)), np.int64)
    left = np.arange(len(multiplier))
    for m_step, part in product(MULTIPLIER_STEPS, STARTS):
        m = np.clip(multiplier[left] - multiplier[left] % 2 + m_step, 2, 2**31 - 2)
        least, most = _starts(m, zero, at[left], below[left])
        start = least + (most - least) * part // max(STARTS)
        offset, fraction = start >> 16, start & 0xFFFF
        ok = (least <= most) & (lowest[left] + offset >= -(2**15)) & (highest[left] + offset < 2**15)
        ok &= _agree(m, fraction, offset, at[left], below[left])
        found[:, left[ok]] = np.array([m, fraction, offset])[:, ok]
        left = left[~ok]
        if left.size == 0:
            return NarrowRequant(*found)
    return None


def _starts(m: np.ndarray, zero: int, at: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which numbers offset * 2^16 + fraction must lie for the first way to compute the long form; not further
    from the value without rounding than an acc."""
    first = -((-np.arange(1, 256, dtype=np.int64) * 2**48) // m[:, None])
    ideal = ((2 * zero + 1) * 2**47) // m
    least = np.where(at == NEVER, NEVER, first - at * 2**16).max(axis=1)
    most = np.where(below == NEVER, -NEVER - 1, first - 1 - below * 2**16).min(axis=1)
    return np.maximum(least, ideal - 2**16), np.minimum(most, ideal + 2**16)


def find_short(multiplier: np.ndarray, zero: int, lowest: np.ndarray, highest: np.ndarray) -> NarrowRequant | None:
    """Numbers of the short form for requantize(acc, multiplier, 32, zero, 0, 255), likewise."""
    multiplier, lowest, highest = (np.asarray(v, np.int64) for v in (multiplier, lowest, highest))
    multiplier = np.broadcast_to(multiplier, lowest.shape)
    if (multiplier < 2).any():
        return None
    at, below = _thresholds(multiplier, zero, lowest, highest)
    offset = ((2 * zero + 1) * 2**31) // multiplier  # s = 0: the first acc whose y need not be brought up to 0
    if (lowest + offset < -(2**15)).any() or (highest + offset >= 2**15).any():
        return None
    found = [
        _short(int(m), at[k][at[k] != NEVER] + offset[k], below[k][below[k] != NEVER] + offset[k],
               np.arange(1, 256)[at[k] != NEVER], np.arange(1, 256)[below[k] != NEVER], int(highest[k] + offset[k]))
        for k, m in enumerate(multiplier)
    ]  # fmt: skip
    if None in found:
        return None
    m, fraction, shift = (np.array(v, np.int64) for v in zip(*found, strict=True))
    return NarrowRequant(m, fraction, offset, shift)


def _short(
    multiplier: int, at: np.ndarray, below: np.ndarray, y_at: np.ndarray, y_below: np.ndarray, highest: int
) -> tuple[int, int, int] | None:
    """(multiplier, fraction, shift) so that s in `at` give y_at or more and s in `below` less than y_below."""
    for shift in SHORT_SHIFTS:
        m = (multiplier >> (32 - shift)) + SHORT_STEPS
        m = m[(m > 0) & (m * max(highest, 0) + 2**shift < 2**32)]
        least = ((y_at << shift) - m[:, None] * at).max(axis=1, initial=0)
        most = ((y_below << shift) - 1 - m[:, None] * np.maximum(below, 0)).min(axis=1, initial=2**shift - 1)
        fraction = -(-least >> (shift - 16))
        good = np.flatnonzero((fraction << (shift - 16) <= most) & (fraction < 2**16))
        if good.size:
            return int(m[good[0]]), int(fraction[good[0]]), shift
    return None


def apply(narrow: NarrowRequant, acc: np.ndarray) -> np.ndarray:
    """y of acc of shape (channels, any)."""
    m, fraction, offset = (v[:, None] for v in (narrow.multiplier, narrow.fraction, narrow.offset))
    if narrow.shift is None:
        return np.clip(_scaled(acc, m, fraction, offset), 0, 255)
    s, shift = acc + offset, narrow.shift[:, None]
    return np.where(s < 0, 0, np.minimum((s * m + (fraction << (shift - 16))) >> shift, 255))


def apply_by_lanes(narrow: NarrowRequant, acc: np.ndarray) -> np.ndarray:
    """The same in the other way to compute the long form."""
    m, fraction, offset = (v[:, None] for v in (narrow.multiplier, narrow.fraction, narrow.offset))
    return np.clip(_scaled_by_lanes(acc, m, fraction, offset), 0, 255)


def _scaled(acc: np.ndarray, m: np.ndarray, fraction: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return (((acc + offset) * 2**16 + fraction) * m) >> 48


def _scaled_by_lanes(acc: np.ndarray, m: np.ndarray, fraction: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return (((acc + offset) * m >> 16) + (fraction * m >> 32)) >> 16


def _thresholds(
    multiplier: np.ndarray, zero: int, lowest: np.ndarray, highest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each channel and y = 1 .. 255 the first acc that gives y or more, and the last that gives less. Where one is
    out of range, so that it need not be told from its neighbours: an end of the range that is on the same side."""
    y = np.arange(1, 256, dtype=np.int64)
    first = -(((zero - y) * 2**32 + 2**31) // multiplier[:, None])
    low, high = lowest[:, None], highest[:, None]
    return np.where(first > high, NEVER, np.maximum(first, low)), np.where(
        first <= low, NEVER, np.minimum(first - 1, high)
    )


def _agree(m: np.ndarray, fraction: np.ndarray, offset: np.ndarray, at: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Channels for which both forms reach each y at the right acc."""
    y = np.arange(1, 256, dtype=np.int64)
    constants = (m[:, None], fraction[:, None], offset[:, None])
    ok = np.ones(len(m), bool)
    for form in (_scaled, _scaled_by_lanes):
        reaches = form(np.where(at == NEVER, 0, at), *constants) >= y
        stays = form(np.where(below == NEVER, 0, below), *constants) < y
        ok &= ((at == NEVER) | reaches).all(axis=1) & ((below == NEVER) | stays).all(axis=1)
    return ok
