"""two_scale_ans: levels -a, 0, +b: the header has -a and b (int16), then it is `sparse_ternary_ans`."""

import numpy as np

from lamella.formats import gap_code, two_scales
from lamella.formats.record import WeightFormat, format_files


def _pack(levels: np.ndarray) -> bytes:
    header, signs = two_scales.split(levels)
    return header + gap_code.pack(signs)


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    two_scales.read_header("two_scale_ans", data)
    signs = gap_code.unpack("two_scale_ans", data[two_scales.HEADER_BYTES :], rows * cols)
    return two_scales.join("two_scale_ans", data, signs)


def _size(levels: np.ndarray) -> int:
    return len(_pack(levels))


def _steps(levels: np.ndarray) -> int:
    return gap_code.steps(two_scales.split(levels)[1])


FORMAT = WeightFormat(
    name="two_scale_ans",
    title="entropy-coded gaps and signs, levels -a, 0, b of the layer (trained ternary quantisation)",
    lowest=-32768,
    highest=32767,
    sparse=True,
    c_type="uint8_t",
    c_unpack="lam_two_scale_ans_unpack",
    c_positions=None,
    sources=("include/lam_ans.h", "include/lam_ans_gaps.h", "src/lam_ans_gaps.c", *format_files("two_scale_ans")),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=two_scales.holds,
    _alphabet=two_scales.alphabet,
    _steps=_steps,
    coder="ans_gaps",
)
