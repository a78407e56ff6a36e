"""Step 1 and step 2: one threshold for all layers, and the order that follows."""

import pytest
import torch

from lamella.errors import UsageError
from lamella.trainer.network import QuantNetwork
from lamella.trainer.prune import global_threshold, mask_sparsity, prune_, sparsity_schedule
from lamella.trainer.significance import MEASURES, order_layers
from lamella.trainer.trace import trace


@pytest.fixture
def network(trained, data):
    return QuantNetwork(trace(trained, data[0].x[:2]), trained, learned_ranges=True)


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.8])
def test_global_threshold_gives_the_asked_sparsity(network, sparsity):
    prune_(network, sparsity)
    masks = [network.layers[name].mask for name in network.compressible]
    zeros, total = sum(int((~m).sum()) for m in masks), sum(m.numel() for m in masks)
    assert zeros == int(sparsity * total)


def test_mask_is_magnitude_above_one_threshold(network):
    threshold = global_threshold(network, 0.6)
    prune_(network, 0.6)
    for name in network.compressible:
        layer = network.layers[name]
        assert torch.equal(layer.mask, layer.weight.abs() > threshold)


def test_each_layer_gets_its_own_sparsity(network):
    sparsities = prune_(network, 0.7).values()
    assert len(set(sparsities)) == len(sparsities)


def test_a_layer_that_would_vanish_is_named(network):
    network.layers["conv2"].weight.data.mul_(1e-6)
    with pytest.raises(UsageError, match="conv2"):
        prune_(network, 0.8)


def test_schedule_rises_to_the_target():
    steps = sparsity_schedule(0.9, 4)
    assert steps == sorted(steps) and steps[-1] == pytest.approx(0.9) and len(steps) == 4


def test_order_by_sparsity_puts_the_emptiest_first_and_the_larger_on_ties(network):
    for name, kept in (("conv1", 0.5), ("conv2", 0.25), ("fc1", 0.5), ("fc2", 0.75)):
        mask = network.layers[name].mask
        mask.copy_((torch.arange(mask.numel()) < kept * mask.numel()).reshape(mask.shape))
    assert network.layers["fc1"].weight.numel() > network.layers["conv1"].weight.numel()
    assert mask_sparsity(network)["fc1"] == mask_sparsity(network)["conv1"]
    assert order_layers(network, "sparsity", lambda name: 0.0) == ["conv2", "fc1", "conv1", "fc2"]


def test_other_measures_order_as_they_say(network):
    sizes = {name: network.layers[name].weight.numel() for name in network.compressible}
    assert order_layers(network, "weights", lambda name: 0.0) == sorted(sizes, key=lambda n: -sizes[n])
    accuracies = {"conv1": 0.2, "conv2": 0.9, "fc1": 0.7, "fc2": 0.5}
    assert order_layers(network, "accuracy", accuracies.get) == ["conv2", "fc1", "fc2", "conv1"]
    means = {name: float(network.layers[name].weight.detach().abs().mean()) for name in network.compressible}
    assert order_layers(network, "magnitude", lambda name: 0.0) == sorted(means, key=means.get)
    assert set(MEASURES) == {"sparsity", "weights", "magnitude", "accuracy", "hessian"}
