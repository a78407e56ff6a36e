"""int2: four levels a byte, lowest bits first, two's complement, one stream over all rows."""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes

SHIFTS = np.array([0, 2, 4, 6], np.uint8)


def _pack(levels: np.ndarray) -> bytes:
    codes = np.zeros(4 * _size(levels), np.uint8)
    codes[: levels.size] = levels.ravel() & 3
    return np.bitwise_or.reduce(codes.reshape(-1, 4) << SHIFTS, axis=1).astype(np.uint8).tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    packed = require_bytes("int2", data, (rows * cols + 3) // 4)
    codes = (packed[:, None] >> SHIFTS & 3).ravel()[: rows * cols].astype(np.int16)
    return (codes ^ 2) - 2


def _size(levels: np.ndarray) -> int:
    return (levels.size + 3) // 4


FORMAT = WeightFormat(
    name="int2",
    title="2 bits a weight",
    lowest=-2,
    highest=1,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_int2_unpack",
    c_positions=None,
    sources=format_files("int2"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
