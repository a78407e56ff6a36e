"""Zeros "count": as many as pruning left, in places found anew (Dynamic Model Pruning with Feedback)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella.trainer.fit import Descent, fit
from lamella.trainer.layerwise import compress
from lamella.trainer.rules import moving_mask
from lamella.trainer.rules.float32 import Float32
from lamella.trainer.rules.ternary import Ternary

from .test_ternary import dense_layer


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), keep=st.floats(0.05, 1.0))
def test_the_largest_weights_survive_and_their_number_stays(seed, keep):
    layer = dense_layer(seed, keep=keep)
    survivors = int(layer.mask.sum())
    layer.set_rule_(Ternary(zeros="count"))
    layer.rule.keep_valid_(layer)
    assert int(layer.mask.sum()) == survivors
    magnitude = layer.weight.detach().abs()
    assert float(magnitude[layer.mask].min()) >= float(magnitude[~layer.mask].max() if survivors < 60 else 0)


def test_the_mask_rests_between_two_looks():
    layer = dense_layer(1)
    layer.set_rule_(Ternary(zeros="count"))
    layer.rule.keep_valid_(layer)
    before = layer.mask.clone()
    layer.weight.data.copy_(layer.weight.flip(1))
    for _ in range(moving_mask.PERIOD - 1):
        layer.rule.keep_valid_(layer)
        assert torch.equal(layer.mask, before)
    layer.rule.keep_valid_(layer)
    assert not torch.equal(layer.mask, before)


def test_zero_weights_do_not_come_back():
    layer = dense_layer(2, keep=1.0)
    layer.weight.data[1:].zero_()
    layer.set_rule_(Ternary(zeros="count"))
    layer.rule.keep_valid_(layer)
    assert bool(layer.mask[0].all()) and not bool(layer.mask[1:].any())


@pytest.mark.parametrize(
    "rule", [Float32(masked=True, moving=True), Ternary(zeros="count")], ids=["float32", "ternary"]
)
def test_pruned_weights_are_zero_forward_and_learn_a_little(rule):
    layer = dense_layer(3)
    layer.set_rule_(rule)
    weight = layer.rule.weight(layer)
    assert torch.equal(weight.detach() != 0, layer.mask)
    g = torch.randn_like(weight)
    weight.backward(g)
    torch.testing.assert_close(layer.weight.grad, torch.where(layer.mask, g, moving_mask.SHARE * g))


def test_training_finds_the_inputs_that_matter():
    """Masked are the only two inputs that tell the label; they must come back, and be kept."""
    layer = dense_layer(4, inputs=12, outputs=2)
    layer.weight.data.mul_(0.1)
    layer.mask[:] = torch.arange(12) < 2
    layer.set_rule_(Float32(masked=True, moving=True))
    network = nn.Module()
    network.fc = layer
    network.forward = layer.forward
    network.keep_valid_ = lambda: layer.rule.keep_valid_(layer)
    x = torch.randn(512, 12, generator=torch.Generator().manual_seed(0))
    y = (x[:, 10] + x[:, 11] > 0).long()
    fit(network, [(x, y)], Descent(80, 0.3), what="test", seed=0)
    assert int(layer.mask.sum()) == 4
    assert bool(layer.mask[:, 10:].all())
    assert float((network(x).argmax(1) == y).float().mean()) > 0.95


def test_compression_with_moving_zeros_is_as_sparse_and_resumes_the_same(trained, data):
    states = []
    options = {"sparsity": 0.7, "zeros": "count", "max_drop": 100.0, "prune_epochs": 2, "prune_steps": 1, "seed": 3}
    whole = compress(trained, *data[:2], save=states.append, final_epochs=1, **options)
    zeros = sum(int((layer.levels == 0).sum()) for layer in whole.frozen.layers.values())
    assert zeros >= int(0.7 * sum(layer.levels.size for layer in whole.frozen.layers.values())) - 1
    resumed = compress(trained, *data[:2], resume=states[2], final_epochs=1, **options)
    for name, layer in whole.frozen.layers.items():
        assert (layer.levels == resumed.frozen.layers[name].levels).all()
