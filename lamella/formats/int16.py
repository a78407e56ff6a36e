"""int16: two bytes a level, little endian, two's complement; the fall-back for levels that int8 cannot hold."""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes


def _pack(levels: np.ndarray) -> bytes:
    return levels.astype("<i2").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    return require_bytes("int16", data, 2 * rows * cols).view("<i2")


def _size(levels: np.ndarray) -> int:
    return 2 * levels.size


FORMAT = WeightFormat(
    name="int16",
    title="16 bits a weight, for levels outside int8",
    lowest=-32768,
    highest=32767,
    sparse=False,
    c_type="int16_t",
    c_unpack="lam_int16_unpack",
    c_positions=None,
    sources=format_files("int16"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
