"""ternary: five levels a byte (1.6 bits each), one stream over all rows.

Five digits level + 1, the first the most significant, make a number v of 0 .. 242. The byte is v / 243 as a binary
fraction, rounded up: ceil(256 * v / 243). Tripling such a fraction moves the first digit in front of the point, so a
reader takes the carry of a multiplication by three: no division, no table. Rounding up never spoils a digit, because
the error stays below 1/256 and one unit of v is 1/243.
"""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes

PLACES = np.array([81, 27, 9, 3, 1], np.int32)


def _pack(levels: np.ndarray) -> bytes:
    digits = np.ones(5 * _size(levels), np.int32)
    digits[: levels.size] += levels.ravel()
    values = digits.reshape(-1, 5) @ PLACES
    return ((256 * values + 242) // 243).astype(np.uint8).tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    fraction = require_bytes("ternary", data, (rows * cols + 4) // 5).astype(np.uint16)
    digits = np.empty((fraction.size, 5), np.int16)
    for place in range(5):
        tripled = 3 * fraction
        digits[:, place] = tripled >> 8
        fraction = tripled & 255
    return digits.ravel()[: rows * cols] - 1


def _size(levels: np.ndarray) -> int:
    return (levels.size + 4) // 5


FORMAT = WeightFormat(
    name="ternary",
    title="1.6 bits a weight, levels -1, 0, 1, five in a byte",
    lowest=-1,
    highest=1,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_ternary_unpack",
    c_positions=None,
    sources=format_files("ternary"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
