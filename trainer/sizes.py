"""What layers take: bytes of weights in flash as the weight formats of lamella/formats store them, or prices of a target."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from lamella.formats import formats
from lamella.trainer.frozen import FrozenNetwork


@dataclass(frozen=True)
class Price:
    """What a layer takes. bytes: of its weights. instructions: of one inference, where a target is known.

    cost: what the ways to store it are compared by; any unit, the same for all.
    """

    bytes: int
    cost: float
    instructions: float | None = None


#: The prices of some layers of a network, by name.
Prices = Callable[[FrozenNetwork, Collection[str]], dict[str, Price]]


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


def by_bytes(network: FrozenNetwork, names: Collection[str]) -> dict[str, Price]:
    """Each layer in its smallest format: Prices without a target."""
    sizes = {name: smallest_format(network.layers[name].levels)[1] for name in names}
    return {name: Price(size, size) for name, size in sizes.items()}
