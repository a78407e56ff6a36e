"""The greedy loop: what is kept, what is restored, and that equal runs are equal."""

import copy

import pytest
import torch
from torch import nn

from lamella.errors import PlatformError, UnsupportedError, UsageError
from lamella.trainer import compress, integer, layerwise
from lamella.trainer.batches import TensorBatches
from lamella.trainer.fit import Descent, fit
from lamella.trainer.rules.int8 import Int8

from .conftest import stripes

QUICK = {"sparsity": 0.6, "learning_rate": 0.02}


def same_state(a: dict, b: dict) -> bool:
    """Whether two snapshots are equal, tensor by tensor."""
    return (
        a["rules"] == b["rules"]
        and a["mode"] == b["mode"]
        and a["extra"].keys() == b["extra"].keys()
        and all(torch.equal(a["extra"][n][k], b["extra"][n][k]) for n in a["extra"] for k in a["extra"][n])
        and all(torch.equal(a["state"][k], b["state"][k]) for k in a["state"])
    )


def test_all_layers_collapse_under_a_generous_bound(trained, data):
    before = copy.deepcopy(trained.state_dict())
    result = compress(trained, *data, max_drop=50.0, **QUICK)
    assert [d.order for d in result.decisions] == [1, 2, 3, 4]
    assert all(d.accepted for d in result.decisions)
    assert {layer.rule for layer in result.frozen.layers.values()} == {"ternary"}
    zeros = sum(int((layer.levels == 0).sum()) for layer in result.frozen.layers.values())
    total = sum(layer.levels.size for layer in result.frozen.layers.values())
    assert zeros / total == pytest.approx(0.6, abs=0.01)
    assert result.validation_accuracy > 0.9
    assert result.validation_drop == pytest.approx(
        100 * (result.float_validation_accuracy - result.validation_accuracy)
    )
    assert result.accuracy(data[1]) == result.validation_accuracy
    assert result.epochs == 5
    for key, value in trained.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} of the user's model changed"


def forced(monkeypatch, losers: set[str]):
    """Makes the integer accuracy bad whenever one of `losers` is ternary."""
    real = integer.accuracy

    def accuracy(network, batches):
        if any(network.layers[name].rule == "ternary" for name in losers if name in network.layers):
            return 0.0
        return real(network, batches)

    monkeypatch.setattr(layerwise.integer, "accuracy", accuracy)


def test_stop_ends_at_the_first_violation(monkeypatch, trained, data):
    full = compress(trained, *data, max_drop=50.0, **QUICK)
    second = full.layer_order[1]
    forced(monkeypatch, {second})
    result = compress(trained, *data, max_drop=5.0, on_violation="stop", **QUICK)
    assert [(d.name, d.accepted) for d in result.decisions] == [(full.layer_order[0], True), (second, False)]
    assert [n for n, layer in result.frozen.layers.items() if layer.rule == "ternary"] == [full.layer_order[0]]


def test_skip_goes_on_behind_a_violation(monkeypatch, trained, data):
    full = compress(trained, *data, max_drop=50.0, **QUICK)
    second = full.layer_order[1]
    forced(monkeypatch, {second})
    result = compress(trained, *data, max_drop=50.0, on_violation="skip", **QUICK)
    assert [d.accepted for d in result.decisions] == [True, False, True, True]
    assert result.frozen.layers[second].rule == "int8"


def test_a_rejected_layer_is_restored_exactly(monkeypatch, trained, data):
    states = []
    forced(monkeypatch, {"conv1", "conv2", "fc1", "fc2"})
    result = compress(
        trained, *data, max_drop=5.0, on_violation="skip", save=lambda s: states.append(s["network"]), **QUICK
    )
    assert not any(d.accepted for d in result.decisions)
    assert len(states) == 5
    assert all(same_state(states[0], state) for state in states[1:])
    assert same_state(states[0], result.network.snapshot())


def test_snapshot_and_restore_are_exact_after_training(trained, data):
    network = compress(trained, *data, max_drop=50.0, **QUICK).network
    before = network.snapshot()
    fit(network, data[0], Descent(1, 0.05), what="test", seed=0)
    assert not same_state(before, network.snapshot())
    network.restore_(before)
    assert same_state(before, network.snapshot())


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": "closed"},
        {"sigma_per_channel": True, "optimizer": "adam", "learning_rate": 0.002},
        {"zeros": "mean"},
        {"zeros": "max", "threshold": 0.05},
        {"order": "accuracy", "kept_layers": "pruned", "activation_range": "calibrated"},
        {"distill": 0.5, "prune_epochs": 2, "prune_steps": 2, "final_epochs": 1},
        {"prune_epochs": 0, "layer_epochs": 0},
    ],
)
def test_every_option_runs_and_is_exported(options, trained, data, tmp_path):
    result = compress(trained, *data, max_drop=100.0, **{**QUICK, **options})
    assert {layer.rule for layer in result.frozen.layers.values()} == {"ternary"}
    result.export(tmp_path / "model.onnx")
    assert result.accuracy(data[1]) > 0.4
    if options.get("sigma_per_channel"):
        assert result.frozen.layers["fc1"].scales.shape == (24,)


