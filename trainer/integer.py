"""Exact integer evaluation of a FrozenNetwork in PyTorch: what the C code computes, bit for bit.

Convolutions run in floating point on integers. That is exact as long as no partial sum can reach 2^24 (float32) or 2^53
(float64), in whatever order they are added; FrozenLayer.bound tells which of them holds.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import singledispatch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lamella import requant, tables
from lamella.errors import UsageError
from lamella.trainer.fake_quantize import LEVELS
from lamella.trainer.frozen import FrozenNetwork, node_inputs
from lamella.trainer.functions import FUNCTIONS
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    FunctionNode,
    InputNode,
    LayerNode,
    MaxPoolNode,
    MultiplyNode,
    Node,
    ScanNode,
    SliceNode,
    SoftmaxNode,
    StepNode,
    SubtractNode,
    TransposeNode,
)
from lamella.trainer.layers import both_ends

CHUNK = 500
EXACT_FLOAT32 = 2**24


def quantize_input(network: FrozenNetwork, x: Tensor) -> Tensor:
    """uint8 levels of float32 inputs, as QuantizeLinear gives them."""
    affine = network.affines[network.graph.input.name]
    return torch.from_numpy(requant.quantize_input(x.numpy(), affine.scale, affine.zero, np.uint8))


def run(network: FrozenNetwork, x: Tensor) -> dict[str, Tensor]:
    """uint8 levels of every node for uint8 inputs (N, ...)."""
    values: dict[str, Tensor] = {}
    with torch.no_grad(), _exact_kernels():
        for node in network.graph:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = x if isinstance(node, InputNode) else _step(node, network, inputs)
    return values


def outputs(network: FrozenNetwork, x: Tensor) -> Tensor:
    """uint8 levels of the output for float32 inputs (N, ...), computed in chunks."""
    parts = [_last(network, quantize_input(network, chunk)) for chunk in x.split(CHUNK)]
    return torch.cat(parts)


def accuracy(network: FrozenNetwork, batches: Iterable) -> float:
    """Fraction of (x, y) batches whose largest output, the first among equals, is at the label."""
    right = total = 0
    for x, y in batches:
        right += int((outputs(network, x).argmax(1) == y).sum())
        total += len(y)
    if not total:
        raise UsageError("the split to evaluate on is empty; give it at least one sample")
    return right / total


def _last(network: FrozenNetwork, x: Tensor) -> Tensor:
    """Output levels. Poolings come before the requantisation of their input, which never changes an order."""
    graph = network.graph
    values: dict[str, Tensor] = {}
    moved: set[str] = set()
    with torch.no_grad(), _exact_kernels():
        for node in graph:
            if isinstance(node, InputNode):
                values[node.name] = x
            elif isinstance(node, LayerNode) and (pools := graph.pools_behind(node.name)):
                accumulators = _accumulate(node, network, values[node.inputs[0]])
                for pool in pools:
                    accumulators = _max_pool(pool, accumulators)
                    moved.add(pool.name)
                values[pools[-1].name] = _requantize_layer(node, network, accumulators)
            elif node.name not in moved:
                values[node.name] = _step(node, network, [values[name] for name in node.inputs])
    return values[graph.output.name]


@singledispatch
def _step(node: Node, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    raise TypeError(f"no integer form of {type(node).__name__}")


@_step.register
def _(node: LayerNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return _requantize_layer(node, network, _accumulate(node, network, inputs[0]))


@_step.register
def _(node: MaxPoolNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return _max_pool(node, inputs[0].float()).to(torch.uint8)


@_step.register
def _(node: AveragePoolNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    (source,), target = node_inputs(network, node), network.affines[node.name]
    flat = len(node.kernel) == 1  # a sequence: an image of one row; only the pooling of images gives sums
    kernel, stride, padding = ((1, *node.kernel), (1, *node.stride), (0, *node.padding)) if flat else (
        node.kernel, node.stride, node.padding)  # fmt: skip
    pooled = {"kernel_size": kernel, "stride": stride, "padding": padding, "divisor_override": 1}
    x = inputs[0].unsqueeze(2) if flat else inputs[0]
    acc = F.avg_pool2d(x.double() - source.zero, **pooled)
    count = torch.full_like(acc[:1, :1], kernel[0] * kernel[1])
    if not node.count_padding:
        count = F.avg_pool2d(torch.ones_like(x[:1, :1], dtype=torch.float64), **pooled)
    pairs = {
        int(c): requant.quantize_multiplier(requant.effective_scale(source.scale, 1.0 / int(c), target.scale))
        for c in count.unique()
    }
    multiplier = count.clone().long()
    shift = count.clone().long()
    for c, (m, s) in pairs.items():
        multiplier[count == c] = m
        shift[count == c] = s
    return _requantize(acc, multiplier, shift, target.zero, *network.bounds(node)).reshape(-1, *node.shape)


@_step.register
def _(node: AddNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return _sum(node, network, inputs, (1, 1))


@_step.register
def _(node: SubtractNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return _sum(node, network, inputs, (1, -1))


def _sum(node: Node, network: FrozenNetwork, inputs: list[Tensor], signs: tuple[int, int]) -> Tensor:
    """Both addends on one shift, the exact sum rounded once."""
    sources, target = node_inputs(network, node), network.affines[node.name]
    scales = [requant.effective_scale(source.scale, 1.0, target.scale) for source in sources]
    multipliers, shift = requant.quantize_multipliers_shared(scales)
    acc = sum((x.long() - s.zero) * m * k for x, s, m, k in zip(inputs, sources, multipliers, signs, strict=True))
    return _requantize(acc, torch.tensor(1), torch.tensor(shift), target.zero, *network.bounds(node))


@_step.register
def _(node: MultiplyNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    (a, b), target = node_inputs(network, node), network.affines[node.name]
    pair = requant.quantize_multiplier(requant.effective_scale(a.scale, b.scale, target.scale))
    acc = (inputs[0].long() - a.zero) * (inputs[1].long() - b.zero)
    return _requantize(acc, *map(torch.tensor, pair), target.zero, *network.bounds(node))


@_step.register
def _(node: FunctionNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    (x,), y = node_inputs(network, node), network.affines[node.name]
    function = FUNCTIONS[node.function].numpy
    table = tables.tabulate(
        lambda values: function(values, node.parameter), x.scale, x.zero, y.scale, y.zero, *network.bounds(node)
    )
    return torch.from_numpy(table)[inputs[0].long()]


@_step.register
def _(node: SliceNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return inputs[0].narrow(-1, node.start, node.shape[-1])


@_step.register
def _(node: TransposeNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return inputs[0].transpose(1, 2).contiguous()


@_step.register
def _(node: ScanNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    """Step by step; a state of zero is the zero point."""
    (x,) = inputs
    values = {state.next: x.new_full((len(x), *state.shape), network.affines[state.name].zero) for state in node.states}
    results = []
    for step in x.unbind(1):
        values = {state.name: values[state.next] for state in node.states}
        for inner in node.body:
            if isinstance(inner, StepNode):
                values[inner.name] = step
            elif inner.name not in values:
                values[inner.name] = _step(inner, network, [values[name] for name in inner.inputs])
        results.append(values[node.result])
    return torch.stack(results, 1) if node.sequence else results[-1]


@_step.register
def _(node: ConcatNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    sources = node_inputs(network, node)
    return torch.cat([_rescale(node, network, x, s) for x, s in zip(inputs, sources, strict=True)], 1)


@_step.register
def _(node: ClipNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return _rescale(node, network, inputs[0], node_inputs(network, node)[0])


@_step.register
def _(node: FlattenNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return inputs[0].flatten(1)


@_step.register
def _(node: DropoutNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    return inputs[0]


@_step.register
def _(node: SoftmaxNode, network: FrozenNetwork, inputs: list[Tensor]) -> Tensor:
    """As lam_softmax: exponentials from a table of 23 bits, one rounding."""
    (source,), target = node_inputs(network, node), network.affines[node.name]
    table = torch.from_numpy(np.floor(np.exp(-np.arange(LEVELS + 1) * source.scale) * 2.0**23 + 0.5).astype(np.int64))
    x = inputs[0].long()
    e = table[x.amax(1, keepdim=True) - x]
    total = e.sum(1, keepdim=True)
    levels = (e * round(1.0 / target.scale) + total // 2) // total
    return (levels + target.zero).clamp(max=LEVELS).to(torch.uint8)


def _accumulate(node: LayerNode, network: FrozenNetwork, x: Tensor) -> Tensor:
    """Exact accumulators of a layer, in a float type."""
    layer, (source,) = network.layers[node.name], node_inputs(network, node)
    kind = torch.float32 if layer.bound < EXACT_FLOAT32 else torch.float64
    weight = torch.from_numpy(layer.levels).to(kind)
    bias = torch.from_numpy(layer.bias).to(kind)
    x = x.to(kind) - source.zero
    if node.kernel is None:
        return F.linear(x, weight, bias)
    if any(node.pads):
        x = F.pad(x, both_ends(node.pads))
    convolve = F.conv1d if len(node.kernel) == 1 else F.conv2d
    return convolve(x, weight, bias, node.stride, 0, node.dilation, node.groups)


def _requantize_layer(node: LayerNode, network: FrozenNetwork, acc: Tensor) -> Tensor:
    layer = network.layers[node.name]
    shape = (-1, *[1] * (acc.dim() - 2))
    multiplier, shift = (torch.from_numpy(part).reshape(shape) for part in (layer.multiplier, layer.shift))
    return _requantize(acc, multiplier, shift, network.affines[node.name].zero, *network.bounds(node))


def _rescale(node: Node, network: FrozenNetwork, x: Tensor, source) -> Tensor:
    target = network.affines[node.name]
    pair = requant.quantize_multiplier(requant.effective_scale(source.scale, 1.0, target.scale))
    multiplier, shift = (torch.tensor(part) for part in pair)
    return _requantize(x.long() - source.zero, multiplier, shift, target.zero, *network.bounds(node))


def _requantize(acc: Tensor, multiplier: Tensor, shift: Tensor, zero: int, low: int, high: int) -> Tensor:
    """lamella.requant.requantize on tensors: |acc * multiplier| < 2^31 * 2^31 fits into 64 bits."""
    half = torch.ones_like(shift) << (shift - 1)
    levels = (acc.long().mul_(multiplier).add_(half) >> shift).add_(zero)
    return levels.clamp_(low, high).to(torch.uint8)


def _max_pool(node: MaxPoolNode, x: Tensor) -> Tensor:
    pool = F.max_pool1d if len(node.kernel) == 1 else F.max_pool2d
    return pool(x, node.kernel, node.stride, node.padding, node.dilation)


@contextmanager
def _exact_kernels() -> Iterator[None]:
    """Only kernels that multiply and add: no Winograd or Fourier transforms, no products in bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
