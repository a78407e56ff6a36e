"""What rules of shared weights have in common: a codebook of integers times one scale, trained by summed gradients."""

import torch
from torch import Tensor


class Lookup(torch.autograd.Function):
    """values[members]. Backward: each centroid gets the sum of the gradients of its members (Deep Compression)."""

    @staticmethod
    def forward(ctx, centroids: Tensor, values: Tensor, members: Tensor) -> Tensor:
        ctx.save_for_backward(members)
        ctx.shape = centroids.shape
        return values[members]

    @staticmethod
    def backward(ctx, grad: Tensor):
        (members,) = ctx.saved_tensors
        rows = grad.reshape(members.numel(), -1)
        total = torch.zeros(ctx.shape[0], rows.shape[1], dtype=grad.dtype, device=grad.device)
        return total.index_add_(0, members.flatten(), rows).reshape(ctx.shape), None, None


def quantized_book(centroids: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """(levels in -largest..largest, scale): the codebook as it is shipped."""
    widest = centroids.abs().max()
    scale = torch.where(widest > 0, widest / largest, torch.ones_like(widest))
    return torch.floor(centroids / scale + 0.5).clamp(-largest, largest), scale
