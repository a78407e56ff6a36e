"""Whole filters, those of the smallest L1 norm, taken out."""

import copy

import torch
import torch_pruning
from torch import Tensor, nn

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.trace import trace

#: Share of the filters that goes, in every layer.
SHARE = 0.5


def without_filters(model: nn.Module, example: Tensor, share: float = SHARE) -> nn.Module:
    """A smaller copy. Of layers whose outputs are added the same filters go, by the mean of their norms."""
    smaller = copy.deepcopy(model)
    last = trace(model, example).layers[-1].path
    pruner = torch_pruning.pruner.MagnitudePruner(
        smaller,
        example,
        _norms,
        pruning_ratio=share,
        ignored_layers=[smaller.get_submodule(last)],  # its outputs are the classes
    )
    pruner.step()
    return smaller


def _norms(group: torch_pruning.Group, **options) -> Tensor:
    """L1 norm of each filter; of filters that go together, the mean.

    The library's own measure adds the weights of the next layer that read a filter, which the paper does not.
    """
    total = torch.zeros(1 + max(max(item.root_idxs) for item in group))
    count = torch.zeros_like(total)
    for item in group:
        if item.dep.handler in (torch_pruning.prune_conv_out_channels, torch_pruning.prune_linear_out_channels):
            norms = item.dep.target.module.weight.detach()[item.idxs].abs().flatten(1).sum(1)
            total.index_add_(0, torch.tensor(item.root_idxs), norms)
            count.index_add_(0, torch.tensor(item.root_idxs), torch.ones_like(norms))
    return total / count


METHODS = (
    Method(
        name="filter_prune",
        year=2017,
        paper="Li, Kadav, Durdanovic, Samet, Graf, Pruning Filters for Efficient ConvNets, ICLR 2017",
        reading="half the filters of every layer, hidden neurons too; then int8",
        rule=Int8(),
        prepare=without_filters,
    ),
)
