"""palette: up to 16 different levels: a codebook of int16, and for each level its place there in 1 to 4 bits.

All of it is a row of 16-bit words, so that a reader can use the codebook where it lies: the number of entries, the
entries in ascending order, the places, lowest bits first.
"""

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes

MOST = 16


def _width(entries: int) -> int:
    return max(1, (entries - 1).bit_length())


def _words(count: int, width: int) -> int:
    return (count * width + 15) // 16


def _pack(levels: np.ndarray) -> bytes:
    book, places = np.unique(levels, return_inverse=True)
    width = _width(book.size)
    bits = np.zeros(16 * _words(levels.size, width), np.uint8)
    for place in range(width):
        bits[place : levels.size * width : width] = places.ravel() >> place & 1
    return np.array([book.size, *book], "<i2").tobytes() + np.packbits(bits, bitorder="little").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    entries = int(require_bytes("palette", data, 2).view("<i2")[0])
    if not 0 <= entries <= MOST:
        raise ValueError("palette: the header is damaged")
    width, head = _width(entries), 2 + 2 * entries
    packed = require_bytes("palette", data, head + 2 * _words(rows * cols, width))
    bits = np.unpackbits(packed[head:], count=rows * cols * width, bitorder="little").reshape(-1, width)
    places = bits @ (1 << np.arange(width))
    if places.max(initial=-1) >= entries:
        raise ValueError("palette: a place lies outside the codebook")
    return packed[2:head].view("<i2")[places]


def _size(levels: np.ndarray) -> int:
    entries = np.unique(levels).size
    return 2 + 2 * entries + 2 * _words(levels.size, _width(entries))


def _holds(levels: np.ndarray) -> bool:
    # Most layers are refused by their first few levels, without a sort of all.
    return np.unique(levels.ravel()[:256]).size <= MOST and np.unique(levels).size <= MOST


def _alphabet(rng: np.random.Generator, limit: int) -> np.ndarray:
    return rng.choice(np.arange(-limit, limit + 1), rng.integers(1, min(MOST, 2 * limit + 1) + 1), replace=False)


FORMAT = WeightFormat(
    name="palette",
    title="1 to 4 bits a weight, up to 16 different levels of any size",
    lowest=-32768,
    highest=32767,
    sparse=False,
    c_type="int16_t",
    c_unpack="lam_palette_unpack",
    c_positions=None,
    sources=format_files("palette"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=_holds,
    _alphabet=_alphabet,
)
