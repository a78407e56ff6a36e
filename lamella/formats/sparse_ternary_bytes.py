"""sparse_ternary_bytes: gaps between non-zero levels, and their signs, in bytes; read in less than half the time.

One code before the first non-zero level and one for each of them: 2 * gap + sign. The gap is the number of zeros
behind the level, the sign (1 for -1) is that of the level itself; the code before the first has only a gap, sign 0.
127 in place of the gap means 127 and more: the rest follows in groups of 7 bits, lowest first, each but the last
with bit 7 set. The last gap reaches the end of the layer, and readers find row ends by counting.
"""

import numpy as np

from lamella.formats.gaps import gaps_and_signs, levels_of
from lamella.formats.record import WeightFormat, format_files

ESCAPE = 127


def _rest_bytes(gaps: np.ndarray) -> np.ndarray:
    """How many bytes follow the code of each gap."""
    n_bytes = np.where(gaps >= ESCAPE, 1, 0)
    rest = (gaps - ESCAPE) >> 7
    while (rest > 0).any():
        n_bytes += rest > 0
        rest >>= 7
    return n_bytes


def _pack(levels: np.ndarray) -> bytes:
    gaps, negative = gaps_and_signs(levels)
    n_rest = _rest_bytes(gaps)
    starts = np.cumsum(1 + n_rest) - 1 - n_rest
    data = np.zeros(gaps.size + int(n_rest.sum()), np.uint8)
    data[starts] = 2 * np.minimum(gaps, ESCAPE) + np.concatenate([[0], negative])
    for group in range(int(n_rest.max())):
        has = n_rest > group
        more = np.where(n_rest[has] > group + 1, 128, 0)
        data[starts[has] + 1 + group] = ((gaps[has] - ESCAPE) >> (7 * group)) & 127 | more
    return data.tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    gaps, signs = [], []
    left, at = rows * cols, 0
    try:
        while left >= 0:
            gap = data[at] >> 1
            signs.append(data[at] & 1)
            at += 1
            if gap == ESCAPE:
                shift = 0
                while True:
                    gap += (data[at] & 127) << shift
                    shift += 7
                    at += 1
                    if data[at - 1] < 128:
                        break
            gaps.append(gap)
            left -= gap + 1
    except IndexError:
        raise ValueError("sparse_ternary_bytes: the codes end before the layer does") from None
    return levels_of(np.array(gaps, np.int64), np.array(signs[1:], bool), rows * cols)


def _size(levels: np.ndarray) -> int:
    gaps, _ = gaps_and_signs(levels)
    return gaps.size + int(_rest_bytes(gaps).sum())


FORMAT = WeightFormat(
    name="sparse_ternary_bytes",
    title="gaps and signs in bytes: larger than sparse_ternary, read in less than half the time",
    lowest=-1,
    highest=1,
    sparse=True,
    c_type="uint8_t",
    c_unpack="lam_sparse_ternary_bytes_unpack",
    c_positions="lam_sparse_ternary_bytes_positions",
    sources=format_files("sparse_ternary_bytes"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
