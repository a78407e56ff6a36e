"""Which way round a channel's weights are deployed.

Freezing multiplies the levels of a channel by the sign of its BatchNorm gain. A rule whose levels are not symmetric
places them on the weights as they are deployed, or else the layer would end up with twice as many different levels.
"""

import torch
from torch import Tensor


def orientation(layer) -> Tensor:
    """1 or -1 per output channel, broadcasting against the weight: the sign that freezing multiplies levels by."""
    shape = (-1, *[1] * (layer.weight.dim() - 1))
    if layer.norm is None or not layer.norm.affine:
        return torch.ones(len(layer.weight), device=layer.weight.device).reshape(shape)
    return torch.where(layer.norm.weight.detach() < 0, -1.0, 1.0).reshape(shape)
