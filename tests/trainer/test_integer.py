"""The integer mode against plain int64 arithmetic, and against the float forward of the quantised network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella import requant
from lamella.errors import UnsupportedError, UsageError
from lamella.trainer import integer
from lamella.trainer.fake_quantize import ActivationQuantizer, Affine
from lamella.trainer.frozen import freeze
from lamella.trainer.graph import Clip, LayerNode
from lamella.trainer.network import QuantNetwork
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.trace import trace

from .random_networks import SIZE, random_networks


def quantised(model: nn.Module, x: torch.Tensor, rule=None, density: float = 0.5) -> QuantNetwork:
    """A network with every layer under one rule (ternary on a random mask by default), calibrated on x."""
    network = QuantNetwork(trace(model, x[:2]), model.eval(), learned_ranges=True).eval()
    generator = torch.Generator().manual_seed(7)
    for layer in network.layers.values():
        if layer.compressible:
            layer.mask.copy_(torch.rand(layer.mask.shape, generator=generator) < density)
        layer.set_rule_((rule or Ternary()) if layer.compressible else Int8())
    network.calibrate_([x])
    return network


def levels_of(network: QuantNetwork, y: torch.Tensor) -> torch.Tensor:
    affine = network.affine(network.graph.output.name)
    return torch.round(y / affine.scale) + affine.zero


@pytest.mark.parametrize("rule", [Int8(), Int8(masked=True), Ternary(), Ternary(per_channel=True)])
@pytest.mark.parametrize("norm", [False, True])
def test_one_layer_equals_its_float_forward_within_one_level(rule, norm):
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, 2, 1, bias=not norm), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU(), nn.Flatten()
    )
    if norm:
        model[1].weight.data = torch.tensor([1.0, -0.7, 0.0, 0.3, -1.2, 1e-12])
        model[1].bias.data.uniform_(-0.2, 0.6)
        model[1].running_mean.uniform_(-0.3, 0.3)
    x = torch.rand(64, 2, 9, 9)
    network = quantised(model, x, rule)
    ours = integer.outputs(freeze(network, "n"), x).float()
    with torch.no_grad():
        difference = (levels_of(network, network(x)) - ours).abs()
    assert difference.max() <= 1
    assert (difference == 0).float().mean() > 0.97


@pytest.mark.parametrize("rule", [Int8(), Ternary()])
def test_batchnorm_sign_flips_levels_and_zero_gamma_leaves_none(rule):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Flatten())
    model[1].weight.data = torch.tensor([0.8, -0.8, 0.0])
    model[1].bias.data = torch.tensor([0.1, 0.2, 0.3])
    model[0].weight.data[1] = model[0].weight.data[0]
    x = torch.rand(16, 1, 6, 6)
    network = quantised(model, x, rule, density=2.0)
    frozen = freeze(network, "n")
    (layer,) = frozen.layers.values()
    np.testing.assert_array_equal(layer.levels[0], -layer.levels[1])
    assert layer.levels[0].any() and not layer.levels[2].any()
    assert (layer.scales > 0).all()
    # The channel without weights still gives its bias.
    affine = frozen.affines[frozen.graph.output.name]
    expected = requant.quantize_input(np.float32(0.3), affine.scale, affine.zero, np.uint8)
    channel = integer.outputs(frozen, x).reshape(16, 3, -1)[:, 2]
    assert (channel.int() - int(expected)).abs().max() <= 1


def test_a_tiny_gamma_with_a_large_bias_stays_within_32_bits():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.Flatten())
    model[1].weight.data = torch.tensor([1e-13, 1.0])
    model[1].bias.data = torch.tensor([5.0, 0.0])
    x = torch.rand(8, 1, 6, 6)
    network = quantised(model, x, Int8())
    frozen = freeze(network, "n")
    with torch.no_grad():
        difference = levels_of(network, network(x)) - integer.outputs(frozen, x).float()
    assert difference.abs().max() <= 1


def by_definition(frozen, node: LayerNode, x: np.ndarray) -> np.ndarray:
    """One layer in int64 numpy, sum by sum, with lamella.requant."""
    layer, source = frozen.layers[node.name], frozen.affines[node.inputs[0]]
    centred = torch.from_numpy(x.astype(np.int64) - source.zero)
    top, left, bottom, right = node.pads
    columns = (
        F.unfold(F.pad(centred.double(), (left, right, top, bottom)), node.kernel, node.dilation, 0, node.stride)
        .long()
        .numpy()
    )
    levels = layer.levels.astype(np.int64)
    per_group = levels.shape[0] // node.groups
    rows = columns.reshape(len(x), node.groups, -1, columns.shape[-1])
    acc = np.concatenate(
        [
            np.einsum("ok,nkp->nop", levels[g * per_group : (g + 1) * per_group].reshape(per_group, -1), rows[:, g])
            for g in range(node.groups)
        ],
        1,
    ).reshape(len(x), *node.shape)
    acc += layer.bias.astype(np.int64)[:, None, None]
    low, high = frozen.bounds(node)
    multiplier, shift = (part.reshape(-1, 1, 1) for part in (layer.multiplier, layer.shift))
    return requant.requantize(acc, multiplier, shift, frozen.affines[node.name].zero, low, high)


@settings(deadline=None, max_examples=25)
@given(model=random_networks(), rule=st.sampled_from([Int8(), Ternary()]))
def test_convolutions_equal_int64_arithmetic(model, rule):
    x = torch.rand(5, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) - 0.3
    frozen = freeze(quantised(model, x, rule), "n")
    values = integer.run(frozen, integer.quantize_input(frozen, x))
    for node in frozen.graph.layers:
        if node.kernel is not None:
            np.testing.assert_array_equal(
                values[node.name].numpy(), by_definition(frozen, node, values[node.inputs[0]].numpy())
            )
    assert torch.equal(values[frozen.graph.output.name], integer.outputs(frozen, x))


def test_wide_sums_take_float64_and_are_exact():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1200, 2, 1), nn.Flatten())
    x = torch.rand(2, 1200, 2, 2)
    frozen = freeze(quantised(model, x, Int8()), "n")
    node = frozen.graph.layers[0]
    frozen.layers[node.name].levels[0] = 127
    assert 1200 * 127 * 255 > integer.EXACT_FLOAT32
    frozen = type(frozen)(
        frozen.name, frozen.graph, frozen.affines, {node.name: replace_bound(frozen.layers[node.name])}
    )
    levels = torch.randint(0, 256, (2, 1200, 2, 2), dtype=torch.uint8)
    np.testing.assert_array_equal(
        integer.run(frozen, levels)[node.name].numpy(), by_definition(frozen, node, levels.numpy())
    )


def replace_bound(layer):
    """The layer with the bound of its present levels."""
    from dataclasses import replace

    return replace(
        layer, bound=int(np.abs(layer.levels.astype(np.int64)).reshape(len(layer.levels), -1).sum(1).max() * 255)
    )


def test_sums_beyond_32_bits_are_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(70_000, 1))
    model[1].weight.data.fill_(1.0)
    x = torch.rand(2, 70_000)
    with pytest.raises(UnsupportedError, match="32 bits"):
        freeze(quantised(model, x, Int8()), "n")


def test_accuracy_counts_the_first_of_equal_scores(trained, data):
    network = quantised(trained, data[1].x, Int8())
    frozen = freeze(network, "n")
    y = integer.outputs(frozen, data[1].x)
    expected = float((torch.from_numpy(y.numpy().argmax(1)) == data[1].y).float().mean())
    assert integer.accuracy(frozen, data[1]) == pytest.approx(expected)
    with pytest.raises(UsageError, match="empty"):
        integer.accuracy(frozen, [])


@settings(deadline=None, max_examples=60)
@given(
    low=st.floats(-3, 0),
    high=st.floats(0, 5),
    clip=st.sampled_from([Clip(), Clip(0.0, None), Clip(0.0, 1.0), Clip(-0.5, 0.75)]),
)
def test_a_quantiser_gives_levels_of_its_grid_and_keeps_zero(low, high, clip):
    quantizer = ActivationQuantizer(clip, learned=False)
    x = torch.cat([torch.linspace(low, high, 101), torch.zeros(1)])
    quantizer.mode = "observe"
    quantizer(x)
    quantizer.settle_()
    quantizer.mode = "on"
    y = quantizer(x).detach()
    affine = quantizer.affine()
    levels = y.double() / affine.scale + affine.zero
    assert float((levels - levels.round()).abs().max()) < 1e-3
    assert 0 <= levels.round().min() and levels.round().max() <= 255
    assert y[-1] == 0
    clipped = x if clip == Clip() else x.clamp(clip.low, clip.high)
    assert float((y - clipped).abs().max()) <= affine.scale * 1.01


def test_bounds_of_an_activation_function_are_levels():
    assert Affine(0.1, 10).bounds(Clip(0.0, 6.0)) == (10, 70)
    assert Affine(0.1, 10).bounds(Clip(-5.0, 60.0)) == (0, 255)
    assert Affine(0.1, 10).bounds(Clip()) == (0, 255)


def test_learned_step_size_has_its_published_gradient():
    quantizer = ActivationQuantizer(Clip(0.0, None), learned=True)
    quantizer.mode = "on"
    quantizer.scale.data.fill_(0.1)
    x = torch.tensor([-1.0, 0.34, 2.0, 100.0], requires_grad=True)
    quantizer(x).sum().backward()
    expected = (0.0 + (3 - 3.4) + (20 - 20.0) + 255) / (4 * 255) ** 0.5
    assert float(quantizer.scale.grad) == pytest.approx(expected, rel=1e-3)
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
