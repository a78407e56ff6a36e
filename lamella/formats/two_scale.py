"""two_scale: levels -a, 0, +b, constant in the layer: the header has -a and b (int16), then it is `ternary`."""

import numpy as np

from lamella.formats import ternary, two_scales
from lamella.formats.record import WeightFormat, format_files, require_bytes


def _pack(levels: np.ndarray) -> bytes:
    header, signs = two_scales.split(levels)
    return header + ternary.FORMAT.pack(signs)


def _unpack(data: bytes, rows: int, cols: int) -> np.ndarray:
    require_bytes("two_scale", data, two_scales.HEADER_BYTES + (rows * cols + 4) // 5)
    signs = ternary.FORMAT.unpack(data[two_scales.HEADER_BYTES :], rows, cols)
    return two_scales.join("two_scale", data, signs)


def _size(levels: np.ndarray) -> int:
    return two_scales.HEADER_BYTES + ternary.FORMAT.size(np.sign(levels))


FORMAT = WeightFormat(
    name="two_scale",
    title="1.6 bits a weight, levels -a, 0, b of the layer (trained ternary quantisation)",
    lowest=-32768,
    highest=32767,
    sparse=False,
    c_type="uint8_t",
    c_unpack="lam_two_scale_unpack",
    c_positions=None,
    sources=(*format_files("ternary"), *format_files("two_scale")),
    _pack=_pack,
    _unpack=_unpack,
    _size=_size,
    _holds=two_scales.holds,
    _alphabet=two_scales.alphabet,
)
