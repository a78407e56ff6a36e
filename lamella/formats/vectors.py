"""vectors: repeated sub-vectors (vector quantisation): a codebook of up to 256 pieces of levels, and the places of them.

The stream of levels, row after row, is cut into pieces of k = 2, 4 or 8 levels. Two bytes of header: 16 * bits of a
level in the codebook + k, and the number of different pieces less one; then the pieces, each in whole bytes; then for
each piece of the layer its place in the codebook, lowest bits first. The packer takes the k that needs the fewest bytes.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lamella.formats.record import WeightFormat, format_files, require_bytes

LENGTHS = (2, 4, 8)
MOST = 256  # pieces in a codebook: a place is a byte at most
HEADER_BYTES = 2
WORD_BITS = 32  # a reader takes a piece as one word where it fits into one


@dataclass(frozen=True)
class Cut:
    """Levels in pieces of one length: the different ones in ascending order, and the place of each piece among them."""

    book: np.ndarray  # int8, (entries, length)
    places: np.ndarray

    @property
    def depth(self) -> int:
        """Bits of a level in the codebook."""
        return _depth(self.book.shape[1], int(self.book.min()), int(self.book.max()))

    @property
    def bytes(self) -> int:
        """Of the whole stream."""
        entries, length = self.book.shape
        places = (self.places.size * _width(entries) + 7) // 8
        return HEADER_BYTES + entries * _piece_bytes(length, self.depth) + places


def _depth(length: int, lowest: int, highest: int) -> int:
    needed = max(highest, ~lowest, 0).bit_length() + 1
    return needed if length * needed <= WORD_BITS else 8


def _piece_bytes(length: int, depth: int) -> int:
    return (length * depth + 7) // 8


def _width(entries: int) -> int:
    return max(1, (entries - 1).bit_length())


def _keys(pieces: np.ndarray) -> np.ndarray:
    """A number for each piece (n, length), in the order of the levels."""
    padded = np.zeros((len(pieces), 8), np.uint8)
    padded[:, : pieces.shape[1]] = pieces.view(np.uint8) ^ 0x80
    return padded.view(">u8").astype(np.uint64).ravel()


def _pieces(levels: np.ndarray, length: int) -> np.ndarray:
    """(n, length) of a stream; what fills the last piece is that of another one which begins alike, or else zeros."""
    whole = levels[: levels.size // length * length].reshape(-1, length)
    rest = levels[whole.size :]
    if not rest.size and whole.size:
        return whole
    alike = np.flatnonzero((whole[:, : rest.size] == rest).all(axis=1))[:1]
    last = whole[alike] if alike.size else np.pad(rest, (0, length - rest.size))[None]
    return np.concatenate([whole, last])


def _cut(levels: np.ndarray, length: int) -> Cut | None:
    pieces = _pieces(levels, length)
    # Most layers are refused by their first pieces, without a sort of all.
    if np.unique(_keys(pieces[: 4 * MOST])).size > MOST:
        return None
    _, first, places = np.unique(_keys(pieces), return_index=True, return_inverse=True)
    return Cut(pieces[first], places) if first.size <= MOST else None


@lru_cache(maxsize=16)
def _best(data: bytes) -> Cut | None:
    levels = np.frombuffer(data, np.int8)
    cuts = [cut for length in LENGTHS if (cut := _cut(levels, length)) is not None]
    return min(cuts, key=lambda cut: (cut.bytes, -cut.book.shape[1]), default=None)


def _cut_of(levels: np.ndarray) -> Cut | None:
    return _best(levels.astype(np.int8).tobytes())


def _pack(levels: np.ndarray) -> bytes:
    cut = _cut_of(levels)
    entries, length = cut.book.shape
    depth, width = cut.depth, _width(entries)
    # Both number their bits from the lowest of the first byte on.
    book = np.zeros((entries, 8 * _piece_bytes(length, depth)), np.uint8)
    book[:, : length * depth] = (cut.book[:, :, None] >> np.arange(depth) & 1).reshape(entries, -1)
    places = cut.places[:, None] >> np.arange(width) & 1
    packed = np.packbits(book, bitorder="little").tobytes()
    return bytes([16 * depth + length, entries - 1]) + packed + np.packbits(places, bitorder="little").tobytes()


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    shape, last = require_bytes("vectors", data, HEADER_BYTES).tolist()
    depth, length, entries = shape >> 4, shape & 15, last + 1
    if length not in LENGTHS or not 1 <= depth <= 8 or (length * depth > WORD_BITS and depth < 8):
        raise ValueError("vectors: the header is damaged")
    count, width, piece_bytes = -(-rows * cols // length), _width(entries), _piece_bytes(length, depth)
    places_at = HEADER_BYTES + entries * piece_bytes
    packed = require_bytes("vectors", data, places_at + (count * width + 7) // 8)
    bits = np.unpackbits(packed[HEADER_BYTES:places_at].reshape(entries, -1), axis=1, bitorder="little")
    book = bits[:, : length * depth].reshape(entries, length, depth) @ (1 << np.arange(depth))
    book = np.where(book >> (depth - 1), book - (1 << depth), book)
    bits = np.unpackbits(packed[places_at:], count=count * width, bitorder="little").reshape(-1, width)
    places = bits @ (1 << np.arange(width))
    if places.max(initial=-1) >= entries:
        raise ValueError("vectors: a place lies outside the codebook")
    return book[places].ravel()[: rows * cols]


def _size(levels: np.ndarray) -> int:
    return _cut_of(levels).bytes


def _holds(levels: np.ndarray) -> bool:
    return _cut_of(levels) is not None


def _steps(levels: np.ndarray) -> int:
    # To find a piece takes as long as to put four of its bytes into a word; whole bytes need no word.
    cut = _cut_of(levels)
    in_words = _piece_bytes(cut.book.shape[1], cut.depth) if cut.depth < 8 else 0
    return cut.places.size * (4 + in_words)


def _alphabet(rng: np.random.Generator, limit: int) -> np.ndarray:
    """Up to 16 levels: not more than 256 pairs."""
    levels = np.arange(max(-128, -limit), min(127, limit) + 1)
    return rng.choice(levels, rng.integers(1, min(16, levels.size) + 1), replace=False)


FORMAT = WeightFormat(
    name="vectors",
    title="repeated pieces of 2, 4 or 8 levels of up to 8 bits, 256 different ones at most",
    lowest=-128,
    highest=127,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_vectors_unpack",
    c_positions=None,
    sources=format_files("vectors"),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=_holds,
    _alphabet=_alphabet,
    _steps=_steps,
)
