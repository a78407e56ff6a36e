"""The record that describes one weight format. Every bit of each format is explained in docs/FORMATS.md."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WeightFormat:
    """How the integer levels of a layer lie in flash, and the C that reads them.

    Levels are an int16 array of shape (rows, cols): one row per output channel (or dense row), in ONNX order.
    `pack`, `unpack` and `size` agree exactly: unpack(pack(v), *v.shape) equals v, and size(v) == len(pack(v)).
    `pack` and `size` raise ValueError for levels that do not fit.
    """

    name: str
    title: str  # one line for `lamella formats`
    lowest: int  # smallest and largest level
    highest: int
    sparse: bool  # only the non-zero levels cost space
    c_type: str  # element type of the C array: uint8_t, int8_t, int16_t or uint32_t (little endian in the packed bytes)
    c_unpack: str | None  # the C function of type lam_unpack_fn
    c_positions: str | None  # the C function of type lam_positions_fn; neither: a kernel reads the bytes in place
    sources: tuple[str, ...]  # what the C functions need, relative to runtime_c/
    _pack: Callable[[np.ndarray], bytes]
    _unpack: Callable[[bytes, int, int], np.ndarray]
    _size: Callable[[np.ndarray], int]
    #: Where the format does not hold every set of levels from `lowest` to `highest`: whether it holds these, and a random
    #: set of levels that it does hold, none beyond +-limit.
    _holds: Callable[[np.ndarray], bool] | None = None
    _alphabet: Callable[[np.random.Generator, int], np.ndarray] | None = None
    #: How many steps of a loop inside a code word a reader takes, where these depend on the levels.
    _steps: Callable[[np.ndarray], int] | None = None
    #: What several formats' readers have in common, where they do: its work is counted under this name (Choice.work).
    coder: str | None = None

    def fits(self, levels: np.ndarray) -> bool:
        """Whether the format holds these levels."""
        if levels.size == 0:
            return True
        inside = bool(self.lowest <= levels.min() and levels.max() <= self.highest)
        return inside and (self._holds is None or self._holds(levels))

    def alphabet(self, rng: np.random.Generator, limit: int = 32767) -> np.ndarray:
        """Levels that a layer of this format may consist of, in any arrangement, none of them beyond +-limit."""
        if self._alphabet is not None:
            return self._alphabet(rng, limit)
        return np.arange(max(self.lowest, -limit), min(self.highest, limit) + 1)

    def pack(self, levels: np.ndarray) -> bytes:
        """The bytes of `levels`, shape (rows, cols), in flash."""
        return self._pack(self._checked(levels))

    def unpack(self, data: bytes, rows: int, cols: int) -> np.ndarray:
        """The int16 levels, shape (rows, cols), that `pack` made `data` of; ValueError where `data` is too short."""
        return self._unpack(data, rows, cols).astype(np.int16, copy=False).reshape(rows, cols)

    def size(self, levels: np.ndarray) -> int:
        """len(pack(levels)), usually without packing."""
        return int(self._size(self._checked(levels)))

    def steps(self, levels: np.ndarray) -> int:
        """Steps that reading all levels takes beyond one for each level, byte and non-zero level: what its time depends on."""
        return 0 if self._steps is None else int(self._steps(self._checked(levels)))

    def _checked(self, levels: np.ndarray) -> np.ndarray:
        levels = np.asarray(levels)
        if levels.ndim != 2:
            raise ValueError(f"{self.name}: levels must have shape (rows, cols), not {levels.shape}")
        if levels.dtype.kind not in "iu":
            raise ValueError(f"{self.name}: levels must be integers, not {levels.dtype}")
        if not self.fits(levels):
            n = np.unique(levels).size
            raise ValueError(
                f"{self.name}: {n} different levels from {levels.min()} to {levels.max()} do not fit ({self.title})"
            )
        return levels.astype(np.int16, copy=False)


def format_files(name: str) -> tuple[str, ...]:
    """The pair of C files every format has, relative to runtime_c/."""
    return (f"include/lam_format_{name}.h", f"src/lam_format_{name}.c")


def require_bytes(name: str, data: bytes, needed: int) -> np.ndarray:
    """The first `needed` bytes of `data` as a uint8 array; ValueError where there are fewer."""
    if len(data) < needed:
        raise ValueError(f"{name}: {needed} bytes are needed, {len(data)} are there")
    return np.frombuffer(data, np.uint8, needed)
