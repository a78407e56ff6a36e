"""Levels -127..127, one scale per output channel: largest magnitude / 127."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

LARGEST = 127


@dataclass(frozen=True)
class Int8:
    """Int8 weights per output channel. masked: pruned weights stay zero."""

    masked: bool = False
    name: ClassVar[str] = "int8"
    collapsed: ClassVar[bool] = False

    def start_(self, layer) -> None:
        layer.extra.clear()

    def weight(self, layer) -> Tensor:
        weight = layer.weight * layer.mask if self.masked else layer.weight
        with torch.no_grad():
            levels, scales = _quantize(weight)
            rounding = levels * scales - weight
        return weight + rounding  # straight through

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            weight = layer.weight * layer.mask if self.masked else layer.weight
            levels, scales = _quantize(weight)
        return levels.numpy().astype(np.int64), scales.flatten().numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass


def _quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Levels, and scales that broadcast against them; a channel of zeros gets scale 1."""
    largest = weight.abs().flatten(1).amax(1)
    scales = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
    scales = scales.reshape(-1, *[1] * (weight.dim() - 1))
    return torch.floor(weight / scales + 0.5).clamp(-LARGEST, LARGEST), scales


RULE = Int8
