"""Straight-through estimation: the value of one tensor, the gradient of another."""

import torch
from torch import Tensor


class StraightThrough(torch.autograd.Function):
    """forward(weight, value, passing) gives `value` exactly; the gradient goes to `weight` where `passing` is set."""

    @staticmethod
    def forward(ctx, weight: Tensor, value: Tensor, passing: Tensor | None = None) -> Tensor:
        ctx.passing = passing
        return value.clone()

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad if ctx.passing is None else grad * ctx.passing, None, None