def test_layers_that_stay_are_dense_or_pruned_as_asked(trained, data):
    keep = ("conv2", "fc2")
    dense = compress(trained, *data, max_drop=50.0, keep=keep, **QUICK)
    pruned = compress(trained, *data, max_drop=50.0, keep=keep, kept_layers="pruned", **QUICK)
    for name in keep:
        assert dense.frozen.layers[name].rule == pruned.frozen.layers[name].rule == "int8"
        mask = pruned.network.layers[name].mask.numpy()
        assert not pruned.frozen.layers[name].levels[~mask].any()
        assert dense.frozen.layers[name].levels[~dense.network.layers[name].mask.numpy()].any()


def test_final_epochs_never_cost_accuracy(trained, data):
    without = compress(trained, *data, max_drop=50.0, **QUICK)
    more = compress(trained, *data, max_drop=50.0, final_epochs=1, **QUICK)
    assert more.validation_accuracy >= without.validation_accuracy


def test_same_seed_same_network_and_another_seed_another(trained, data, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        training = TensorBatches(data[0].x, data[0].y, 32, shuffle=True, seed=seed)
        compress(trained, training, data[1], max_drop=50.0, seed=seed, **QUICK).export(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_resume_from_every_state_equals_the_unbroken_run(trained, data, tmp_path):
    states = []
    whole = compress(
        trained, *data, max_drop=50.0, final_epochs=1, save=lambda s: states.append(copy.deepcopy(s)), **QUICK
    )
    whole.export(tmp_path / "whole")
    assert len(states) == 6
    for number, state in enumerate(states):
        again = compress(trained, *data, max_drop=50.0, final_epochs=1, resume=state, **QUICK)
        again.export(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes(), f"state {number}"
        assert again.decisions == whole.decisions and again.epochs == whole.epochs


def test_a_list_of_batches_and_a_data_loader_are_data(trained, data):
    pairs = [(data[0].x[i], int(data[0].y[i])) for i in range(96)]
    loader = torch.utils.data.DataLoader(pairs, batch_size=32)
    result = compress(trained, loader, list(data[1]), max_drop=100.0, **QUICK)
    assert len(result.decisions) == 4


def bad_data(x=None, y=None) -> TensorBatches:
    good = stripes(64, 9)
    return TensorBatches(good.x if x is None else x, good.y if y is None else y, 32)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (lambda: bad_data(x=torch.full((64, 1, 8, 8), float("nan"))), "NaN"),
        (lambda: bad_data(y=torch.full((64,), 4)), r"label 4 is outside 0\.\.3"),
        (lambda: bad_data(y=torch.full((64,), -1)), "label -1"),
        (lambda: bad_data(y=torch.zeros(64)), "integers"),
        (lambda: bad_data(y=torch.zeros(32, dtype=torch.long)), "batch 0"),
        (list, "no batches"),
        (lambda: iter([(torch.rand(2, 1, 8, 8), torch.zeros(2, dtype=torch.long))]), "only once"),
        (lambda: [torch.rand(2, 1, 8, 8)], "pair"),
    ],
)
def test_bad_training_data_are_refused(train, said, trained, data):
    with pytest.raises(UsageError, match=said):
        compress(
            trained,
            train() if said != "batch 0" else [(torch.rand(3, 1, 8, 8), torch.zeros(2, dtype=torch.long))],
            data[1],
        )


def test_bad_validation_data_are_refused(trained, data):
    with pytest.raises(UsageError, match="validation"):
        compress(trained, data[0], [])
    with pytest.raises(UsageError, match="label 4"):
        compress(trained, data[0], bad_data(y=torch.full((64,), 4)))


def test_divergence_says_what_to_do(trained, data):
    with pytest.raises(PlatformError, match="learning rate below 1e\\+30"):
        compress(trained, *data, learning_rate=1e30)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_drops": 1.0}, "max_drop"),
        ({"sparsity": 1.0}, "below 1"),
        ({"max_drop": -1.0}, "0 or more"),
        ({"on_violation": "wait"}, "stop, skip"),
        ({"order": "hesian"}, "sparsity, weights"),
        ({"keep": ("conv3",)}, "conv"),
        ({"prune_steps": 3, "prune_epochs": 1}, "prune_epochs"),
    ],
)
def test_wrong_options_are_named(options, said, trained, data):
    with pytest.raises(UsageError, match=said):
        compress(trained, *data, **options)


def test_unsupported_models_are_refused_before_training():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.PReLU())
    with pytest.raises(UnsupportedError, match="PReLU"):
        compress(model, stripes(64, 1), stripes(64, 2))


def test_int8_alone_costs_little(trained, data):
    result = compress(trained, *data, sparsity=0.0, keep=("conv1", "conv2", "fc1", "fc2"), prune_epochs=0)
    assert {layer.rule for layer in result.frozen.layers.values()} == {Int8.name}
    assert result.validation_drop <= 1.0


def test_a_loop_of_ones_own_does_all_the_training(trained, data):
    """It is given the network wherever ours would descend: twice for the two steps of pruning, then once a layer."""
    asked = []

    def own_loop(network, epochs):
        assert network.training
        asked.append(epochs)
        optimizer = torch.optim.SGD(network.parameters(), 0.02)
        for x, y in list(data[0])[:8]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
            network.keep_valid_()

    options = {"sparsity": 0.6, "prune_steps": 2, "prune_epochs": 2, "layer_epochs": 3}
    result = compress(trained, *data, max_drop=90.0, own_loop=own_loop, **options)
    assert asked == [1, 1, 3, 3, 3, 3]
    assert result.epochs == 2 + 4 * 3
    assert result.validation_accuracy > 0.5
