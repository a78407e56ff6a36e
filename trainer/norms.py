"""Statistics of BatchNorm for evaluation, averaged over many batches of the weights as they are in the end.

"Precise BatchNorm" (Wu, Johnson, Rethinking "Batch" in BatchNorm, 2021). The running averages of training remember about ten
batches, and those are of weights that still moved; levels that jump from step to step make this worse than for float weights.
"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import nn

from lamella.trainer.batches import checked


def renew_statistics_(network: nn.Module, batches: Iterable, count: int) -> None:
    """Mean and variance of every BatchNorm anew: the average over `count` batches, with nothing else in training mode."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.track_running_stats]
    if not norms or count == 0:
        return
    was_training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average of all
        norm.train()
    with torch.no_grad():
        for x, _ in islice(checked(batches, "training"), count):
            if len(x) > 1:  # one sample has no variance
                network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)
