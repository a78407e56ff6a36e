"""sparse_ternary_bytes: for each row a list of the +1 and one of the -1, distances in bytes; the fastest to read.

The first byte is 1 if the lists have zeros in them. A row is the number of bytes of its +1 list, that of its -1 list
(both in groups of 7 bits, lowest first, bit 7 says that another follows), and the lists. A byte of a list is the
distance from the previous level of that sign, of the first one from column -1. 0 is a distance of 255 to no level.
"""

import numpy as np

from lamella.formats.record import WeightFormat, format_files

FARTHEST = 255


def _lists(levels: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """(bytes of all rows, number of bytes of each row) of the levels with this sign."""
    rows, cols = np.nonzero(levels == sign)
    before = np.where(np.diff(rows, prepend=-1) == 0, np.roll(cols, 1), -1)
    empty, last = np.divmod(cols - before - 1, FARTHEST)
    ends = np.cumsum(empty + 1)
    data = np.zeros(ends[-1] if ends.size else 0, np.uint8)
    data[ends - 1] = last + 1
    return data, np.bincount(rows, empty + 1, levels.shape[0]).astype(np.int64)


def _number(n: int) -> bytes:
    groups = bytearray()
    while n > 127:
        groups.append(n & 127 | 128)
        n >>= 7
    return bytes([*groups, n])


def _pack(levels: np.ndarray) -> bytes:
    plus, n_plus = _lists(levels, 1)
    minus, n_minus = _lists(levels, -1)
    out = bytearray([int((plus == 0).any() or (minus == 0).any())])
    plus_at = minus_at = 0
    for p, m in zip(n_plus.tolist(), n_minus.tolist(), strict=True):
        out += _number(p) + _number(m)
        out += plus[plus_at : plus_at + p].tobytes() + minus[minus_at : minus_at + m].tobytes()
        plus_at, minus_at = plus_at + p, minus_at + m
    return bytes(out)


class _Reader:
    """Takes bytes off the front; ValueError at the end."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        self.at += n
        if self.at > len(self.data):
            raise ValueError("sparse_ternary_bytes: the lists end before the layer does")
        return self.data[self.at - n : self.at]

    def number(self) -> int:
        value = shift = 0
        while True:
            group = self.take(1)[0]
            value |= (group & 127) << shift
            shift += 7
            if group < 128:
                return value


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    reader = _Reader(data)
    levels = np.zeros((rows, cols), np.int16)
    reader.take(1)
    for row in range(rows):
        counts = [reader.number(), reader.number()]
        for n, sign in zip(counts, (1, -1), strict=True):
            steps = np.frombuffer(reader.take(n), np.uint8)
            columns = np.cumsum(np.where(steps == 0, FARTHEST, steps).astype(np.int64))[steps > 0] - 1
            if columns.max(initial=-1) >= cols:
                raise ValueError("sparse_ternary_bytes: a list leaves its row")
            levels[row, columns] = sign
    return levels


def _size(levels: np.ndarray) -> int:
    n = np.concatenate([_lists(levels, 1)[1], _lists(levels, -1)[1]])
    return 1 + int((n + 1 + (n > 127) + (n > 16383)).sum())


FORMAT = WeightFormat(
    name="sparse_ternary_bytes",
    title="lists of +1 and -1 in bytes: larger than sparse_ternary, read several times as fast, whole rows only",
    lowest=-1,
    highest=1,
    sparse=True,
    c_type="uint8_t",
    c_unpack=None,
    c_positions="lam_sparse_ternary_bytes_positions",
    sources=format_files("sparse_ternary_bytes"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
