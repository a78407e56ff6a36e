"""Levels of k bits with a learned step per output channel.

Learned Step Size Quantization (Esser et al., ICLR 2020); that the step's rate is divided by the square root of the
number of weights happens in the optimiser (lamella.trainer.fit), as for every sigma.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules.orientation import orientation

#: A step never falls below this share of the value it started with.
SMALLEST_SHARE = 1e-3
#: Steps tried for the start, as shares of the one that reaches the largest weight.
SHARES = torch.linspace(0.2, 1.0, 33)


class _Round(torch.autograd.Function):
    """step * clamp(round(w / step)). Backward: straight through inside the range; the step's gradient as in the paper."""

    @staticmethod
    def forward(ctx, weight: Tensor, step: Tensor, low: int, high: int) -> Tensor:
        units = weight / step
        levels = torch.floor(units + 0.5).clamp(low, high)
        ctx.save_for_backward(units, levels)
        ctx.range = (low, high)
        ctx.step_shape = step.shape
        return levels * step

    @staticmethod
    def backward(ctx, grad: Tensor):
        units, levels = ctx.saved_tensors
        low, high = ctx.range
        inside = (units >= low) & (units <= high)
        grad_step = grad * torch.where(inside, levels - units, levels)
        return grad * inside, grad_step.sum_to_size(ctx.step_shape), None, None


@dataclass(frozen=True)
class Uniform:
    """Levels -2^(bits-1) .. 2^(bits-1) - 1 of a step per output channel. masked: pruned weights stay zero."""

    bits: int = 4
    masked: bool = False
    name: ClassVar[str] = "uniform"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise UsageError(f"uniform bits = {self.bits} is out of range; choose 2 to 8")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            step = self.best_step(orientation(layer) * self._weight(layer))
        layer.extra["step"] = nn.Parameter(step)
        layer.extra["smallest_step"] = nn.Parameter(step * SMALLEST_SHARE, requires_grad=False)

    def weight(self, layer) -> Tensor:
        turn = orientation(layer)  # the lowest level turned round would be one too many
        return turn * _Round.apply(turn * self._weight(layer), layer.extra["step"], *self._range())

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        step = layer.extra["step"].detach()
        with torch.no_grad():
            turn = orientation(layer)
            levels = turn * torch.floor(turn * self._weight(layer) / step + 0.5).clamp(*self._range())
        return levels.numpy().astype(np.int64), step.flatten().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        step = layer.extra["step"]
        step.data.copy_(torch.maximum(step.data, layer.extra["smallest_step"].data))

    def best_step(self, weight: Tensor) -> Tensor:
        """Per output channel the step of the smallest squared error among SHARES; 1 where all weights are zero."""
        low, high = self._range()
        axes = tuple(range(1, weight.dim()))
        largest = weight.abs().amax(axes, keepdim=True)
        best, least = torch.ones_like(largest), torch.full_like(largest, torch.inf)
        for share in SHARES:
            step = torch.where(largest > 0, largest * share / max(high, 1), torch.ones_like(largest))
            error = (torch.floor(weight / step + 0.5).clamp(low, high) * step - weight).square().sum(axes, keepdim=True)
            best, least = torch.where(error < least, step, best), torch.minimum(error, least)
        return best

    def _weight(self, layer) -> Tensor:
        return layer.weight * layer.mask if self.masked else layer.weight

    def _range(self) -> tuple[int, int]:
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1


RULE = Uniform
