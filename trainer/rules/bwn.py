"""Weights in {-alpha, +alpha} per filter, alpha = mean |w| (binary weight network of XNOR-Net: Rastegari et al. 2016)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

#: A filter of zeros still needs a scale above zero.
SMALLEST_ALPHA = 1e-8


class _Project(torch.autograd.Function):
    """alpha * sign(w). Backward, for n weights a filter: g * (1 / n + alpha * [|w| <= 1]) / alpha.

    The paper has it without the division. Adam, its optimiser, takes no notice of such a factor; for SGD it keeps the
    learning rate in proportion to that of the other rules.
    """

    @staticmethod
    def forward(ctx, weight: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(weight, alpha)
        return alpha * torch.where(weight >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad: Tensor):
        weight, alpha = ctx.saved_tensors
        filter_size = weight[0].numel()
        return grad * (1.0 / (filter_size * alpha) + (weight.abs() <= 1)), None


@dataclass(frozen=True)
class BinaryPerFilter:
    """alpha * sign(w), alpha = mean |w| of the filter at every step: the least-squares value."""

    name: ClassVar[str] = "bwn"
    collapsed: ClassVar[bool] = True

    def start_(self, layer) -> None:
        layer.extra.clear()

    def weight(self, layer) -> Tensor:
        return _Project.apply(layer.weight, self.alpha(layer))

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        levels = torch.where(layer.weight.detach() >= 0, 1, -1)
        return levels.numpy().astype(np.int64), self.alpha(layer).flatten().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass

    def alpha(self, layer) -> Tensor:
        """mean |w| per filter, broadcasting against the weight."""
        axes = tuple(range(1, layer.weight.dim()))
        return layer.weight.detach().abs().mean(axes, keepdim=True).clamp(min=SMALLEST_ALPHA)


RULE = BinaryPerFilter
