"""Fixed point: k-bit levels, or powers of two, times a power of two.

The widths of precision studies (Hashemi et al., DATE 2017; powers of two: Lin et al. 2016). One scale a layer.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules.orientation import orientation
from lamella.trainer.rules.straight import StraightThrough

#: Scales tried: from that which holds the largest weight down to so many halvings.
HALVINGS = 4
#: The largest power of two that int8 holds is 2^6, so 7 magnitudes, so 4 bits.
MOST_BITS_OF_POWERS = 4


@dataclass(frozen=True)
class FixedPoint:
    """Levels of `bits` bits; powers: only 0 and plus or minus 1, 2, 4, .. 2^(2^(bits-1) - 2).

    The scale is the power of two of least squared error at the start, and stays. Straight through within the range.
    """

    bits: int = 8
    powers: bool = False
    name: ClassVar[str] = "fixed_point"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        most = MOST_BITS_OF_POWERS if self.powers else 8
        if not 2 <= self.bits <= most:
            raise UsageError(f"fixed_point bits = {self.bits} is out of range; choose 2 to {most}")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            layer.extra["scale"] = nn.Parameter(self.best_scale(layer.weight), requires_grad=False)

    def weight(self, layer) -> Tensor:
        with torch.no_grad():
            scale, turn = layer.extra["scale"], orientation(layer)
            units = turn * layer.weight / scale
            low, high = self._range()
            value = turn * self._round(units) * scale
        return StraightThrough.apply(layer.weight, value, (units >= low) & (units <= high))

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            turn = orientation(layer)  # -8 turned round would be 8, which 4 bits do not hold
            levels = turn * self._round(turn * layer.weight / layer.extra["scale"])
        return levels.numpy().astype(np.int64), layer.extra["scale"].detach().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass

    def best_scale(self, weight: Tensor) -> Tensor:
        """The power of two of the smallest squared error, shape (1,); 1 for weights of zero."""
        largest = float(weight.abs().max())
        if largest == 0.0:
            return torch.ones(1)
        widest = int(np.ceil(np.log2(largest / self._range()[1])))
        scales = [2.0 ** (widest - k) for k in range(HALVINGS + 1)]
        errors = [float((self._round(weight / scale) * scale - weight).square().sum()) for scale in scales]
        return torch.tensor([scales[int(np.argmin(errors))]])

    def _range(self) -> tuple[int, int]:
        if self.powers:
            high = 2 ** (2 ** (self.bits - 1) - 2)
            return -high, high
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1

    def _round(self, units: Tensor) -> Tensor:
        """The nearest level."""
        low, high = self._range()
        if not self.powers:
            return torch.floor(units + 0.5).clamp(low, high)
        magnitude = units.abs().clamp(max=high)
        below = torch.exp2(torch.floor(torch.log2(magnitude.clamp(min=1.0))))
        nearest = torch.where(magnitude >= 1.5 * below, 2 * below, below)
        return units.sign() * torch.where(magnitude < 0.5, torch.zeros_like(nearest), nearest)


RULE = FixedPoint
