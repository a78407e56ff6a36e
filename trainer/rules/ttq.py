"""Weights in {-W_n, 0, +W_p} (Trained Ternary Quantization: Zhu, Han, Mao, Dally, ICLR 2017).

What is trained is what is shipped: both values are integers times one scale, the larger of them being LARGEST.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules.orientation import orientation

LARGEST = 127
#: W_p and W_n never fall below this share of the value they started with.
SMALLEST_SHARE = 1e-3


class _Project(torch.autograd.Function):
    """values[0] above zero, -values[1] below. Backward as in the paper.

    W_p gets the sum of g over the weights above, W_n minus that below. The shadow weights get g times W_p above, W_n
    below and 1 between, W_p and W_n relative to their mean: the paper starts them at 1, here they have the size of the
    float weights.
    """

    @staticmethod
    def forward(ctx, weight: Tensor, learned: Tensor, values: Tensor, signs: Tensor) -> Tensor:
        ctx.save_for_backward(learned, signs)
        return torch.where(signs > 0, values[0], torch.where(signs < 0, -values[1], torch.zeros_like(values[0])))

    @staticmethod
    def backward(ctx, grad: Tensor):
        learned, signs = ctx.saved_tensors
        above, below = signs > 0, signs < 0
        grad_learned = torch.stack([(grad * above).sum(), -(grad * below).sum()])
        relative = learned / learned.mean()
        factor = torch.where(above, relative[0], torch.where(below, relative[1], torch.ones_like(relative[0])))
        return grad * factor, grad_learned, None, None


@dataclass(frozen=True)
class TrainedTernary:
    """Zero where |w| <= threshold * max |w|; one learned value above zero and one below, for the layer."""

    threshold: float = 0.05
    name: ClassVar[str] = "ttq"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise UsageError(f"ttq threshold = {self.threshold} is out of range; it must be at least 0 and below 1")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            signs, magnitude = self._signs(layer), layer.weight.abs()
            means = [magnitude[signs == side].mean() if bool((signs == side).any()) else None for side in (1, -1)]
        known = [mean for mean in means if mean is not None] or [torch.ones(())]
        start = torch.stack([known[0] if mean is None else mean for mean in means])
        layer.extra["sides"] = nn.Parameter(start)
        layer.extra["smallest"] = nn.Parameter(start * SMALLEST_SHARE, requires_grad=False)

    def weight(self, layer) -> Tensor:
        with torch.no_grad():
            turn = orientation(layer)
            units, scale = self._units(layer)
        return turn * _Project.apply(turn * layer.weight, layer.extra["sides"], units * scale, self._signs(layer))

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            signs, (units, scale) = self._signs(layer), self._units(layer)
            levels = torch.where(signs > 0, units[0], torch.where(signs < 0, -units[1], 0.0)) * orientation(layer)
        return levels.numpy().astype(np.int64), scale.reshape(1).numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        values = layer.extra["sides"]
        values.data.copy_(torch.maximum(values.data, layer.extra["smallest"].data))

    def _signs(self, layer) -> Tensor:
        """-1, 0 or 1 for each weight as it is deployed."""
        weight = layer.weight.detach()
        kept = weight.abs() > self.threshold * weight.abs().max()
        return weight.sign() * kept * orientation(layer)

    def _units(self, layer) -> tuple[Tensor, Tensor]:
        """(levels of W_p and W_n, their scale): the larger of the two is LARGEST, none is 0."""
        values = layer.extra["sides"].detach()
        scale = values.max() / LARGEST
        return torch.floor(values / scale + 0.5).clamp(1, LARGEST), scale


RULE = TrainedTernary
