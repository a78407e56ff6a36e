"""Gaps and signs of sparse levels in an adaptive entropy code: what the formats *_ans have in common.

A gap is a quotient gap >> k, written as so many steps "another 2^k zeros" and a step "no more", and a number of k + 1
bits: the low bits of the gap and the sign. Each of the steps has a probability of its own time: `more` of 4096 for
"another", which moves by 2^-rate of its distance towards what has happened. So the code follows rows, channels and
taps of different density, and independent levels cost what their density at that place says.
"""

from functools import lru_cache

import numpy as np

from lamella.formats.gaps import gaps_and_signs, levels_of
from lamella.formats.rans import Decoder, Step, encode

BITS = 12
HALF = 1 << (BITS - 1)
LARGEST_PARAMETER = 15
RATES = (5, 7)
#: A larger k means fewer steps to decode: it may cost so much of the size.
PATIENCE = 1.005


def pack(levels: np.ndarray) -> bytes:
    """The header byte (k, and 16 * rate) and the coded gaps."""
    return _pack(np.ascontiguousarray(levels, np.int8).tobytes())


def steps(levels: np.ndarray) -> int:
    """How many times "another 2^k zeros" is in the code."""
    gaps, _ = gaps_and_signs(levels)
    return int((gaps >> (pack(levels)[0] & 15)).sum())


def unpack(name: str, data: bytes, count: int) -> np.ndarray:
    """The `count` levels -1, 0, 1 that `pack` made `data` of; ValueError, which names the format, where it is damaged."""
    try:
        k, rate = data[0] & 15, data[0] >> 4
        if rate not in RATES:
            raise ValueError(f"{name}: the header is damaged")
        return _decode(Decoder(data[1:]), k, rate, count)
    except IndexError:
        raise ValueError(f"{name}: the code ends before the layer does") from None


def _decode(decoder: Decoder, k: int, rate: int, count: int) -> np.ndarray:
    gaps, negative = [], []
    more, left = HALF, count
    while left >= 0:
        gap = 0
        while decoder.low(BITS) < more:
            decoder.take(0, more, BITS)
            more += ((1 << BITS) - more) >> rate
            gap += 1 << k
            if gap > left:
                raise IndexError
        decoder.take(more, (1 << BITS) - more, BITS)
        more -= more >> rate
        low = decoder.number(k + 1)
        gap += low >> 1
        gaps.append(gap)
        negative.append(low & 1)
        left -= gap + 1
    return levels_of(np.array(gaps, np.int64), np.array(negative[:-1], bool), count)


@lru_cache(maxsize=16)
def _pack(levels: bytes) -> bytes:
    gaps, negative = gaps_and_signs(np.frombuffer(levels, np.int8))
    signs = np.append(negative, False).astype(np.int64)
    k, rate = _best(gaps)
    low = ((gaps & ((1 << k) - 1)) << 1 | signs).tolist()
    steps: list[Step] = []
    more = HALF
    for quotient, number in zip((gaps >> k).tolist(), low, strict=True):
        for _ in range(quotient):
            steps.append((0, more, BITS))
            more += ((1 << BITS) - more) >> rate
        steps.append((more, (1 << BITS) - more, BITS))
        more -= more >> rate
        steps.append((number, 1, k + 1))
    return bytes([16 * rate + k]) + encode(steps)


def _best(gaps: np.ndarray) -> tuple[int, int]:
    """(k, rate) of nearly the fewest bits.

    A code with one probability for the whole layer says which k are worth a try: its best one, and the smaller two,
    which follow changes of the density more closely.
    """
    fixed = [_fixed_bits(gaps, k) for k in range(LARGEST_PARAMETER + 1)]
    largest = int(np.argmin(fixed))
    while largest < LARGEST_PARAMETER and fixed[largest + 1] <= PATIENCE * fixed[largest]:
        largest += 1
    bits = {
        (k, rate): _adaptive_bits(gaps >> k, rate) + gaps.size * (k + 1)
        for k in range(max(0, largest - 2), largest + 1)
        for rate in RATES
    }
    enough = PATIENCE * min(bits.values())
    return max((k, -b, rate) for (k, rate), b in bits.items() if b <= enough)[::2]


def _fixed_bits(gaps: np.ndarray, k: int) -> float:
    more, ends = int((gaps >> k).sum()), gaps.size
    p = more / (more + ends)
    return ends * (k + 1) - ends * np.log2(1 - p) - (more * np.log2(p) if more else 0)


_COST = [0.0] + [float(BITS - np.log2(f)) for f in range(1, (1 << BITS) + 1)]


def _adaptive_bits(quotients: np.ndarray, rate: int) -> float:
    cost, total = _COST, 1 << BITS
    more, bits = HALF, 0.0
    for quotient in quotients.tolist():
        for _ in range(quotient):
            bits += cost[more]
            more += (total - more) >> rate
        bits += cost[total - more]
        more -= more >> rate
    return bits
