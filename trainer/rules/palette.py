"""Shared weights: a palette of 2 to 16 values for the layer (Deep Compression: Han, Mao, Dally, ICLR 2016).

k-means finds the values; they are then trained by the summed gradients of the weights that share them. Which weight
takes which value stays. What is trained is what is shipped: values are integers times one scale.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules.kmeans import nearest_scalar, scalar_kmeans
from lamella.trainer.rules.orientation import orientation
from lamella.trainer.rules.shared import Lookup, quantized_book

LARGEST = 127
MOST_ENTRIES = 16


@dataclass(frozen=True)
class Palette:
    """Up to `entries` values. masked: pruned weights stay zero, which is one of them."""

    entries: int = 16
    masked: bool = False
    name: ClassVar[str] = "palette"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 2 <= self.entries <= MOST_ENTRIES:
            raise UsageError(f"palette entries = {self.entries} is out of range; choose 2 to {MOST_ENTRIES}")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            weight = orientation(layer) * layer.weight
            kept = weight[layer.mask] if self.masked else weight.flatten()
            if not kept.numel():
                kept = torch.zeros(1)
            centroids = scalar_kmeans(kept, self.entries - self.masked)
            members = nearest_scalar(weight, centroids)
        layer.extra["centroids"] = nn.Parameter(centroids)
        layer.extra["members"] = nn.Parameter(members, requires_grad=False)

    def weight(self, layer) -> Tensor:
        with torch.no_grad():
            levels, scale = quantized_book(layer.extra["centroids"], LARGEST)
        weight = orientation(layer) * Lookup.apply(layer.extra["centroids"], levels * scale, layer.extra["members"])
        return weight * layer.mask if self.masked else weight

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            book, scale = quantized_book(layer.extra["centroids"], LARGEST)
            levels = orientation(layer) * book[layer.extra["members"]]
            levels = levels * layer.mask if self.masked else levels
        return levels.numpy().astype(np.int64), scale.reshape(1).numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass


RULE = Palette
