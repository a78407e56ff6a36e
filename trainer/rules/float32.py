"""Weights as they are; with a mask, the pruned ones are zero."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from lamella.trainer.rules import moving_mask
from lamella.trainer.rules.straight import StraightThrough


@dataclass(frozen=True)
class Float32:
    """Float weights, pruned by the layer's mask or not. They cannot be frozen to integers.

    moving: pruned weights go on learning and may come back (moving_mask).
    """

    masked: bool = False
    moving: bool = False
    name: ClassVar[str] = "float32"
    collapsed: ClassVar[bool] = False

    def start_(self, layer) -> None:
        layer.extra.clear()
        if self.moving:
            moving_mask.start_(layer)

    def weight(self, layer) -> Tensor:
        if not self.masked:
            return layer.weight
        if self.moving:
            return StraightThrough.apply(layer.weight, layer.weight.detach() * layer.mask, moving_mask.passing(layer))
        return layer.weight * layer.mask

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        raise TypeError("float32 weights have no integer levels; give the layer another rule first")

    def keep_valid_(self, layer) -> None:
        if self.moving:
            moving_mask.after_step_(layer)


RULE = Float32
