"""int4: two levels a byte, low nibble first, two's complement, one stream over all rows."""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes


def _pack(levels: np.ndarray) -> bytes:
    nibbles = np.zeros(2 * _size(levels), np.uint8)
    nibbles[: levels.size] = levels.ravel() & 15
    return (nibbles[0::2] | nibbles[1::2] << 4).tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    packed = require_bytes("int4", data, (rows * cols + 1) // 2)
    nibbles = np.stack([packed & 15, packed >> 4], axis=1).ravel()[: rows * cols].astype(np.int16)
    return (nibbles ^ 8) - 8


def _size(levels: np.ndarray) -> int:
    return (levels.size + 1) // 2


FORMAT = WeightFormat(
    name="int4",
    title="4 bits a weight",
    lowest=-8,
    highest=7,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_int4_unpack",
    c_positions=None,
    sources=format_files("int4"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
