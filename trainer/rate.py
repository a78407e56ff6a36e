"""Entropy-aware thresholds: how many weights each layer keeps, when bits count as well as the loss of what is removed.

A sparse ternary layer of n weights and density d takes about n (H(d) + d) bits, H the binary entropy. One more non-zero
weight costs the derivative, log2((1 - d) / d) + 1: much where few are left, next to nothing where most are.
"""

import math
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from lamella.errors import UsageError

#: Bits that a weight costs at least. The derivative ends at 0 where d = 2/3, and nothing is free.
LEAST = 0.1


def price(density: float) -> float:
    """Bits that one more non-zero weight costs a layer of this density, above 0."""
    return max(LEAST, 1 + math.log2((1 - density) / density)) if density < 1 else LEAST


def prices(losses: dict[str, Tensor], kept: int) -> dict[str, float]:
    """Price of a weight of each layer, at the density that one threshold for all layers gives it."""
    counts = _largest(losses, dict.fromkeys(losses, 1.0), kept)
    return {name: price(count / losses[name].numel()) for name, count in counts.items()}


def kept_counts(losses: dict[str, Tensor], kept: int) -> dict[str, int]:
    """How many of each layer's weights stay, `kept` in all and one a layer at least; losses: of removing each weight.

    The weights of most loss per bit stay: no other choice of as few bits, at these prices, removes less. Bits are concave
    in d and weights only move to layers of lower price, so the layers never take more bits than with one threshold.

    Prices are not found anew for the densities that come out. That fixed point, like the least of loss + lambda * bits,
    lies in a corner, because bits are concave: of LeNet-300-100 at sparsity 0.9 it leaves the first layer 183 weights
    of 235,200.
    """
    if kept < len(losses):
        raise UsageError(
            f"the sparsity leaves {kept} weights for {len(losses)} layers; choose a lower one, each layer needs one"
        )
    return _largest(losses, prices(losses, kept), kept)


def _largest(losses: dict[str, Tensor], price_of: dict[str, float], kept: int) -> dict[str, int]:
    """Counts by the largest losses per price, behind the largest of each layer."""
    ranked = [t.detach().flatten().double().cpu().sort(descending=True)[0][1:] / price_of[n] for n, t in losses.items()]
    pooled = torch.cat(ranked)
    chosen = torch.zeros(len(pooled), dtype=torch.bool)
    chosen[pooled.sort(descending=True, stable=True)[1][: kept - len(losses)]] = True
    ends = accumulate((len(t) for t in ranked), initial=0)
    return {name: 1 + int(chosen[a:b].sum()) for name, (a, b) in zip(losses, pairwise(ends), strict=True)}
