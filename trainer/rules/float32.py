"""Weights as they are; with a mask, the pruned ones are zero."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Float32:
    """Float weights, pruned by the layer's mask or not. They cannot be frozen to integers."""

    masked: bool = False
    name: ClassVar[str] = "float32"
    collapsed: ClassVar[bool] = False

    def start_(self, layer) -> None:
        layer.extra.clear()

    def weight(self, layer) -> Tensor:
        return layer.weight * layer.mask if self.masked else layer.weight

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        raise TypeError("float32 weights have no integer levels; give the layer another rule first")

    def keep_valid_(self, layer) -> None:
        pass


RULE = Float32
