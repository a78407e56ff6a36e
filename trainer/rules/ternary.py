"""Weights in {-sigma, 0, +sigma}, trained by sigma-constrained SGD (docs/training.md)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules import moving_mask

#: sigma never falls below this share of the value it started with.
SMALLEST_SHARE = 1e-3


class _Project(torch.autograd.Function):
    """sigma * T forward. Backward: the gradient g at the projected weights goes to the shadow weights where
    `passing` is set, and sum T_i g_i to sigma (per channel where sigma is)."""

    @staticmethod
    def forward(ctx, weight: Tensor, sigma: Tensor, trits: Tensor, passing: Tensor) -> Tensor:
        ctx.save_for_backward(trits, passing)
        ctx.sigma_shape = sigma.shape
        return sigma * trits

    @staticmethod
    def backward(ctx, grad: Tensor):
        trits, passing = ctx.saved_tensors
        grad_sigma = (grad * trits).sum_to_size(ctx.sigma_shape) if ctx.needs_input_grad[1] else None
        return grad * passing, grad_sigma, None, None


@dataclass(frozen=True)
class Ternary:
    """Ternary weights with sigma per layer or per output channel.

    zeros: "mask" keeps the zeros of pruning; "count" keeps their number and finds them anew (moving_mask); "mean" and "max" find them anew at every step, as the weights of magnitude
    at most threshold * mean |w| (usual: 0.7) or threshold * max |w| (usual: 0.05).
    sigma: "learned" follows its gradient; "closed" is mean |w| of the survivors at every step, the least-squares value.
    """

    zeros: str = "mask"
    threshold: float = 0.7
    sigma: str = "learned"
    per_channel: bool = False
    name: ClassVar[str] = "ternary"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.zeros not in ("mask", "count", "mean", "max"):
            raise UsageError(f'ternary zeros = {self.zeros!r} is not known; choose "mask", "count", "mean" or "max"')
        if self.sigma not in ("learned", "closed"):
            raise UsageError(f'ternary sigma = {self.sigma!r} is not known; choose "learned" or "closed"')

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            sigma = self.least_squares_sigma(layer)
        layer.extra["sigma"] = nn.Parameter(sigma, requires_grad=self.sigma == "learned")
        layer.extra["smallest_sigma"] = nn.Parameter(sigma * SMALLEST_SHARE, requires_grad=False)
        if self.zeros == "count":
            moving_mask.start_(layer)

    def weight(self, layer) -> Tensor:
        with torch.no_grad():
            support = self.support(layer)
            trits = torch.where(layer.weight >= 0, 1.0, -1.0) * support
            if self.sigma == "closed":
                layer.extra["sigma"].copy_(self.least_squares_sigma(layer))
        if self.zeros == "count":
            passing = moving_mask.passing(layer)
        else:
            passing = support if self.zeros == "mask" else torch.ones_like(support)
        return _Project.apply(layer.weight, layer.extra["sigma"], trits, passing)

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            trits = torch.where(layer.weight >= 0, 1, -1) * self.support(layer)
            sigma = self.least_squares_sigma(layer) if self.sigma == "closed" else layer.extra["sigma"]
        return trits.numpy().astype(np.int64), sigma.detach().flatten().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        sigma = layer.extra["sigma"]
        sigma.data.copy_(torch.maximum(sigma.data, layer.extra["smallest_sigma"].data))
        if self.zeros == "count":
            moving_mask.after_step_(layer)

    def support(self, layer) -> Tensor:
        """True where a weight is not zero."""
        if self.zeros in ("mask", "count"):
            return layer.mask
        magnitude = layer.weight.abs()
        reference = magnitude.mean() if self.zeros == "mean" else magnitude.max()
        return magnitude > self.threshold * reference

    def least_squares_sigma(self, layer) -> Tensor:
        """mean |w| of the survivors: of all sigma > 0 the one with the smallest sum (w - sigma * T)^2 over them.

        Shape (1,), or one per output channel, broadcasting against the weight. 1 where nothing survives.
        """
        support = self.support(layer)
        kept = layer.weight.abs() * support
        if not self.per_channel:
            count = support.sum()
            return (kept.sum() / count if count else torch.ones(())).reshape(1)
        axes = tuple(range(1, kept.dim()))
        count = support.sum(axes, keepdim=True)
        return torch.where(count > 0, kept.sum(axes, keepdim=True) / count.clamp(min=1), 1.0)


RULE = Ternary
