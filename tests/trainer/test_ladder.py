"""The ladder: which rung a layer stays on, and the best accuracy that fits a number of bytes."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella.errors import UsageError
from lamella.trainer import compress, integer
from lamella.trainer.budget import Budget
from lamella.trainer.graph import LayerNode
from lamella.trainer.ladder import RUNGS, Ladder
from lamella.trainer.layers import WeightLayer
from lamella.trainer.layerwise import prune_and_order
from lamella.trainer.options import CompressOptions
from lamella.trainer.place import CPU
from lamella.trainer.rules.uniform import Uniform
from lamella.trainer.run import Run
from lamella.trainer.sizes import Price, by_bytes, smallest_format, weight_bytes

QUICK = {"sparsity": 0.6, "learning_rate": 0.02}
ALL = tuple(RUNGS)


def dense_layer(rows: int, cols: int, seed: int) -> WeightLayer:
    """A layer of normal weights whose mask keeps a tenth."""
    torch.manual_seed(seed)
    source = torch.nn.Sequential(torch.nn.Linear(cols, rows))
    layer = WeightLayer(LayerNode(name="fc", inputs=("x",), shape=(rows,), path="0"), source)
    layer.mask.copy_(layer.weight.detach().abs() > layer.weight.detach().abs().flatten().quantile(0.9))
    return layer


def test_rungs_come_cheapest_first_and_leave_the_layer_alone():
    layer = dense_layer(40, 100, 0)
    layer.set_rule_(Uniform(bits=8))
    step = layer.extra["step"].detach().clone()
    found = Ladder(CompressOptions(ladder=ALL)).rungs("fc", priced(layer), below=40 * 100)
    assert [rung.name for rung in found] == ["sparse", "sparse_int4", "ternary", "int2", "int4"]
    assert [rung.price.cost for rung in found] == sorted(rung.price.cost for rung in found)
    assert torch.equal(step, layer.extra["step"])


def priced(layer: WeightLayer):
    """Bytes of a layer under a rule."""

    def price(rule) -> Price:
        other = copy.deepcopy(layer)
        other.set_rule_(rule)
        with torch.no_grad():
            size = smallest_format(rule.freeze(other)[0])[1]
        return Price(size, size)

    return price


def test_a_price_leaves_the_network_alone(trained, data):
    """And is what the layer then takes."""
    run = Run(trained, *data, CompressOptions(sparsity=0.6), lambda phase: None, lambda s: None, CPU, None, by_bytes)
    prune_and_order(run, Ladder(run.options))
    for name in run.order:
        run.network.layers[name].set_rule_(Uniform(bits=8))
    before = run.network.snapshot()
    for name in run.order:
        for rule in (RUNGS[rung](run.options) for rung in ALL):
            found = run.price_with(name, rule)
            run.network.layers[name].set_rule_(rule)
            assert run.price(name) == found == by_bytes(run.frozen(), [name])[name]
            run.network.restore_(before)
    after = run.network.snapshot()
    assert before["rules"] == after["rules"]
    assert all(torch.equal(value, after["state"][key]) for key, value in before["state"].items())
    assert all(torch.equal(v, after["extra"][n][k]) for n, more in before["extra"].items() for k, v in more.items())


def test_prices_of_a_target_decide_what_is_cheap(trained, data):
    """Here four bits cost least: they are tried first, and nothing is tried that costs as much as int8."""

    def prices(network, names):
        cost = {"int8": 3.0, "uniform": 1.0, "ternary": 2.0}
        return {name: Price(10, cost[network.layers[name].rule], 7.0) for name in names}

    more = {"max_drop": 100.0, "ladder": ("sparse", "int4"), **QUICK}
    result = compress(trained, *data, prices=prices, **more)
    assert {d.tries[0].rung for d in result.decisions} == {"int4"}
    assert all(point.instructions == 7 * len(result.frozen.layers) for point in result.points)
    assert "int4 (10 bytes, 7 instructions) loses" in result.decisions[0].reason(100.0)
    dear = compress(trained, *data, prices=lambda network, names: {n: Price(10, 1.0) for n in names}, **more)
    assert not any(d.accepted or d.tries for d in dear.decisions)


def test_a_rung_that_saves_nothing_is_not_tried():
    layer = dense_layer(40, 100, 0)
    found = Ladder(CompressOptions(ladder=ALL)).rungs("fc", priced(layer), below=850)
    assert [rung.name for rung in found] == ["sparse", "sparse_int4", "ternary"]


def test_a_layer_has_its_own_ladder(trained, data):
    """What it tries, what its significance is measured with, and what a budget may take it down to."""
    more = {"ladder": ("sparse",), "ladders": {"conv2": ("int4",), "fc1": ("ternary", "int4")}, "order": "accuracy"}
    result = compress(trained, *data, max_drop=100.0, **more, **QUICK)
    rungs = {d.name: [t.rung for t in d.tries] for d in result.decisions}
    assert rungs == {"conv1": ["sparse"], "conv2": ["int4"], "fc1": ["ternary"], "fc2": ["sparse"]}
    small = compress(trained, *data, within=Budget(10, weight_bytes), **more, **QUICK)
    assert {d.name: d.tries[-1].rung for d in small.decisions} == {name: tried[0] for name, tried in rungs.items()}


def test_the_first_rung_of_a_layer_is_its_own():
    found = Ladder(CompressOptions(ladder=("int2",), ladders={"fc": ("int4", "sparse")}))
    assert (found.first("fc"), found.first("conv")) == (Uniform(bits=4), Uniform(bits=2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ladder": ("sprase",)},
        {"ladder": ()},
        {"ladders": {"conv9": ("int4",)}},
        {"ladders": {"conv2": ("int5",)}},
        {"ladders": {"conv2": ()}},
        {"ladders": {"conv2": "int4"}},
        {"ladders": ["int4"]},
    ],
)
def test_a_wrong_ladder_is_refused(wrong, trained, data):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        compress(trained, *data, **wrong, **QUICK)


def only(monkeypatch, good: dict[str, str]):
    """Makes the integer accuracy bad whenever a layer is under another rule than int8 or its good one."""

    def accuracy(network, batches):
        ok = all(layer.rule in ("int8", good.get(name)) for name, layer in network.layers.items())
        return 1.0 if ok else 0.0

    monkeypatch.setattr(integer, "accuracy", accuracy)


def test_each_layer_stays_on_the_cheapest_rung_within_the_bound(monkeypatch, trained, data):
    good = {"conv1": "uniform", "conv2": "ternary", "fc1": "nothing", "fc2": "ternary"}
    only(monkeypatch, good)
    result = compress(trained, *data, max_drop=5.0, ladder=ALL, on_violation="skip", **QUICK)
    assert {n: layer.rule for n, layer in result.frozen.layers.items()} == {**good, "fc1": "int8"}
    for decision in result.decisions:
        if decision.name in ("conv2", "fc2"):
            assert decision.accepted and len(decision.tries) == 1
        if decision.name == "fc1":
            assert not decision.accepted and len(decision.tries) == len(ALL)
            assert f"int8 ({decision.int8_bytes:,} bytes)" in decision.reason(5.0)
        sizes = [t.bytes for t in decision.tries]
        assert all(size < decision.int8_bytes for size in sizes)
    assert result.points[-1].bytes == weight_bytes(result.frozen) or not result.decisions[-1].accepted


def test_points_are_what_was_tried(trained, data):
    result = compress(trained, *data, max_drop=50.0, ladder=("sparse", "int4"), final_epochs=1, **QUICK)
    tried = sum(len(d.tries) for d in result.decisions)
    assert len(result.points) == 1 + tried + 1  # all layers int8, the tries, the final training
    assert result.points[-1].bytes == weight_bytes(result.frozen) or not result.points[-1].accepted
    assert result.points[0].bytes > result.points[-1].bytes


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_a_budget_is_met_with_the_least_loss(share, trained, data):
    start = compress(trained, *data, max_drop=-0.0, sparsity=0.6, keep=("conv1", "conv2", "fc1", "fc2"))
    limit = int(weight_bytes(start.frozen) * share)
    result = compress(trained, *data, within=Budget(limit, weight_bytes), ladder=ALL, **QUICK)
    assert result.fits and weight_bytes(result.frozen) <= limit
    assert result.validation_accuracy > 0.8
    assert all(point.bytes > limit for point in result.points[:-1])


def test_an_impossible_budget_says_so(trained, data):
    result = compress(trained, *data, within=Budget(10, weight_bytes), ladder=("sparse",), **QUICK)
    assert result.fits is False
    assert {layer.rule for layer in result.frozen.layers.values()} == {"ternary"}


def test_a_budget_run_resumes_to_the_same_network(trained, data, tmp_path):
    states = []
    within = Budget(1200, weight_bytes)
    whole = compress(trained, *data, within=within, ladder=ALL, save=lambda s: states.append(copy.deepcopy(s)), **QUICK)
    whole.export(tmp_path / "whole")
    assert len(states) >= 2
    for k, state in enumerate(states):
        again = compress(trained, *data, within=within, ladder=ALL, resume=state, **QUICK)
        again.export(tmp_path / str(k))
        assert (tmp_path / str(k)).read_bytes() == (tmp_path / "whole").read_bytes()


@settings(deadline=None, max_examples=20)
@given(bits=st.integers(2, 8), seed=st.integers(0, 1000))
def test_uniform_levels_are_those_of_the_forward_pass(bits: int, seed: int):
    layer = dense_layer(5, 30, seed)
    layer.set_rule_(Uniform(bits=bits))
    levels, scales = layer.rule.freeze(layer)
    assert levels.min() >= -(2 ** (bits - 1)) and levels.max() < 2 ** (bits - 1)
    np.testing.assert_allclose(layer.rule.weight(layer).detach().numpy(), levels * scales[:, None], rtol=1e-6)


def test_uniform_gradients_are_those_of_the_paper():
    layer = dense_layer(1, 4, 0)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.3, 0.74, -0.9, 9.0]]))
    layer.set_rule_(Uniform(bits=3))  # levels -4 .. 3
    with torch.no_grad():
        layer.extra["step"].fill_(0.5)
    layer.rule.weight(layer).backward(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]))
    assert torch.equal(layer.weight.grad, torch.tensor([[1.0, 10.0, 100.0, 0.0]]))
    # round(w / s) - w / s inside, the bound outside: 1 - 0.6, 1 - 1.48, -2 + 1.8, 3.
    expected = 1 * (1 - 0.6) + 10 * (1 - 1.48) + 100 * (-2 + 1.8) + 1000 * 3
    assert float(layer.extra["step"].grad) == pytest.approx(expected, rel=1e-5)


def test_more_bits_never_fit_worse():
    layer = dense_layer(6, 50, 1)
    weight = layer.weight.detach()
    errors = []
    for bits in range(2, 9):
        layer.set_rule_(Uniform(bits=bits))
        errors.append(float((layer.rule.weight(layer).detach() - weight).square().sum()))
    assert errors == sorted(errors, reverse=True)
