"""The network as integers: what is evaluated, exported and shipped."""

from dataclasses import dataclass

import numpy as np

from lamella import requant
from lamella.errors import UnsupportedError
from lamella.trainer.fake_quantize import LEVELS, Affine
from lamella.trainer.graph import Graph, Node
from lamella.trainer.layers import WeightLayer
from lamella.trainer.network import QuantNetwork

#: Scale of a channel without weights: 1/1024 of a level of the output, so that its bias is exact enough.
EMPTY_CHANNEL_SHARE = 2.0**-10
INT32 = 2**31


@dataclass(frozen=True)
class FrozenLayer:
    """Weight = levels * scales, per output channel or one scale; bias in units of input scale * weight scale.

    levels int8 in ONNX order, scales float32 of shape (channels,) or (1,), bias int32 (channels,),
    multiplier and shift int64, counted as scales. bound: no accumulator leaves -bound..bound.
    """

    levels: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    bound: int
    rule: str


@dataclass(frozen=True)
class FrozenNetwork:
    """A Graph with integers. Activations are uint8; affines has one entry for every node."""

    name: str
    graph: Graph
    affines: dict[str, Affine]
    layers: dict[str, FrozenLayer]

    def bounds(self, node: Node) -> tuple[int, int]:
        """Lowest and highest level that a node gives."""
        return self.affines[node.name].bounds(node.clip)


def freeze(network: QuantNetwork, name: str) -> FrozenNetwork:
    """The integers of a quantised network."""
    affines = {node.name: network.affine(node.name) for node in network.graph.every}
    layers = {}
    for node in network.graph.layers:
        layers[node.name] = _freeze_layer(network.layers[node.name], affines[node.inputs[0]], affines[node.name])
    return FrozenNetwork(name, network.graph, affines, layers)


def _freeze_layer(layer: WeightLayer, x: Affine, y: Affine) -> FrozenLayer:
    node = layer.node
    levels, scales = layer.rule.freeze(layer)
    gain, offset = (part.numpy() for part in layer.channel_gain())
    scales, levels = _join_gain(levels, scales, gain, per_channel=layer.norm is not None)
    rows = np.abs(levels).reshape(len(levels), -1)
    # Where nothing is left of a channel its scale only serves the bias.
    empty = (rows.max(1) == 0) if len(scales) > 1 else np.array([rows.max() == 0])
    scales = np.where(empty | (scales <= 0), y.scale / x.scale * EMPTY_CHANNEL_SHARE, scales).astype(np.float32)
    levels, scales = _make_bias_fit(levels, scales, offset, x, y)
    bias = requant.quantize_bias(offset, x.scale, scales)
    bound = int((np.abs(levels).reshape(len(levels), -1).sum(1) * max(x.zero, LEVELS - x.zero) + np.abs(bias)).max())
    if bound >= INT32:
        raise UnsupportedError(
            f"{node.name}: an accumulator may reach {bound}, beyond 32 bits; the layer has too many inputs or too large a bias"
        )
    multiplier, shift = requant.quantize_multipliers(x.scale, scales, y.scale)
    return FrozenLayer(
        np.ascontiguousarray(levels, np.int8), scales, bias.astype(np.int32), multiplier, shift, bound, layer.rule.name
    )


def _join_gain(
    levels: np.ndarray, scales: np.ndarray, gain: np.ndarray, *, per_channel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """BatchNorm's gain: its size goes into the scale, its sign flips levels, a gain of zero leaves none."""
    if not per_channel:
        return scales, levels
    sign = np.sign(gain).astype(np.int64).reshape(-1, *[1] * (levels.ndim - 1))
    return scales * np.abs(gain), levels * sign


def _make_bias_fit(
    levels: np.ndarray, scales: np.ndarray, offset: np.ndarray, x: Affine, y: Affine
) -> tuple[np.ndarray, np.ndarray]:
    """Channels whose weights are too small to move the output by half a level lose them if their bias needs a larger scale.

    BatchNorm leaves such channels when its gain goes to zero.
    """
    if len(scales) == 1:
        return levels, scales
    bias = np.abs(offset) / (x.scale * scales.astype(np.float64))
    reach = np.abs(levels).reshape(len(levels), -1).sum(1) * LEVELS * (x.scale * scales.astype(np.float64) / y.scale)
    lost = (bias >= INT32 / 2) & (reach < 0.5)
    levels = np.where(lost.reshape(-1, *[1] * (levels.ndim - 1)), 0, levels)
    return levels, np.where(lost, y.scale / x.scale * EMPTY_CHANNEL_SHARE, scales).astype(np.float32)


def node_inputs(network: FrozenNetwork, node: Node) -> list[Affine]:
    """Quantisation of each input of a node."""
    return [network.affines[name] for name in node.inputs]
