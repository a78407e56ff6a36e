"""int8_ans: entropy-coded levels of int8, or of any smaller alphabet, with the frequencies of the layer's levels.

A level is a symbol, level >> r, and r low bits as they are: a few bits for which a frequency each would not pay. The
header lists the symbols, most frequent first: r; the number of symbols less one; how many of the others are large; the
first one's frequency (16 bits, of 4096) and value; then frequency and value of the others, the large
ones in units of 16, the rest in units of 1. Then follows the code (rans.py).
"""

from functools import lru_cache

import numpy as np

from lamella.formats.rans import Decoder, Step, encode, ideal_bits
from lamella.formats.record import WeightFormat, format_files, require_bytes

BITS = 12
TOTAL = 1 << BITS
HEADER_BYTES = 6
LARGE = 128  # frequencies from here on are multiples of 16
MOST_LOW_BITS = 6


def _frequencies(counts: np.ndarray) -> tuple[np.ndarray, int]:
    """(frequency of each symbol, number of large ones behind the first) for counts in descending order."""
    others = counts[1:] * TOTAL / max(counts.sum(), 1)
    while True:
        n_large = int((others >= LARGE).sum())
        large = np.maximum(np.round(others[:n_large] / 16), 1).astype(int) * 16
        small = np.clip(np.round(others[n_large:]), 1, 255).astype(int)
        first = TOTAL - large.sum() - small.sum()
        if first > 0:
            return np.concatenate([[first], large, small]), n_large
        others = others * 0.98  # many symbols that are rarer than 1 of 4096, or none that stands out


def _symbols(levels: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, counts) of level >> r, most frequent first."""
    values, counts = np.unique(levels >> r, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return values[order], counts[order]


def _expected_bits(levels: np.ndarray, r: int) -> float:
    values, counts = _symbols(levels, r)
    frequencies, _ = _frequencies(counts)
    return 16 * values.size + ideal_bits(counts, frequencies, BITS) + r * levels.size


@lru_cache(maxsize=16)
def _packed(data: bytes) -> bytes:
    levels = np.frombuffer(data, np.int8).astype(np.int64)
    if levels.size == 0:
        levels = np.zeros(1, np.int64)
    r = min(range(MOST_LOW_BITS + 1), key=lambda r: _expected_bits(levels, r))
    values, counts = _symbols(levels, r)
    frequencies, n_large = _frequencies(counts)
    units = np.where(np.arange(values.size) <= n_large, frequencies // 16, frequencies)
    first = int(frequencies[0])
    header = [r, values.size - 1, n_large, first & 255, first >> 8, int(values[0]) & 255]
    for value, unit in zip(values[1:].tolist(), units[1:].tolist(), strict=True):
        header += [unit, value & 255]
    starts = np.cumsum(frequencies) - frequencies
    step_of = {v: (s, f, BITS) for v, s, f in zip(values.tolist(), starts.tolist(), frequencies.tolist(), strict=True)}
    steps: list[Step] = []
    for level in levels.tolist():
        steps.append(step_of[level >> r])
        if r:
            steps.append((level & ((1 << r) - 1), 1, r))
    return bytes(header) + encode(steps)


def _pack(levels: np.ndarray) -> bytes:
    return _packed(levels.astype(np.int8).tobytes())


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    head = require_bytes("int8_ans", data, HEADER_BYTES).astype(int)
    r, n_others, n_large = head[:3].tolist()
    code_at = HEADER_BYTES + 2 * n_others
    others = require_bytes("int8_ans", data, code_at)[HEADER_BYTES:].reshape(-1, 2)
    values = np.concatenate([head[5:6], others[:, 1]]).astype(np.int8).tolist()
    units = np.where(np.arange(n_others) < n_large, 16, 1)
    frequencies = np.concatenate([[head[3] + 256 * head[4]], others[:, 0] * units])
    starts = np.cumsum(frequencies) - frequencies
    if frequencies.sum() != TOTAL:
        raise ValueError("int8_ans: the header is damaged")
    symbol_at = np.repeat(np.arange(n_others + 1), frequencies).tolist()
    starts, frequencies = starts.tolist(), frequencies.tolist()
    levels = []
    try:
        decoder = Decoder(data[code_at:])
        for _ in range(rows * cols):
            symbol = symbol_at[decoder.low(BITS)]
            decoder.take(starts[symbol], frequencies[symbol], BITS)
            levels.append(values[symbol] << r | (decoder.number(r) if r else 0))
    except IndexError:
        raise ValueError("int8_ans: the code ends before the layer does") from None
    return np.array(levels, np.int16)


def _size(levels: np.ndarray) -> int:
    return len(_pack(levels))


def _steps(levels: np.ndarray) -> int:
    _, counts = _symbols(levels.astype(np.int64), _pack(levels)[0])
    return int((np.arange(counts.size) * counts).sum())


FORMAT = WeightFormat(
    name="int8_ans",
    title="entropy-coded levels of up to 8 bits",
    lowest=-128,
    highest=127,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_int8_ans_unpack",
    c_positions=None,
    sources=("include/lam_ans.h", *format_files("int8_ans")),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _steps=_steps,
)
