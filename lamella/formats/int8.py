"""int8: one byte a level, two's complement."""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes


def _pack(levels: np.ndarray) -> bytes:
    return levels.astype(np.int8).tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    return require_bytes("int8", data, rows * cols).view(np.int8)


def _size(levels: np.ndarray) -> int:
    return levels.size


FORMAT = WeightFormat(
    name="int8",
    title="8 bits a weight, read in place",
    lowest=-128,
    highest=127,
    sparse=False,
    c_type="int8_t",
    c_unpack="lam_int8_unpack",
    c_positions=None,
    sources=format_files("int8"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
)
