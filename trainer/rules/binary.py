"""Weights in {-s, +s}, s fixed for the layer (BinaryConnect: Courbariaux, Bengio, David, NIPS 2015, deterministic)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn


class _Sign(torch.autograd.Function):
    """scale * sign(w), the sign of 0 being 1. Backward: the gradient at the binary weights goes to w as it is."""

    @staticmethod
    def forward(ctx, weight: Tensor, scale: Tensor) -> Tensor:
        return scale * torch.where(weight >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, None


@dataclass(frozen=True)
class Binary:
    """sign(w) times a scale; w is clipped to [-1, 1] after every step.

    The paper's scale is 1, which a BatchNorm behind each layer undoes. Networks without one need the size of the float
    weights: the scale is their mean |w| at the start, and stays.
    """

    name: ClassVar[str] = "binary"
    collapsed: ClassVar[bool] = True

    def start_(self, layer) -> None:
        layer.extra.clear()
        mean = layer.weight.detach().abs().mean()
        scale = torch.where(mean > 0, mean, torch.ones_like(mean)).reshape(1)
        layer.extra["scale"] = nn.Parameter(scale, requires_grad=False)

    def weight(self, layer) -> Tensor:
        return _Sign.apply(layer.weight, layer.extra["scale"])

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        levels = torch.where(layer.weight.detach() >= 0, 1, -1)
        return levels.numpy().astype(np.int64), layer.extra["scale"].detach().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        layer.weight.data.clamp_(-1.0, 1.0)


RULE = Binary
