"""k-bit weights through tanh (DoReFa-Net: Zhou et al. 2016).

The 2^k levels are the odd numbers -(2^k - 1) .. 2^k - 1: there is no zero. Up to 4 bits they are a palette of k bits a
weight; 7 bits are the most that int8 holds.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.rules.straight import StraightThrough

MOST_BITS = 7
#: A layer of zeros still needs a scale above zero.
SMALLEST_SCALE = 1e-8


@dataclass(frozen=True)
class Dorefa:
    """1 bit: sign(w) * mean |w| of the layer. More: tanh(w) rounded to 2^bits values between -max and max |tanh(w)|.

    The paper spreads them between -1 and 1, which a BatchNorm behind each layer undoes; here they keep the size of the
    float weights, so networks without one train too. Straight through the rounding, with the derivative of tanh.
    """

    bits: int = 2
    name: ClassVar[str] = "dorefa"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise UsageError(f"dorefa bits = {self.bits} is out of range; choose 1 to {MOST_BITS}, or the rule int8")

    def start_(self, layer) -> None:
        layer.extra.clear()

    def weight(self, layer) -> Tensor:
        smooth = layer.weight if self.bits == 1 else torch.tanh(layer.weight)
        levels, scale = self._quantize(layer)
        return StraightThrough.apply(smooth, levels * scale)

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        levels, scale = self._quantize(layer)
        return levels.numpy().astype(np.int64), scale.reshape(1).numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass

    def _quantize(self, layer) -> tuple[Tensor, Tensor]:
        """Odd levels, and the scale of the layer."""
        weight = layer.weight.detach()
        if self.bits == 1:
            return torch.where(weight >= 0, 1.0, -1.0), weight.abs().mean().clamp(min=SMALLEST_SCALE)
        most = 2**self.bits - 1
        smooth = torch.tanh(weight)
        largest = smooth.abs().max().clamp(min=SMALLEST_SCALE)
        places = torch.floor((smooth / (2 * largest) + 0.5) * most + 0.5)
        return 2 * places - most, largest / most


RULE = Dorefa
