"""sparse_ternary_index: for each row the columns of its non-zero levels, ready to load by; a byte each.

Blocks of up to 16 rows and 256 columns, in the order of the rows and then of the columns. For each row of a block: how
many levels are -1, their columns within the block, how many are +1, their columns. 256 levels of one sign in a row of a
block cannot be counted in a byte: the format does not hold them.
"""

from collections.abc import Iterator

import numpy as np

from lamella.formats.record import WeightFormat

ROWS, COLS = 16, 256


def blocks(rows: int, cols: int) -> Iterator[tuple[slice, slice]]:
    """The blocks of a layer, in order."""
    for r in range(0, rows, ROWS):
        for c in range(0, cols, COLS):
            yield slice(r, min(r + ROWS, rows)), slice(c, min(c + COLS, cols))


def _pack(levels: np.ndarray) -> bytes:
    packed = bytearray()
    for block in blocks(*levels.shape):
        for row in levels[block]:
            for sign in (-1, 1):
                columns = np.flatnonzero(row == sign)
                packed += bytes([columns.size, *columns.tolist()])
    return bytes(packed)


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    levels = np.zeros((rows, cols), np.int16)
    at = 0
    try:
        for block in blocks(rows, cols):
            for row in levels[block]:
                for sign in (-1, 1):
                    n = data[at]
                    if at + n >= len(data):
                        raise IndexError
                    row[list(data[at + 1 : at + 1 + n])] = sign
                    at += 1 + n
    except IndexError:
        raise ValueError("sparse_ternary_index: the lists end before the layer does, or leave it") from None
    return levels


def lists(levels: np.ndarray) -> list[int]:
    """The numbers of levels in all lists, those of -1 and +1 in turn."""
    return [
        int(n) for block in blocks(*levels.shape) for row in levels[block] for n in ((row < 0).sum(), (row > 0).sum())
    ]


def _size(levels: np.ndarray) -> int:
    return 2 * levels.shape[0] * -(-levels.shape[1] // COLS) + np.count_nonzero(levels)


def _holds(levels: np.ndarray) -> bool:
    whole = levels[:, : levels.shape[1] // COLS * COLS].reshape(levels.shape[0], -1, COLS)
    return not bool(((whole == 1).all(axis=2) | (whole == -1).all(axis=2)).any())


FORMAT = WeightFormat(
    name="sparse_ternary_index",
    title="columns of the levels of a row in bytes: for fully connected layers, the fastest where few are not zero",
    lowest=-1,
    highest=1,
    sparse=False,  # every row takes two bytes for each 256 columns
    c_type="uint8_t",
    c_unpack=None,
    c_positions=None,
    sources=(),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=_holds,
)
