"""What convolution and dense layers share: their levels in the weight formats, and what reading them costs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lamella import formats
from lamella.codegen.cdata import Array
from lamella.formats import WeightFormat

INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Packed:
    """A way to store a layer: the format and its bytes."""

    format: WeightFormat
    bytes: int
    steps: int


def matrix(levels: np.ndarray) -> np.ndarray:
    """Levels as one row per output channel."""
    return levels.reshape(levels.shape[0], -1)


def candidates(levels: np.ndarray) -> tuple[Packed, ...]:
    """Every format that holds the levels, with exact sizes."""
    rows = matrix(levels)
    return _candidates(np.ascontiguousarray(rows).tobytes(), rows.dtype, rows.shape)


@lru_cache(maxsize=256)
def _candidates(content: bytes, dtype: np.dtype, shape: tuple[int, int]) -> tuple[Packed, ...]:
    rows = np.frombuffer(content, dtype).reshape(shape)
    able = (record for record in formats.formats().values() if record.fits(rows))
    return tuple(Packed(record, record.size(rows), record.steps(rows)) for record in able)


def unpack_work(packed: Packed, levels: np.ndarray, times: int, calls: int) -> dict[str, float]:
    """What it takes to unpack all levels `times` times, in so many calls altogether (Choice.work)."""
    return _decode_work(f"{packed.format.name}.unpack", packed, levels, times, calls)


def positions_work(packed: Packed, levels: np.ndarray, times: int) -> dict[str, float]:
    """What it takes to read the positions of all rows `times` times (Choice.work)."""
    return _decode_work(f"{packed.format.name}.positions", packed, levels, times, times * levels.shape[0])


def _decode_work(name: str, packed: Packed, levels: np.ndarray, times: int, calls: int) -> dict[str, float]:
    coder = packed.format.coder or name
    work = {f"{name}.call": calls, f"{name}.level": times * levels.size, f"{coder}.byte": times * packed.bytes}
    if packed.format.sparse:
        nonzero = times * int(np.count_nonzero(levels))
        work |= {f"{name}.nonzero": nonzero, f"{coder}.nonzero": nonzero}
    if packed.steps:
        work[f"{coder}.step"] = times * packed.steps
    return work


def largest_row(levels: np.ndarray) -> int:
    """The largest number of non-zero levels in a row, at least 1."""
    return max(1, int(np.count_nonzero(matrix(levels), axis=1).max()))


def array(levels: np.ndarray, format_name: str) -> Array:
    """The packed levels as a C array."""
    record = formats.get(format_name)
    rows = matrix(levels)
    dtype = {"uint8_t": "u1", "int8_t": "i1", "int16_t": "<i2", "uint32_t": "<u4"}[record.c_type]
    values = np.frombuffer(record.pack(rows), dtype)
    density = np.count_nonzero(rows) / max(rows.size, 1)
    comment = f"{record.name}, {rows.shape[0]} x {rows.shape[1]} levels, {100 * density:.1f} % not zero, {values.nbytes} bytes"
    return Array("weights", record.c_type, values, comment, is_weights=True)


def folded_bias(levels: np.ndarray, bias: np.ndarray, x_zero: int) -> np.ndarray:
    """bias - x_zero * sum of the row's levels, so that kernels multiply raw inputs."""
    return bias - x_zero * matrix(levels).astype(np.int64).sum(axis=1)


def accumulator_range(levels: np.ndarray, bias: np.ndarray, x_zero: int) -> tuple[int, int]:
    """The smallest and largest partial sum a kernel can meet, whatever the order and the inputs (0..255)."""
    rows = matrix(levels).astype(np.int64)
    start = folded_bias(levels, bias, x_zero)
    lowest = np.minimum(start, 0) + 255 * np.minimum(rows, 0).sum(axis=1)
    highest = np.maximum(start, 0) + 255 * np.maximum(rows, 0).sum(axis=1)
    return int(lowest.min()), int(highest.max())


def refuse_overflow(reader, node, levels: np.ndarray, bias: np.ndarray, x_zero: int) -> None:
    """Refuse a layer whose accumulators could leave int32."""
    lowest, highest = accumulator_range(levels, bias, x_zero)
    if lowest < -INT32_MAX or highest > INT32_MAX:
        raise reader.unsupported(
            node, f"its sums reach {max(highest, -lowest)}, beyond 32 bits; split the layer, or shrink weights or bias"
        )
