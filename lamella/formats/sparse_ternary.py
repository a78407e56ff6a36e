"""sparse_ternary: Golomb-Rice coded gaps before non-zero levels, and their signs, in one bit stream a layer.

A row of 16-bit words. The first is the Rice parameter k. Then one code for each non-zero level and one for the end of
the layer, highest bit of each word first: gap >> k zeros, a one, the low k bits of the gap, highest first, and the sign, 1 for -1. The gap is
the number of zeros before the level; the last one reaches the end of the layer and has sign 0. Gaps run over row ends,
so a reader finds these by counting.
"""

import numpy as np

from lamella.formats.gaps import gaps_and_signs, levels_of
from lamella.formats.record import WeightFormat, format_files

LARGEST_PARAMETER = 15


def _best_parameter(gaps: np.ndarray) -> tuple[int, int]:
    """(k, bits of all codes) with the fewest bits, the smallest such k."""
    bits = [int((gaps >> k).sum()) + gaps.size * (k + 2) for k in range(LARGEST_PARAMETER + 1)]
    return int(np.argmin(bits)), min(bits)


def _pack(levels: np.ndarray) -> bytes:
    gaps, negative = gaps_and_signs(levels)
    k, n_bits = _best_parameter(gaps)
    stream = np.zeros(n_bits, np.uint8)
    signs = np.cumsum((gaps >> k) + k + 2) - 1
    stream[signs - k - 1] = 1
    for place in range(k):
        stream[signs - 1 - place] = (gaps >> place) & 1
    stream[signs[:-1]] = negative
    n_words = (n_bits + 15) // 16
    words = np.packbits(np.append(stream, np.zeros(16 * n_words - n_bits, np.uint8))).view(">u2")
    return np.append([k], words).astype("<u2").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    words = np.frombuffer(data, "<u2", len(data) // 2)
    if words.size == 0 or words[0] > LARGEST_PARAMETER:
        raise ValueError("sparse_ternary: the header is missing or damaged")
    k = int(words[0])
    stream = np.unpackbits(words[1:].astype(">u2").view(np.uint8))
    gap_at, sign_at = _codes_at_every_bit(stream, k)
    # Each code leads to the next one, until the layer is full.
    gaps, signs = [], []
    bit, left = 0, rows * cols
    while left >= 0:
        if bit >= stream.size or sign_at[bit] >= stream.size:
            raise ValueError("sparse_ternary: the stream ends before the layer does")
        gaps.append(gap_at[bit])
        signs.append(sign_at[bit])
        left -= gap_at[bit] + 1
        bit = sign_at[bit] + 1
    return levels_of(np.array(gaps, np.int64), stream[signs[:-1]] == 1, rows * cols)


def _codes_at_every_bit(stream: np.ndarray, k: int) -> tuple[list[int], list[int]]:
    """For every bit of the stream: the gap of a code that starts there, and the place of its sign."""
    ones = np.append(np.flatnonzero(stream), stream.size)
    first_one = np.repeat(ones, np.diff(ones, prepend=-1))[: stream.size]
    padded = np.append(stream, np.zeros(k + 1, np.uint8)).astype(np.int64)
    low = np.zeros(stream.size + 1, np.int64)
    for place in range(k):
        low = (low << 1) | padded[1 + place : 2 + place + stream.size]
    gap = ((first_one - np.arange(stream.size)) << k) | low[first_one]
    return gap.tolist(), (first_one + k + 1).tolist()


def _size(levels: np.ndarray) -> int:
    gaps, _ = gaps_and_signs(levels)
    _, n_bits = _best_parameter(gaps)
    return 2 + 2 * ((n_bits + 15) // 16)


def _steps(levels: np.ndarray) -> int:
    gaps, _ = gaps_and_signs(levels)
    k, _ = _best_parameter(gaps)
    return int((gaps >> k).sum())


FORMAT = WeightFormat(
    name="sparse_ternary",
    title="Golomb-Rice coded gaps and signs, close to the entropy of levels -1, 0, 1",
    lowest=-1,
    highest=1,
    sparse=True,
    c_type="int16_t",
    c_unpack="lam_sparse_ternary_unpack",
    c_positions="lam_sparse_ternary_positions",
    sources=format_files("sparse_ternary"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _steps=_steps,
)
