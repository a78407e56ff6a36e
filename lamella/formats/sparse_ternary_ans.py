"""sparse_ternary_ans: gaps and signs in an adaptive entropy code; at or below H(d) + d, slower to read than Rice codes.

Header byte 16 * rate + k, then one code for each non-zero level and one for the end of the layer, as gap_code.py says.
"""

import numpy as np

from lamella.formats import gap_code
from lamella.formats.record import WeightFormat, format_files


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    return gap_code.unpack("sparse_ternary_ans", data, rows * cols)


def _size(levels: np.ndarray) -> int:
    return len(gap_code.pack(levels))


FORMAT = WeightFormat(
    name="sparse_ternary_ans",
    title="entropy-coded gaps and signs: the smallest for levels -1, 0, 1, slow to read",
    lowest=-1,
    highest=1,
    sparse=True,
    c_type="uint8_t",
    c_unpack="lam_sparse_ternary_ans_unpack",
    c_positions="lam_sparse_ternary_ans_positions",
    sources=("include/lam_ans.h", "include/lam_ans_gaps.h", "src/lam_ans_gaps.c", *format_files("sparse_ternary_ans")),
    _pack=gap_code.pack,
    _unpack=_unpack,
    _size=_size,
    _steps=gap_code.steps,
    coder="ans_gaps",
)
