"""Step 1: global pruning. One threshold for all layers, so that each gets its own sparsity."""

import math

import torch
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.network import QuantNetwork
from lamella.trainer.rate import kept_counts
from lamella.trainer.saliency import magnitude


def global_threshold(network: QuantNetwork, sparsity: float, scores: dict[str, Tensor] | None = None) -> float:
    """The p-quantile t of the scores pooled over all compressible layers: of n weights floor(p n) are at most t.

    scores: what each weight is worth, by layer (lamella.trainer.saliency); its magnitude if left out.
    """
    scores = magnitude(network, ()) if scores is None else scores
    pooled = torch.cat([scores[name].flatten() for name in network.compressible])
    count = math.floor(sparsity * pooled.numel())
    return float(pooled.kthvalue(count).values) if count else -1.0


def prune_(network: QuantNetwork, sparsity: float, scores: dict[str, Tensor] | None = None) -> dict[str, float]:
    """Sets every mask to score > t and returns the sparsity of each layer. scores: as for global_threshold."""
    scores = magnitude(network, ()) if scores is None else scores
    threshold = global_threshold(network, sparsity, scores)
    for name in network.compressible:
        layer = network.layers[name]
        layer.mask.copy_(scores[name] > threshold)
        if not bool(layer.mask.any()):
            raise UsageError(
                f"{name}: sparsity {sparsity:g} over the whole network leaves no weight in this layer; choose a lower one"
            )
    return mask_sparsity(network)


def prune_by_entropy_(network: QuantNetwork, sparsity: float, losses: dict[str, Tensor]) -> dict[str, float]:
    """Sets masks by lamella.trainer.rate and returns the sparsity of each layer; exactly floor(p n) zeros of n weights.

    losses: what removing each weight costs; for magnitude its square.
    """
    losses = {name: losses[name] for name in network.compressible}
    total = sum(scores.numel() for scores in losses.values())
    for name, count in kept_counts(losses, total - math.floor(sparsity * total)).items():
        mask = torch.zeros(losses[name].numel(), dtype=torch.bool, device=losses[name].device)
        mask[losses[name].flatten().sort(descending=True, stable=True)[1][:count]] = True
        network.layers[name].mask.copy_(mask.reshape(losses[name].shape))
    return mask_sparsity(network)


def mask_sparsity(network: QuantNetwork) -> dict[str, float]:
    """Fraction of zeros in the mask of each compressible layer."""
    return {name: 1.0 - float(network.layers[name].mask.float().mean()) for name in network.compressible}


def sparsity_schedule(sparsity: float, steps: int) -> list[float]:
    """Sparsities on the way to the last: the steps get smaller as less is left (1 - remaining cubed)."""
    return [sparsity * (1.0 - (1.0 - step / steps) ** 3) for step in range(1, steps + 1)]
