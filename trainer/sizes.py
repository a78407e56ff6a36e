"""Bytes of weights in flash, as the weight formats of lamella/formats store them."""

import numpy as np

from lamella.formats import formats
from lamella.trainer.frozen import FrozenNetwork


def as_rows(levels: np.ndarray) -> np.ndarray:
    """Levels (channels, ...) as the weight formats take them: int16, one row per output channel."""
    return levels.reshape(len(levels), -1).astype(np.int16)


def smallest_format(levels: np.ndarray) -> tuple[str, int]:
    """Name and bytes of the weight format that stores levels (channels, ...) in the least space."""
    rows = as_rows(levels)
    sizes = {name: record.size(rows) for name, record in formats().items() if record.fits(rows)}
    name = min(sizes, key=lambda name: (sizes[name], name))
    return name, sizes[name]


def weight_bytes(network: FrozenNetwork) -> int:
    """Bytes of all weights, each layer in its smallest format."""
    return sum(smallest_format(layer.levels)[1] for layer in network.layers.values())
