"""Every weight rule: what is trained is what is shipped, and the generator stores it as intended."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella.codegen import import_onnx, reference
from lamella.errors import UsageError
from lamella.formats import formats
from lamella.trainer import export_onnx, integer
from lamella.trainer.frozen import freeze
from lamella.trainer.layers import WeightLayer
from lamella.trainer.rules import rule_from_dict, rule_to_dict, rules
from lamella.trainer.rules.binary import Binary
from lamella.trainer.rules.bwn import BinaryPerFilter
from lamella.trainer.rules.dorefa import Dorefa
from lamella.trainer.rules.fixed_point import FixedPoint
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.palette import Palette
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.rules.ttq import TrainedTernary
from lamella.trainer.rules.uniform import Uniform
from lamella.trainer.rules.vector import Vector
from lamella.trainer.sizes import as_rows, smallest_format

from .random_networks import SIZE, random_networks
from .test_integer import quantised
from .test_ternary import dense_layer

#: Every rule that can be frozen, with its variants.
EXAMPLES = [
    Binary(),
    BinaryPerFilter(),
    Dorefa(1),
    Dorefa(2),
    Dorefa(4),
    Dorefa(7),
    FixedPoint(8),
    FixedPoint(4),
    FixedPoint(2),
    FixedPoint(4, powers=True),
    FixedPoint(3, powers=True),
    Int8(),
    Int8(masked=True),
    Palette(2),
    Palette(16, masked=True),
    Ternary(),
    Ternary(zeros="mean", sigma="closed"),
    TrainedTernary(),
    Uniform(2),
    Uniform(4),
    Uniform(8),
    Vector(),
    Vector(size=8, entries=4, bits=3),
]
SOME = st.sampled_from(EXAMPLES)


def test_every_rule_is_in_the_examples():
    assert {rule.name for rule in EXAMPLES} | {"float32"} == set(rules())


def with_norm(layer: WeightLayer, seed: int) -> WeightLayer:
    """The layer with a BatchNorm of gains of either sign."""
    generator = torch.Generator().manual_seed(seed)
    layer.norm = nn.BatchNorm1d(len(layer.weight))
    layer.norm.weight.data = torch.randn(len(layer.weight), generator=generator)
    layer.norm.running_var.copy_(torch.rand(len(layer.weight), generator=generator) + 0.5)
    return layer


@settings(deadline=None, max_examples=80)
@given(rule=SOME, seed=st.integers(0, 10_000), norm=st.booleans())
def test_forward_is_levels_times_scales(rule, seed, norm):
    layer = dense_layer(seed, inputs=13)
    layer = with_norm(layer, seed) if norm else layer
    layer.set_rule_(rule)
    layer.rule.keep_valid_(layer)
    with torch.no_grad():
        for parameter in layer.extra.values():  # as if trained
            if parameter.requires_grad:
                parameter.mul_(1.3)
        forward = layer.rule.weight(layer).numpy()
        levels, scales = layer.rule.freeze(layer)
    assert levels.dtype == np.int64 and levels.shape == forward.shape
    assert np.abs(levels).max() <= 128 and (scales > 0).all() and scales.size in (1, len(levels))
    np.testing.assert_allclose(forward, levels * scales.reshape(-1, 1), rtol=2e-6, atol=0)


@pytest.mark.parametrize("rule", EXAMPLES, ids=str)
def test_a_rule_survives_a_checkpoint(rule):
    assert rule_from_dict(rule_to_dict(rule)) == rule
    layer, other = dense_layer(3), dense_layer(8)
    layer.set_rule_(rule)
    other.mask.copy_(layer.mask)
    other.set_rule_(rule)
    assert {k: v.shape for k, v in layer.extra.items()} == {k: v.shape for k, v in other.extra.items()}
    with torch.no_grad():
        other.weight.copy_(layer.weight)
        for key, value in layer.extra.items():
            other.extra[key].copy_(value)
    np.testing.assert_array_equal(other.rule.freeze(other)[0], layer.rule.freeze(layer)[0])


@pytest.mark.parametrize("rule", [Palette(16, masked=True), TrainedTernary(), Vector()])
def test_shapes_of_learned_values_do_not_depend_on_the_mask(rule):
    """A checkpoint is read into a network whose masks are not set yet."""
    layer, fresh = dense_layer(3), dense_layer(3)
    fresh.mask.fill_(True)
    layer.set_rule_(rule)
    fresh.set_rule_(rule)
    assert {k: v.shape for k, v in layer.extra.items()} == {k: v.shape for k, v in fresh.extra.items()}


@pytest.mark.parametrize("rule", EXAMPLES, ids=str)
def test_weights_of_zero_are_no_trouble(rule):
    layer = dense_layer(0)
    layer.weight.data.zero_()
    layer.mask.zero_()
    layer.set_rule_(rule)
    weight = layer.rule.weight(layer)
    weight.sum().backward()
    scales = layer.rule.freeze(layer)[1]
    assert bool(torch.isfinite(weight).all()) and np.isfinite(scales).all() and (scales > 0).all()
    assert layer.weight.grad is None or bool(torch.isfinite(layer.weight.grad).all())


@settings(deadline=None, max_examples=40)
@given(model=random_networks(), rule=SOME)
def test_random_networks_agree_with_the_imported_file(model, rule, tmp_path_factory):
    x = torch.rand(20, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) - 0.3
    frozen = freeze(quantised(model, x, rule), "net")
    path = tmp_path_factory.mktemp("net") / "model.onnx"
    export_onnx.save(frozen, path)
    graph = import_onnx.read(path)
    (port,) = graph.inputs
    raw = integer.quantize_input(frozen, x)
    (theirs,) = reference.run(graph, {port.name: raw.numpy()}).values()
    np.testing.assert_array_equal(theirs, integer.outputs(frozen, x).numpy())


INTENDED = {
    Binary(): {"binary"},
    BinaryPerFilter(): {"binary"},
    Dorefa(1): {"binary"},
    Dorefa(2): {"palette"},
    Dorefa(4): {"palette"},
    FixedPoint(4): {"int4"},
    FixedPoint(4, powers=True): {"palette"},
    FixedPoint(2): {"int2"},
    Palette(4): {"palette"},
    Palette(16, masked=True): {"palette"},
    TrainedTernary(): {"two_scale", "two_scale_ans"},
    Ternary(zeros="mean", sigma="closed"): {"ternary", "sparse_ternary_ans"},
    Uniform(2): {"int2"},
    Uniform(4): {"int4"},
    Vector(): {"vectors"},
    Vector(size=2, entries=8, bits=8): {"vectors"},
}


@pytest.mark.parametrize("rule", INTENDED, ids=str)
@pytest.mark.parametrize("norm", [False, True])
def test_formats_are_the_intended_ones(rule, norm):
    """Also behind a BatchNorm whose gains have either sign. Entropy coding, which takes anything, may be smaller yet."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 16, 3), nn.BatchNorm2d(16) if norm else nn.Identity(), nn.ReLU(), nn.Flatten())
    if norm:
        nn.init.normal_(model[1].weight)
    (layer,) = freeze(quantised(model, torch.rand(8, 2, SIZE, SIZE), rule), "n").layers.values()
    rows = as_rows(layer.levels)
    sizes = {name: f.size(rows) for name, f in formats().items() if f.fits(rows) and name != "int8_ans"}
    assert min(sizes, key=sizes.get) in INTENDED[rule]
    assert smallest_format(layer.levels)[0] in INTENDED[rule] | {"int8_ans"}


