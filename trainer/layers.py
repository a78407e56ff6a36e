"""One convolution or fully connected layer with its BatchNorm, trained under a weight rule."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamella.trainer.graph import LayerNode
from lamella.trainer.rules import WeightRule
from lamella.trainer.rules.float32 import Float32


class WeightLayer(nn.Module):
    """Convolution or dense layer, then BatchNorm, without activation function.

    weight: float shadow weights, (out, in / groups, rows, columns), (out, in / groups, length) or (out, in). mask: bool, what pruning kept.
    extra: parameters of the rule. BatchNorm stays apart from the weights until they are frozen.
    """

    def __init__(self, node: LayerNode, source: nn.Module):
        super().__init__()
        self.node = node
        layer = source.get_submodule(node.path) if node.path is not None else None
        norm = source.get_submodule(node.norm_path) if node.norm_path is not None else None
        if layer is None:  # a BatchNorm alone: weights of one, which no training changes
            weight, bias = torch.ones(node.shape[0], 1, *node.kernel), None
        else:
            weight, bias = getattr(layer, node.weight).detach().clone().float(), getattr(layer, node.bias, None)
        self.weight = nn.Parameter(weight, requires_grad=layer is not None)
        if bias is None:
            bias = torch.zeros(weight.shape[0])
        # Before a BatchNorm a bias has no effect in training: it is kept, not trained.
        self.bias = nn.Parameter(bias.detach().clone().float(), requires_grad=norm is None)
        self.norm = _copy_norm(norm) if norm is not None else None
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))
        self.extra = nn.ParameterDict()
        self.rule: WeightRule = Float32()

    @property
    def compressible(self) -> bool:
        """Whether pruning and collapsing may touch the weights."""
        return self.node.path is not None

    def set_rule_(self, rule: WeightRule) -> None:
        """Puts the layer under a rule; the shadow weights stay."""
        self.rule = rule
        rule.start_(self)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """The layer of x; `weight`: what the rule gives, for loops that need not ask it at every step."""
        weight = self.rule.weight(self) if weight is None else weight
        node = self.node
        if node.kernel is None:
            y = F.linear(x, weight, self.bias)
        else:
            rank = len(node.kernel)
            padding = node.pads[:rank]
            if padding != node.pads[rank:]:
                x, padding = F.pad(x, both_ends(node.pads)), 0
            convolve = F.conv1d if rank == 1 else F.conv2d
            y = convolve(x, weight, self.bias, node.stride, padding, node.dilation, node.groups)
        return y if self.norm is None else self.norm(y)

    def channel_gain(self) -> tuple[Tensor, Tensor]:
        """float64 (gain, offset) per output channel: the layer gives gain * (W x) + offset outside training."""
        bias = self.bias.detach().double()
        if self.norm is None:
            return torch.ones_like(bias), bias
        norm = self.norm
        gain = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
        shift = torch.zeros_like(gain)
        if norm.affine:
            gain, shift = gain * norm.weight.detach().double(), norm.bias.detach().double()
        return gain, (bias - norm.running_mean.double()) * gain + shift


def both_ends(pads: tuple[int, ...]) -> list[int]:
    """Padding as torch.nn.functional.pad wants it: last axis first, begin and end side by side."""
    rank = len(pads) // 2
    return [pads[axis + side * rank] for axis in reversed(range(rank)) for side in (0, 1)]


def _copy_norm(norm: nn.Module) -> nn.Module:
    kind = nn.BatchNorm2d if isinstance(norm, nn.BatchNorm2d) else nn.BatchNorm1d
    copy = kind(norm.num_features, norm.eps, norm.momentum, norm.affine)
    copy.load_state_dict(norm.state_dict())
    return copy
