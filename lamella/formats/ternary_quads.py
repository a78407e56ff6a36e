"""ternary_quads: 20 ternary levels a word, 1.6 bits each, in blocks of four rows.

A unit is 10 columns of a block in two words, rows 0 and 1 and rows 2 and 3. Digits level + 1, column by column, make a
number v of 0 .. 3^20 - 1, the first the most significant; the word is v / 3^20 as a binary fraction, rounded up.
"""

import numpy as np

from lamella.formats.record import WeightFormat, require_bytes

DIGITS = 20
POWERS = 3 ** np.arange(DIGITS - 1, -1, -1, dtype=np.uint64)


class _Blocks:
    rows, cols = 4, 10

    def units(self, cols: int) -> int:
        """Units of a block."""
        return -(-cols // self.cols)


BLOCKS = _Blocks()


def _pack(levels: np.ndarray) -> bytes:
    rows, cols = levels.shape
    n_blocks, n_units = -(-rows // 4), BLOCKS.units(cols)
    whole = np.ones((4 * n_blocks, 10 * n_units), np.uint64)
    whole[:rows, :cols] = levels + 1
    # To block, unit, pair of rows, column, row of the pair.
    digits = whole.reshape(n_blocks, 2, 2, n_units, 10).transpose(0, 3, 1, 4, 2).reshape(-1, DIGITS)
    values = digits @ POWERS
    whole_power = np.uint64(3**DIGITS)
    return (((values << np.uint64(32)) + whole_power - np.uint64(1)) // whole_power).astype("<u4").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    n_blocks, n_units = -(-rows // 4), BLOCKS.units(cols)
    words = require_bytes("ternary_quads", data, 8 * n_blocks * n_units).view("<u4").astype(np.uint64)
    digits = np.empty((words.size, DIGITS), np.int16)
    for place in range(DIGITS):
        words = words * np.uint64(3)
        digits[:, place] = words >> np.uint64(32)
        words &= np.uint64(0xFFFFFFFF)
    whole = digits.reshape(n_blocks, n_units, 2, 10, 2).transpose(0, 2, 4, 1, 3).reshape(4 * n_blocks, 10 * n_units)
    return whole[:rows, :cols] - 1


def _size(levels: np.ndarray) -> int:
    rows, cols = levels.shape
    return 8 * -(-rows // 4) * BLOCKS.units(cols)


FORMAT = WeightFormat(
    name="ternary_quads",
    title="1.6 bits a weight, levels -1, 0, 1, in blocks of four rows for cores with a long multiplication",
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
