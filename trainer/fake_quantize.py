"""Activations as they will be on the microcontroller, while training: uint8, one scale and zero point a tensor."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lamella.trainer.graph import Clip

LEVELS = 255
#: No learned scale goes below this; it keeps scales positive and their quotients finite.
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class Affine:
    """Real value = scale * (level - zero); scale is a float32 value."""

    scale: float
    zero: int

    def bounds(self, clip: Clip) -> tuple[int, int]:
        """Lowest and highest level under an activation function: zero + floor(bound / scale + 0.5), within 0..255."""
        low = 0 if clip.low is None else self._level(clip.low)
        high = LEVELS if clip.high is None else self._level(clip.high)
        return low, high

    def _level(self, bound: float) -> int:
        return int(np.clip(self.zero + np.floor(bound / self.scale + 0.5), 0, LEVELS))


class Round(torch.autograd.Function):
    """To the grid and back. Gradient: straight through inside the range; for the scale that of a learned step size."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, zero: int, low: int, high: int) -> Tensor:
        units = x.float() / scale  # a quotient in bfloat16 would be rounded before it is rounded to a level
        levels = torch.floor(units + 0.5).clamp_(low - zero, high - zero)
        inside = (units >= low - zero) & (units <= high - zero)
        ctx.save_for_backward(units, levels, inside)
        return (levels * scale).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):
        units, levels, inside = ctx.saved_tensors
        grad_x = grad * inside
        grad_scale = None
        if ctx.needs_input_grad[1]:
            # d/ds of s * round(x/s) = round(x/s) - x/s inside, the bound outside; scaled down as there are many x.
            grad_scale = ((grad * levels).sum() - (grad_x * units).sum()) * gradient_share(units)
        return grad_x, grad_scale, None, None, None


def gradient_share(x: Tensor) -> float:
    """Factor of the gradient of a scale, which sums over all values of x."""
    return (x.numel() * LEVELS) ** -0.5


class ActivationQuantizer(nn.Module):
    """Applies an activation function and rounds to uint8.

    mode: "off" (activation function only), "observe" (off, and records the range) or "on".
    widest: the range is the widest seen, for inputs; otherwise the mean over the batches, which outliers move less.
    """

    def __init__(self, clip: Clip, *, learned: bool, widest: bool = False):
        super().__init__()
        self.clip = clip
        self.mode = "off"
        self.scale = nn.Parameter(torch.tensor(1.0 / LEVELS), requires_grad=learned)
        self.register_buffer("zero", torch.tensor(0))
        self.widest = widest
        self._round = Round
        self._fixed = False
        self._seen: list[tuple[float, float]] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "on":
            affine = self.affine()
            low, high = affine.bounds(self.clip)
            return self._round.apply(x, self.scale, affine.zero, low, high)
        if self.clip != Clip():
            x = x.clamp(self.clip.low, self.clip.high)
        if self.mode == "observe":
            self._seen.append((x.min().item(), x.max().item()))
        return x

    def affine(self) -> Affine:
        """Scale and zero point as they will be in the ONNX file."""
        return Affine(float(self.scale.item()), int(self.zero.item()))

    def compile_(self, on: bool) -> None:
        """Rounds by compiled functions, or by eager ones."""
        self._round = Round
        if on:
            from lamella.trainer.compiled_round import Round as Compiled  # takes torch's compiler seconds to load

            self._round = Compiled

    def merge_seen_(self, count: int) -> None:
        """Takes the last `count` observations, the steps of a loop, as one."""
        if count and len(self._seen) >= count:
            lows, highs = zip(*self._seen[-count:], strict=True)
            self._seen[-count:] = [(min(lows), max(highs))]

    def saw_finite(self) -> bool:
        """Whether all observed since the last settle_ can be quantised."""
        return bool(np.isfinite(self._seen).all())

    def settle_(self) -> None:
        """Sets the range from those observed since the last call, widened to hold 0."""
        if self._fixed or not self._seen:
            self._seen.clear()
            return
        lows, highs = zip(*self._seen, strict=True)
        low = min(0.0, min(lows) if self.widest else sum(lows) / len(lows))
        high = max(0.0, max(highs) if self.widest else sum(highs) / len(highs))
        self._seen.clear()
        scale = max((high - low) / LEVELS, SMALLEST_SCALE)
        self.scale.data.fill_(scale)
        self.zero.fill_(int(np.floor(-low / scale + 0.5)))

    def keep_valid_(self) -> None:
        """Called after every step of the optimiser."""
        self.scale.data.clamp_(min=SMALLEST_SCALE)

    def fix_(self, affine: Affine) -> None:
        """Sets scale and zero point for good."""
        self.scale.data.fill_(affine.scale)
        self.scale.requires_grad_(False)
        self.zero.fill_(affine.zero)
        self._fixed = True
