"""binary: eight levels -1 or +1 a byte, lowest bit first, 1 for -1, one stream over all rows."""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes


def _pack(levels: np.ndarray) -> bytes:
    return np.packbits(levels.ravel() < 0, bitorder="little").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    packed = require_bytes("binary", data, (rows * cols + 7) // 8)
    return 1 - 2 * np.unpackbits(packed, count=rows * cols, bitorder="little").astype(np.int16)


def _size(levels: np.ndarray) -> int:
    return (levels.size + 7) // 8


def _holds(levels: np.ndarray) -> bool:
    return bool((levels != 0).all())


def _alphabet(rng: np.random.Generator, limit: int) -> np.ndarray:
    return np.array([-1, 1])


FORMAT = WeightFormat(
    name="binary",
    title="1 bit a weight, levels -1 and 1",
    lowest=-1,
    highest=1,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_binary_unpack",
    c_positions=None,
    sources=format_files("binary"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=_holds,
    _alphabet=_alphabet,
)