@pytest.mark.parametrize("rule", [Vector(), Vector(2, 256, 6), Vector(8, 16, 4)], ids=str)
@pytest.mark.parametrize("norm", [False, True])
def test_vectors_store_no_more_than_the_codebook_and_the_places(rule, norm):
    """Also where gains of either sign turn channels round, and where pieces run over row ends."""
    layer = dense_layer(5, outputs=200, inputs=99)
    layer = with_norm(layer, 5) if norm else layer
    layer.set_rule_(rule)
    if norm:  # as freezing does
        levels = layer.rule.freeze(layer)[0] * np.sign(layer.norm.weight.detach().numpy())[:, None].astype(np.int64)
    else:
        levels = layer.rule.freeze(layer)[0]
    entries, length = layer.extra["centroids"].shape
    assert length == rule.size
    bits_of_places = -(-levels.size // length) * (entries - 1).bit_length()
    depth = rule.bits if length * rule.bits <= 32 else 8
    most = 2 + entries * -(-length * depth // 8) + -(-bits_of_places // 8)
    assert formats()["vectors"].size(as_rows(levels)) <= most


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dorefa(8),
        lambda: FixedPoint(9),
        lambda: FixedPoint(5, powers=True),
        lambda: Palette(17),
        lambda: Palette(1),
        lambda: TrainedTernary(threshold=1.0),
        lambda: Vector(size=3),
        lambda: Vector(size=16),
        lambda: Vector(entries=257),
        lambda: Vector(bits=9),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(UsageError, match="out of range"):
        make()
