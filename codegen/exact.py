"""Exact integer arithmetic in PyTorch, for the operators' references.

Convolutions and products run in float32 or float64, whichever holds every partial sum without rounding.
"""

import torch
import torch.nn.functional as F

from lamella import requant as lamella_requant
from lamella.codegen.ir import Requant
from lamella.requant import TWICE


def float_type(bound: int) -> torch.dtype:
    """A float type in which integers up to `bound` are exact. Raises OverflowError beyond 2^53."""
    if bound < 2**24:
        return torch.float32
    if bound < 2**53:
        return torch.float64
    raise OverflowError(f"sums up to {bound} are not exact in float64")


def conv2d(x: torch.Tensor, levels: torch.Tensor, bias: torch.Tensor, window, groups: int) -> torch.Tensor:
    """int64 accumulators (n, out_c, rows, cols) of int64 x - zero (n, c, h, w), int64 levels and bias."""
    bound = int((levels.abs().sum(dim=(1, 2, 3)) * 255 + bias.abs()).max())
    dtype = float_type(bound)
    top, left, bottom, right = window.pads
    padded = F.pad(x.to(dtype), (left, right, top, bottom))
    acc = F.conv2d(padded, levels.to(dtype), bias.to(dtype), window.stride, 0, window.dilation, groups)
    return acc.round().to(torch.int64)


def linear(x: torch.Tensor, levels: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """int64 accumulators (..., rows) of int64 x - zero (..., cols), int64 levels (rows, cols) and bias (rows,)."""
    bound = int((levels.abs().sum(dim=1) * 255 + bias.abs()).max())
    dtype = float_type(bound)
    return F.linear(x.to(dtype), levels.to(dtype), bias.to(dtype)).round().to(torch.int64)


def requantize(acc: torch.Tensor, q: Requant, channel_axis: int = 1) -> torch.Tensor:
    """uint8 activations of int64 accumulators (lamella.requant.requantize); per channel along channel_axis."""
    shape = [1] * acc.dim()
    if q.multiplier.size > 1:
        shape[channel_axis] = -1
    return requantize_by(
        acc, torch.from_numpy(q.multiplier).reshape(shape), torch.from_numpy(q.shift).reshape(shape), q
    )


def requantize_by(acc: torch.Tensor, m: torch.Tensor, s: torch.Tensor, q: Requant) -> torch.Tensor:
    """The same with multipliers and shifts for each accumulator; zero point and range are q's."""
    if int(s.max()) < TWICE:
        rounded = (acc * m + (torch.ones_like(s) << (s - 1))) >> s
        return (rounded + q.zero).clamp(q.low, q.high).to(torch.uint8)
    acc, m, s = torch.broadcast_tensors(acc, m, s)
    found = lamella_requant.requantize(acc.numpy(), m.numpy(), s.numpy(), q.zero, q.low, q.high)
    return torch.from_numpy(found)
