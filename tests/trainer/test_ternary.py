"""Sigma-constrained SGD: what the published method promises, as properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella.errors import UsageError
from lamella.trainer.fit import Descent, fit
from lamella.trainer.graph import LayerNode
from lamella.trainer.layers import WeightLayer
from lamella.trainer.rules.ternary import Ternary


def dense_layer(seed: int = 0, inputs: int = 12, outputs: int = 5, keep: float = 0.6) -> WeightLayer:
    """A fully connected layer with random weights and a random mask."""
    generator = torch.Generator().manual_seed(seed)
    source = nn.Module()
    source.fc = nn.Linear(inputs, outputs)
    source.fc.weight.data = torch.randn(outputs, inputs, generator=generator)
    layer = WeightLayer(LayerNode(name="fc", inputs=("x",), shape=(outputs,), path="fc"), source)
    layer.mask.copy_(torch.rand(outputs, inputs, generator=generator) < keep)
    layer.mask[0, 0] = True
    return layer


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.2, 3.0))
def test_sigma_starts_at_the_least_squares_optimum(seed, factor):
    layer = dense_layer(seed)
    layer.set_rule_(Ternary())
    sigma = float(layer.extra["sigma"].detach())
    w = layer.weight.detach()[layer.mask].double()
    assert sigma == pytest.approx(float(w.abs().mean()), rel=1e-5)

    def error(s: float) -> float:
        return float(((w - s * w.sign()) ** 2).sum())

    assert error(float(w.abs().mean())) <= error(sigma * factor) + 1e-9


def test_sigma_per_channel_is_the_mean_of_each_channel():
    layer = dense_layer(3)
    layer.set_rule_(Ternary(per_channel=True))
    for row, kept, sigma in zip(layer.weight, layer.mask, layer.extra["sigma"].detach(), strict=True):
        assert float(sigma) == pytest.approx(float(row.detach()[kept].abs().mean()), rel=1e-5)


@pytest.mark.parametrize("per_channel", [False, True])
def test_gradients_are_those_of_the_method(per_channel):
    layer = dense_layer(1)
    layer.set_rule_(Ternary(per_channel=per_channel))
    weight = layer.rule.weight(layer)
    g = torch.randn_like(weight)
    weight.backward(g)
    trits = torch.where(layer.weight >= 0, 1.0, -1.0) * layer.mask
    by_hand = (trits * g).sum(1, keepdim=True) if per_channel else (trits * g).sum().reshape(1)
    torch.testing.assert_close(layer.extra["sigma"].grad, by_hand)
    torch.testing.assert_close(layer.weight.grad, g * layer.mask)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    rule=st.sampled_from(
        [
            Ternary(),
            Ternary(sigma="closed"),
            Ternary(zeros="mean"),
            Ternary(zeros="max", threshold=0.05),
            Ternary(zeros="mean", sigma="closed"),
        ]
    ),
)
def test_projected_weights_are_minus_sigma_zero_or_sigma(seed, rule):
    layer = dense_layer(seed)
    layer.set_rule_(rule)
    weight = layer.rule.weight(layer).detach()
    sigma = float(layer.extra["sigma"].detach())
    assert sigma > 0
    assert set(np.unique(weight.numpy())) <= {np.float32(-sigma), np.float32(0), np.float32(sigma)}
    levels, scales = layer.rule.freeze(layer)
    np.testing.assert_array_equal((levels * scales).astype(np.float32), weight.numpy())


def test_thresholds_find_their_zeros_anew():
    layer = dense_layer(5)
    w = layer.weight.detach().abs()
    for rule, limit in (
        (Ternary(zeros="mean", threshold=0.7), 0.7 * w.mean()),
        (Ternary(zeros="max", threshold=0.3), 0.3 * w.max()),
    ):
        layer.set_rule_(rule)
        assert torch.equal(rule.support(layer), w > limit)


def test_training_keeps_the_mask_and_moves_sigma_and_signs():
    layer = dense_layer(2, inputs=20, outputs=4)
    layer.set_rule_(Ternary())
    mask, sigma = layer.mask.clone(), float(layer.extra["sigma"].detach())
    signs = layer.weight.detach().sign()
    network = nn.Module()
    network.fc = layer
    network.forward = layer.forward
    network.keep_valid_ = lambda: layer.rule.keep_valid_(layer)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 20, generator=generator)
    y = (x @ torch.randn(20, 4, generator=generator)).argmax(1)
    fit(network, [(x, y)], Descent(60, 0.5), what="test", seed=0)
    weight = layer.rule.weight(layer).detach()
    assert torch.equal(layer.mask, mask)
    assert torch.equal(weight != 0, mask)
    assert float(layer.extra["sigma"].detach()) != sigma
    assert bool((layer.weight.detach().sign() != signs)[mask].any())


def test_sigma_stays_positive():
    layer = dense_layer(4)
    layer.set_rule_(Ternary())
    layer.extra["sigma"].data.fill_(-1.0)
    layer.rule.keep_valid_(layer)
    assert float(layer.extra["sigma"].detach()) > 0


def test_a_layer_without_survivors_is_all_zero():
    layer = dense_layer(6)
    layer.mask.zero_()
    layer.set_rule_(Ternary())
    assert not layer.rule.weight(layer).any()
    assert float(layer.extra["sigma"].detach()) == 1.0


@pytest.mark.parametrize("options", [{"zeros": "some"}, {"sigma": "guessed"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(UsageError, match="choose"):
        Ternary(**options)
