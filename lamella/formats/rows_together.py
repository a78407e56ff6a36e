"""What int4_rows and int2_rows have in common: a byte holds one column of a few rows, for kernels with vectors of bytes.

Rows lie in groups of as many as a byte has fields, the first in the lowest bits; a group has a byte for each column.
Fields are level - the lowest level. Rows that fill the last group hold level 0.
"""

import numpy as np

from lamella.formats.record import WeightFormat, require_bytes


def groups(rows: int, bits: int) -> int:
    """Groups of rows."""
    return -(-rows * bits // 8)


def _pack(levels: np.ndarray, bits: int) -> bytes:
    rows, cols = levels.shape
    fields = np.full((groups(rows, bits) * 8 // bits, cols), 1 << bits - 1, np.uint8)
    fields[:rows] = levels + (1 << bits - 1)
    fields = fields.reshape(groups(rows, bits), 8 // bits, cols) << np.arange(0, 8, bits, np.uint8)[:, None]
    return np.bitwise_or.reduce(fields, axis=1).astype(np.uint8).tobytes()


def _unpack(name: str, data: bytes, rows: int, cols: int, bits: int) -> np.ndarray:
    n_groups = groups(rows, bits)
    packed = require_bytes(name, data, n_groups * cols).reshape(n_groups, 1, cols)
    fields = packed >> np.arange(0, 8, bits, np.uint8)[:, None] & (1 << bits) - 1
    return fields.reshape(n_groups * 8 // bits, cols)[:rows].astype(np.int16) - (1 << bits - 1)


def rows_format(name: str, bits: int) -> WeightFormat:
    """The record of a format with fields of so many bits."""
    half = 1 << bits - 1
    return WeightFormat(
        name=name,
        title=f"{bits} bits a weight, {8 // bits} rows a byte",
        lowest=-half,
        highest=half - 1,
        sparse=False,
        c_type="uint8_t",
        c_unpack=None,
        c_positions=None,
        sources=(),
        _pack=lambda levels: _pack(levels, bits),
        _unpack=lambda data, rows, cols: _unpack(name, data, rows, cols, bits),
        _size=lambda levels: groups(levels.shape[0], bits) * levels.shape[1],
    )
