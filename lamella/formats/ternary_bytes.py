"""ternary_bytes: five columns of a row a byte, 1.6 bits a weight, in blocks of four rows, read through a table.

A unit is five columns of a block in a word, byte r of it row r: digits level + 1 in base 3, the first column's first.
"""

import numpy as np

from lamella.formats.record import WeightFormat, require_bytes

ROWS, COLS = 4, 5
POWERS = np.array([81, 27, 9, 3, 1])


class _Blocks:
    rows, cols = ROWS, COLS

    def units(self, cols: int) -> int:
        """Units of a block."""
        return -(-cols // COLS)


BLOCKS = _Blocks()


def _pack(levels: np.ndarray) -> bytes:
    rows, cols = levels.shape
    n_blocks, n_units = -(-rows // ROWS), BLOCKS.units(cols)
    whole = np.ones((ROWS * n_blocks, COLS * n_units), np.int64)
    whole[:rows, :cols] = levels + 1
    digits = whole.reshape(n_blocks, ROWS, n_units, COLS).transpose(0, 2, 1, 3)
    return (digits @ POWERS).astype(np.uint8).tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    n_blocks, n_units = -(-rows // ROWS), BLOCKS.units(cols)
    values = require_bytes("ternary_bytes", data, ROWS * n_blocks * n_units).astype(np.int16)
    digits = (values[:, None] // POWERS % 3).reshape(n_blocks, n_units, ROWS, COLS)
    return digits.transpose(0, 2, 1, 3).reshape(ROWS * n_blocks, COLS * n_units)[:rows, :cols] - 1


def _size(levels: np.ndarray) -> int:
    rows, cols = levels.shape
    return ROWS * -(-rows // ROWS) * BLOCKS.units(cols)


FORMAT = WeightFormat(
    name="ternary_bytes",
    title="1.6 bits a weight, levels -1, 0, 1, in blocks of four rows for cores without a long multiplication",
    lowest=-1,
    highest=1,
    sparse=False,
    c_type="uint32_t",
    c_unpack=None,
    c_positions=None,
    sources=(),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
