"""What ternary_fours and ternary_fives have in common: bytes that stand for a few columns of a row, in base 3.

Columns lie in groups of as many as a byte holds, groups in pairs. Pair after pair comes, of each row, the byte of its
first group and the byte of its second; of a last single group one byte a row. Digits are level + 1, the first column's
the most significant. Columns that fill the last group hold level 0.
"""

import numpy as np

from lamella.formats.record import WeightFormat, require_bytes


def groups(cols: int, digits: int) -> int:
    """Bytes of a row."""
    return -(-cols // digits)


def _order(rows: int, n_groups: int) -> np.ndarray:
    """The place of each (row, group) in the bytes."""
    row, group = np.arange(rows)[:, None], np.arange(n_groups)[None]
    is_single = (n_groups % 2 == 1) & (group == n_groups - 1)
    return np.where(is_single, rows * group + row, rows * (group // 2 * 2) + 2 * row + group % 2)


def _pack(levels: np.ndarray, digits: int) -> bytes:
    rows, cols = levels.shape
    n_groups = groups(cols, digits)
    whole = np.ones((rows, n_groups * digits), np.int64)
    whole[:, :cols] = levels + 1
    values = whole.reshape(rows, n_groups, digits) @ 3 ** np.arange(digits - 1, -1, -1)
    data = np.empty(rows * n_groups, np.uint8)
    data[_order(rows, n_groups)] = values
    return data.tobytes()


def _unpack(name: str, data: bytes, rows: int, cols: int, digits: int) -> np.ndarray:
    n_groups = groups(cols, digits)
    values = require_bytes(name, data, rows * n_groups)[_order(rows, n_groups)].astype(np.int16)
    if values.size and values.max() >= 3**digits:
        raise ValueError(f"{name}: byte {values.max()} stands for no {digits} levels; the data are damaged")
    found = values[:, :, None] // 3 ** np.arange(digits - 1, -1, -1) % 3 - 1
    return found.reshape(rows, n_groups * digits)[:, :cols]


def sums_format(name: str, title: str, digits: int) -> WeightFormat:
    """The record of a format with so many columns a byte."""
    return WeightFormat(
        name=name,
        title=title,
        lowest=-1,
        highest=1,
        sparse=False,
        c_type="uint8_t",
        c_unpack=None,
        c_positions=None,
        sources=(),
        _pack=lambda levels: _pack(levels, digits),
        _unpack=lambda data, rows, cols: _unpack(name, data, rows, cols, digits),
        _size=lambda levels: levels.shape[0] * groups(levels.shape[1], digits),
    )
