"""Rounding of activations (lamella.trainer.fake_quantize) as two functions that torch compiles.

Eager torch walks over memory ten times to round one tensor and to give its gradients; compiled, once each way. The
arithmetic is the same, but for the order in which the gradient of the scale is summed up.
"""

import torch
from torch import Tensor

from lamella.trainer.fake_quantize import gradient_share


def _to_grid(x: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    levels = torch.floor(x.float() / scale + 0.5).clamp(low, high)
    return (levels * scale).to(x.dtype)


def _gradients(grad: Tensor, x: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    units, g = x.float() / scale, grad.float()
    levels = torch.floor(units + 0.5).clamp(low, high)
    inside = torch.where((units >= low) & (units <= high), g, 0.0)
    return inside.to(grad.dtype), g * levels - inside * units


class Round(torch.autograd.Function):
    """As lamella.trainer.fake_quantize.Round. Tensors go to the compiled functions as vectors in the order of memory,
    so that one compilation serves all shapes and layouts."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, zero: int, low: int, high: int) -> Tensor:
        if not torch.ops.aten.is_non_overlapping_and_dense(x):
            x = x.contiguous()
        low, high = (torch.tensor(float(bound - zero), device=x.device) for bound in (low, high))
        ctx.save_for_backward(x, scale, low, high)
        return _to_grid_compiled(_vector(x), scale.detach(), low, high).as_strided(x.shape, x.stride())

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, scale, low, high = ctx.saved_tensors
        if grad.stride() != x.stride():
            grad = torch.empty_strided(x.shape, x.stride(), dtype=grad.dtype, device=grad.device).copy_(grad)
        grad_x, of_scale = _gradients_compiled(_vector(grad), _vector(x), scale, low, high)
        # Summed up here: torch compiles a sum for a range of lengths, and gives up after eight of them.
        grad_scale = of_scale.sum() * gradient_share(x) if ctx.needs_input_grad[1] else None
        return grad_x.as_strided(x.shape, x.stride()), grad_scale, None, None, None


def _vector(x: Tensor) -> Tensor:
    return x.as_strided((x.numel(),), (1,))


_to_grid_compiled = torch.compile(_to_grid, dynamic=True)
_gradients_compiled = torch.compile(_gradients, dynamic=True)
