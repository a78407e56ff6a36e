"""Rough instruction counts on a Cortex-M4, from which kernels and formats are chosen.

Counted in QEMU for a few shapes and rounded: orders of magnitude, not predictions.
"""

import numpy as np

from lamella.formats import WeightFormat

PLAIN_CONV_MAC = 6.0
DENSE_INT8_MAC = 4.5
DENSE_MAC = 5.5
SPARSE_CONV_PIXEL = 1.3  # per non-zero weight and output pixel
SPARSE_CONV_LINE = 5.0  # per output pixel: the line buffer
SPARSE_DENSE_NONZERO = 5.0
REQUANT = 12.0
WIDEN = 6.0  # per input pixel
MOVE = 3.0
POOL_PIXEL = 5.0


def unpack(record: WeightFormat, levels: np.ndarray) -> float:
    """Instructions to unpack one level."""
    density = np.count_nonzero(levels) / max(levels.size, 1)
    return record.unpack_instructions + density * record.position_instructions


def position(record: WeightFormat) -> float:
    """Instructions to find one non-zero level of a sparse format."""
    return record.position_instructions
