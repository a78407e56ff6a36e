"""A mask that moves: a layer keeps its number of zeros, but which weights are zero is found anew during training.

Dynamic Model Pruning with Feedback (Lin et al., ICLR 2020): pruned weights go on learning from the gradient at the pruned
network, and come back when they outgrow others.
"""

import torch
from torch import nn

#: Steps of the optimiser between two looks (the paper's 16).
PERIOD = 16
#: Share of the gradient that pruned weights get. The paper gives them all of it. At 96.5 % zeros (LeNet-300-100, MNIST, 16
#: epochs) that churned the mask: 97.2 % after pruning, with fixed masks 98.2 %; a tenth comes level with fixed masks.
SHARE = 0.1
_STEPS = "mask_steps"


def start_(layer) -> None:
    """Sets up the count of steps, in layer.extra so that checkpoints hold it."""
    layer.extra[_STEPS] = nn.Parameter(torch.zeros(1), requires_grad=False)


def passing(layer) -> torch.Tensor:
    """Factor of every weight's gradient."""
    return torch.where(layer.mask, 1.0, SHARE)


def after_step_(layer) -> None:
    """Moves the mask after the first step and every PERIOD steps: the weights of largest magnitude survive."""
    steps = layer.extra[_STEPS]
    if int(steps.data) % PERIOD == 0:
        magnitude = layer.weight.detach().abs().flatten()
        survivors = magnitude.topk(int(layer.mask.sum())).indices
        mask = torch.zeros_like(layer.mask).flatten()
        mask[survivors] = magnitude[survivors] > 0
        layer.mask.copy_(mask.reshape(layer.mask.shape))
    steps.data.add_(1)


__all__ = ["PERIOD", "SHARE", "after_step_", "passing", "start_"]
