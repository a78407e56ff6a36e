"""Every method of the comparison, on a toy network: it learns, and all three ways of running it agree."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lamella import pipeline, verify
from lamella.codegen import import_onnx, reference
from lamella.errors import UsageError
from lamella.formats import formats
from lamella.trainer import integer, methods
from lamella.trainer.methods.filter_prune import without_filters
from lamella.trainer.methods.low_rank import low_rank, split_convolution, split_dense
from lamella.trainer.methods.train import Parts, compressed_layers, compressible_weights, train
from lamella.trainer.networks.gru_fsdd import build as gru_fsdd
from lamella.trainer.networks.resnet8 import build as resnet8
from lamella.trainer.options import CompressOptions
from lamella.trainer.place import CPU
from lamella.trainer.run import Run
from lamella.trainer.sizes import as_rows
from lamella.trainer.trace import trace

OPTIONS = CompressOptions(sparsity=0.6, learning_rate=0.02, max_drop=20.0)
#: Of four classes.
CHANCE = 0.25


def test_the_table_is_complete():
    wanted = {
        "layerwise", "binaryconnect", "bwn", "twn", "ttq", "dorefa1", "dorefa2", "dorefa4", "prune", "deep_compression",
        "filter_prune", "obd", "low_rank", "vector_quant", "int8", "fixed_point8", "fixed_point4",
    }  # fmt: skip
    assert wanted <= set(methods.methods())
    for method in methods.methods().values():
        assert str(method.year)[:3] in ("199", "200", "201", "202") and method.paper and method.reading


def test_an_unknown_method_is_refused():
    with pytest.raises(UsageError, match="did you mean"):
        methods.get("deep_compresion")


@pytest.fixture(scope="module")
def results(trained, data):
    """What each method made of the network; made when asked for."""
    made = {}

    def result(name: str):
        if name not in made:
            made[name] = train(methods.get(name), trained, *data, OPTIONS, 2)
        return made[name]

    return result


@pytest.mark.parametrize("name", list(methods.methods()))
def test_a_method_learns_and_is_bit_exact_three_ways(name, results, trained, data, tmp_path):
    before = copy.deepcopy(trained.state_dict())
    result = results(name)
    assert all(torch.equal(v, before[k]) for k, v in trained.state_dict().items())  # the model stays as it is
    assert result.epochs == 2
    assert result.validation_accuracy > CHANCE + 0.25
    assert result.validation_accuracy == integer.accuracy(result.frozen, data[1])
    path = tmp_path / "model.onnx"
    result.export(path)
    x = data[1].x[:24]
    raw = integer.quantize_input(result.frozen, x).numpy()
    graph = import_onnx.read(path)
    (port,) = graph.inputs
    expected = reference.run(graph, {port.name: raw})
    (theirs,) = expected.values()
    np.testing.assert_array_equal(theirs, integer.outputs(result.frozen, x).numpy())
    board = verify.verify_board(pipeline.compile_model(path, "host", "balanced"), {port.name: raw}, expected)
    assert (board.vectors, board.mismatches) == (24, 0)


@pytest.mark.parametrize("name", ["prune", "obd", "deep_compression"])
def test_pruning_methods_reach_the_sparsity(name, results):
    levels = [layer.levels for layer in results(name).frozen.layers.values()]
    zeros = sum(int((part == 0).sum()) for part in levels) / sum(part.size for part in levels)
    assert zeros >= OPTIONS.sparsity - 0.01


#: Methods whose levels one format is made for, and that format; entropy coding, which takes anything, may be smaller yet.
LANDING = {"vector_quant": "vectors", "bwn": "binary", "binaryconnect": "binary"}


@pytest.mark.parametrize("name", LANDING)
def test_a_method_lands_in_its_format(name, results):
    sizes = {}
    for layer, frozen in results(name).frozen.layers.items():
        rows = as_rows(frozen.levels)
        sizes[layer] = {f.name: f.size(rows) for f in formats().values() if f.fits(rows)}
    largest = max(sizes, key=lambda layer: sizes[layer]["int8"])
    plain = {f: n for f, n in sizes[largest].items() if not f.endswith("_ans")}
    assert min(plain, key=plain.get) == LANDING[name], sizes[largest]


def test_ends_and_kept_layers_stay_int8(trained, data):
    method = methods.get("ttq")
    run = Run(trained, *data, OPTIONS, lambda phase: None, lambda state: None, CPU, None)
    assert compressed_layers(method, run, ()) == ["conv2", "fc1"]
    assert compressed_layers(method, run, ("fc1",)) == ["conv2"]
    assert compressed_layers(methods.get("twn"), run, ("conv1",)) == ["conv2", "fc1", "fc2"]


def test_an_end_with_many_weights_is_compressed_all_the_same(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 4))
    run = Run(model, *data, OPTIONS, lambda phase: None, lambda state: None, CPU, None)
    first, second, _ = run.network.compressible
    assert compressed_layers(methods.get("ttq"), run, ()) == [first, second]


def test_kept_names_that_do_not_exist_are_refused(trained, data):
    options = CompressOptions(keep=("conv9",))
    with pytest.raises(UsageError, match="conv9"):
        train(methods.get("int8"), trained, *data, options, 1)


def test_distillation_is_an_option_of_every_method(trained, data):
    options = CompressOptions(sparsity=0.6, learning_rate=0.02, distill=0.5)
    plain = train(methods.get("filter_prune"), trained, *data, OPTIONS, 1)
    followed = train(methods.get("filter_prune"), trained, *data, options, 1)
    assert followed.validation_accuracy > CHANCE + 0.25
    assert any(
        not np.array_equal(a.bias, b.bias)
        for a, b in zip(plain.frozen.layers.values(), followed.frozen.layers.values(), strict=True)
    )


def test_equal_seeds_give_equal_networks(trained, data):
    first, second = (train(methods.get("deep_compression"), trained, *data, OPTIONS, 1) for _ in range(2))
    for a, b in zip(first.frozen.layers.values(), second.frozen.layers.values(), strict=True):
        np.testing.assert_array_equal(a.levels, b.levels)
        np.testing.assert_array_equal(a.bias, b.bias)


@pytest.mark.parametrize("parts", [1, 3, 16])
def test_parts_of_an_epoch_make_the_epoch(parts, data):
    cut = Parts(data[0], parts)
    seen, lengths = [], []
    for part in range(parts):
        cut.set_epoch(2 * parts + part)
        batches = list(cut)
        lengths.append(len(batches) == len(cut))
        seen += [y for _, y in batches]
    data[0].set_epoch(2)
    whole = [y for _, y in data[0]]
    assert all(lengths) and len(seen) == len(whole)
    assert sorted(tuple(y.tolist()) for y in seen) == sorted(tuple(y.tolist()) for y in whole)


@pytest.mark.parametrize(("stride", "padding", "bias"), [(1, 1, False), (2, 0, True), ((2, 1), (1, 2), True)])
def test_a_split_convolution_of_full_rank_is_the_same(stride, padding, bias):
    torch.manual_seed(2)
    layer = nn.Conv2d(4, 6, 3, stride, padding, bias=bias)
    x = torch.randn(2, 4, 11, 9)
    torch.testing.assert_close(split_convolution(layer, 100.0)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_split_dense_layer_of_full_rank_is_the_same_and_less_is_nearest():
    torch.manual_seed(3)
    layer = nn.Linear(20, 12)
    x = torch.randn(5, 20)
    torch.testing.assert_close(split_dense(layer, 100.0)(x), layer(x), rtol=1e-4, atol=1e-5)
    pair = split_dense(layer, 0.7)
    rank = pair[0].out_features
    product = pair[1].weight @ pair[0].weight
    s = torch.linalg.svdvals(layer.weight.detach())
    assert 0 < rank < 12
    assert float((product - layer.weight).square().sum().detach()) == pytest.approx(
        float((s[rank:] ** 2).sum()), rel=1e-4
    )


@pytest.mark.parametrize(("prepare", "share"), [(low_rank, 0.62), (without_filters, 0.3)])
def test_prepared_networks_are_smaller_and_can_be_traced(prepare, share):
    model, x = resnet8().eval(), torch.rand(2, 3, 32, 32)
    smaller = prepare(model, x)
    weights, before = (sum(n.numel() for n in m.parameters() if n.dim() > 1) for m in (smaller, model))
    assert weights < share * before
    assert smaller(x).shape == (2, 10) and model(x).shape == (2, 10)
    assert trace(smaller, x).output.shape == (10,)


def test_filters_of_the_smallest_norm_go():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 3)).eval()
    kept = model[0].weight.detach().abs().sum((1, 2, 3)).topk(3).indices.sort().values
    smaller = without_filters(model, torch.rand(2, 1, 6, 6))
    torch.testing.assert_close(smaller[0].weight.detach(), model[0].weight.detach()[kept])
    assert smaller[3].in_features == 3 * 16


def test_filters_whose_outputs_are_added_go_together():
    """Of the stem and the block's last convolution the same filters go, those of the smallest mean norm."""
    torch.manual_seed(5)
    model = resnet8().eval()
    norms = sum(layer.weight.detach().abs().sum((1, 2, 3)) for layer in (model.stem, model.block1.conv2))
    kept = norms.topk(8).indices.sort().values
    smaller = without_filters(model, torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(smaller.stem.weight.detach(), model.stem.weight.detach()[kept])
    # The block's inputs are thinned by the same filters; its own middle by norms of its own.
    middle = model.block1.conv1.weight.detach().abs().sum((1, 2, 3)).topk(8).indices.sort().values
    torch.testing.assert_close(
        smaller.block1.conv2.weight.detach(), model.block1.conv2.weight.detach()[kept][:, middle]
    )


def test_recurrent_weights_count():
    model = gru_fsdd()
    names = [name for name, p in model.named_parameters() if p.dim() > 1]
    found = compressible_weights(model, torch.zeros(2, *_input_of(model)))
    assert len(found) == len(names) == 3
    assert sum(found.values()) == sum(p.numel() for p in model.parameters() if p.dim() > 1)


def _input_of(model: nn.Module) -> tuple[int, int]:
    """A short sequence of the features that its GRU takes."""
    (gru,) = (module for module in model.modules() if isinstance(module, nn.GRU))
    return 5, gru.input_size
