"""Levels in blocks of a few rows, for kernels that compute these rows together: what the formats *_pairs and *_quads
share. They differ only in where in a unit a level lies.

A block is `rows` rows of the layer; a unit is `cols` columns of a block, in whole words of 32 bits. The units of a block
follow each other, and so do the blocks. Rows and columns that fill the last block and unit hold level 0.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lamella.formats.record import WeightFormat, require_bytes


class Units(Protocol):
    """What a kernel must know of the blocks of a format."""

    @property
    def rows(self) -> int:
        """Rows of a block."""

    @property
    def cols(self) -> int:
        """Columns of a unit."""

    def units(self, cols: int) -> int:
        """Units of a block of a layer of so many columns."""


@dataclass(frozen=True)
class Blocks:
    """places: the lowest bit of each level in its unit, shape (rows, cols). What is stored of a level of row r are the
    low `bits` bits of offsets[r] + sign * level."""

    bits: int
    places: np.ndarray
    offsets: np.ndarray
    sign: int = 1

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return self.places.shape[0]

    @property
    def cols(self) -> int:
        """Columns of a unit."""
        return self.places.shape[1]

    @property
    def words(self) -> int:
        """Words of a unit."""
        return int(self.places.max()) // 32 + 1

    def units(self, cols: int) -> int:
        """Units of a block."""
        return -(-cols // self.cols)

    def size(self, levels: np.ndarray) -> int:
        """Bytes of the packed levels."""
        rows, cols = levels.shape
        return 4 * self.words * -(-rows // self.rows) * self.units(cols)

    def pack(self, levels: np.ndarray) -> bytes:
        """Words, low byte first."""
        rows, cols = levels.shape
        whole = np.zeros((-(-rows // self.rows) * self.rows, self.units(cols) * self.cols), np.int64)
        whole[:rows, :cols] = levels
        whole *= self.sign
        fields = self._units(whole) + self.offsets[:, None] & (1 << self.bits) - 1
        words = np.zeros((*fields.shape[:2], self.words), np.uint64)
        for (r, c), place in np.ndenumerate(self.places):
            words[:, :, place // 32] |= fields[:, :, r, c].astype(np.uint64) << np.uint64(place % 32)
        return words.astype("<u4").tobytes()

    def unpack(self, name: str, data: bytes, rows: int, cols: int) -> np.ndarray:
        """The levels; `name` is for the error message."""
        shape = (-(-rows // self.rows), self.units(cols), self.words)
        words = require_bytes(name, data, 4 * int(np.prod(shape))).view("<u4").reshape(shape).astype(np.int64)
        half = 1 << self.bits - 1
        fields = np.zeros((*shape[:2], *self.places.shape), np.int64)
        for (r, c), place in np.ndenumerate(self.places):
            value = self.sign * ((words[:, :, place // 32] >> place % 32) - self.offsets[r])
            fields[:, :, r, c] = (value + half & (1 << self.bits) - 1) - half
        whole = fields.transpose(0, 2, 1, 3).reshape(shape[0] * self.rows, shape[1] * self.cols)
        return whole[:rows, :cols].astype(np.int16)

    def _units(self, whole: np.ndarray) -> np.ndarray:
        """Shape (blocks, units, rows of a block, columns of a unit)."""
        rows, cols = whole.shape
        split = whole.reshape(rows // self.rows, self.rows, cols // self.cols, self.cols)
        return split.transpose(0, 2, 1, 3)


def block_format(name: str, title: str, blocks: Blocks) -> WeightFormat:
    """The record of a format that stores levels of `blocks.bits` bits in blocks, for the kernel of the same name."""
    half = 1 << blocks.bits - 1
    return WeightFormat(
        name=name,
        title=title,
        lowest=-half,
        highest=half - 1,
        sparse=False,
        c_type="uint32_t",
        c_unpack=None,
        c_positions=None,
        sources=(),
        _pack=blocks.pack,
        _unpack=lambda data, rows, cols: blocks.unpack(name, data, rows, cols),
        _size=blocks.size,
    )
