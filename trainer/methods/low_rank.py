"""Layers split in two of lower rank by singular values."""

import copy
import math

import torch
from torch import Tensor, nn

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.trace import trace

#: Weights of the two layers together, as a share of those of the one.
SHARE = 0.5


def low_rank(model: nn.Module, example: Tensor, share: float = SHARE) -> nn.Module:
    """A copy whose larger layers are two: k x k convolutions k x 1 then 1 x k, dense layers through a bottleneck.

    The first layer (few inputs) and the last (few outputs) have little rank to lose and stay, as do layers that are too
    small for rank 1.
    """
    split = copy.deepcopy(model)
    paths = [node.path for node in trace(model, example).layers if node.path is not None]
    for path in paths[1:-1]:
        module, pair = split.get_submodule(path), None
        if isinstance(module, nn.Conv2d):
            pair = split_convolution(module, share)
        elif isinstance(module, nn.Linear):
            pair = split_dense(module, share)
        if pair is not None:
            parent, _, name = path.rpartition(".")
            setattr(split.get_submodule(parent), name, pair)
    return split


def split_convolution(layer: nn.Conv2d, share: float) -> nn.Sequential | None:
    """The pair of layers nearest to the convolution in squared error of weights; None where it cannot be split."""
    rows, columns = layer.kernel_size
    padded = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if min(rows, columns) == 1 or layer.groups > 1 or not padded:
        return None
    outputs, inputs = layer.weight.shape[:2]
    rank = math.floor(share * layer.weight.numel() / (inputs * rows + outputs * columns))
    if rank < 1:
        return None
    # W[o, i, y, x] = sum over r of H[o, r, x] V[r, i, y]
    matrix = layer.weight.detach().permute(1, 2, 0, 3).reshape(inputs * rows, outputs * columns)
    down, across = _factors(matrix, rank)
    first = nn.Conv2d(
        inputs, len(across), (rows, 1), (layer.stride[0], 1), (layer.padding[0], 0), (layer.dilation[0], 1), bias=False
    )
    second = nn.Conv2d(
        len(across),
        outputs,
        (1, columns),
        (1, layer.stride[1]),
        (0, layer.padding[1]),
        (1, layer.dilation[1]),
        bias=layer.bias is not None,
    )
    with torch.no_grad():
        first.weight.copy_(down.T.reshape(-1, inputs, rows, 1))
        second.weight.copy_(across.reshape(-1, outputs, columns).permute(1, 0, 2)[:, :, None])
    return _with_bias(first, second, layer)


def split_dense(layer: nn.Linear, share: float) -> nn.Sequential | None:
    """The pair of layers nearest to the dense layer in squared error of weights; None where it is too small."""
    rank = math.floor(share * layer.weight.numel() / (layer.in_features + layer.out_features))
    if rank < 1:
        return None
    down, across = _factors(layer.weight.detach().T, rank)
    first = nn.Linear(layer.in_features, len(across), bias=False)
    second = nn.Linear(len(across), layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_(down.T)
        second.weight.copy_(across.T)
    return _with_bias(first, second, layer)


def _factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(a, b) of the rank whose product is nearest to the matrix, singular values shared equally."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    root = s[:rank].sqrt()
    return (u[:, :rank] * root).float(), (root[:, None] * v[:rank]).float()


def _with_bias(first: nn.Module, second: nn.Module, layer: nn.Module) -> nn.Sequential:
    if layer.bias is not None:
        second.bias.data.copy_(layer.bias.detach())
    return nn.Sequential(first, second).train(layer.training)


METHODS = (
    Method(
        name="low_rank",
        year=2014,
        paper="Jaderberg, Vedaldi, Zisserman, Speeding up Convolutional Neural Networks with Low Rank Expansions, 2014",
        reading="half the weights of each layer but the first and the last, dense ones by truncated SVD; uint8 between the two; then int8",
        rule=Int8(),
        prepare=low_rank,
    ),
)
