"""Recurrent and one-dimensional layers: the same function as torch's, and the same bytes in all three ways."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella import pipeline, verify, witness
from lamella.codegen import import_onnx, reference
from lamella.errors import UnsupportedError
from lamella.trainer import compress, export_onnx, integer
from lamella.trainer.batches import TensorBatches
from lamella.trainer.fit import Descent, fit
from lamella.trainer.frozen import freeze
from lamella.trainer.graph import FunctionNode, ScanNode
from lamella.trainer.network import QuantNetwork
from lamella.trainer.rules import rules
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.trace import trace

from .test_integer import levels_of, quantised

STEPS, FEATURES, UNITS = 6, 3, 8


class Recurrent(nn.Module):
    """A GRU or LSTM and a classifier, in every way that people write it."""

    def __init__(self, kind: type = nn.GRU, ending: str = "state", layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.rnn = kind(FEATURES, UNITS, layers, batch_first=True, dropout=dropout)
        self.ending = ending
        self.fc = nn.Linear(UNITS * (STEPS if ending == "flatten" else 1), 4)

    def forward(self, x):
        if self.ending == "state" and isinstance(self.rnn, nn.LSTM):
            _, (state, _) = self.rnn(x)
            return self.fc(state[-1])
        sequence, state = self.rnn(x)
        last = {
            "state": lambda: state[-1],
            "squeeze": lambda: state.squeeze(0),
            "last": lambda: sequence[:, -1],
            "last of three": lambda: sequence[:, -1, :],
            "flatten": lambda: sequence.flatten(1),
            "mean": lambda: sequence.transpose(1, 2).mean(2),
        }
        return self.fc(last[self.ending]())


class Mixed(nn.Module):
    """(2, 24): convolutions along the length, poolings, a transpose, a GRU."""

    def __init__(self, kind: type = nn.GRU) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2, 6, 5, padding=2, bias=False)
        self.norm1 = nn.BatchNorm1d(6)
        self.conv2 = nn.Conv1d(6, 6, 3, dilation=2, groups=6, padding="same")
        self.conv3 = nn.Conv1d(6, 5, 3, stride=2)
        self.pool = nn.MaxPool1d(2)
        self.rnn = kind(5, UNITS, batch_first=True)
        self.fc = nn.Linear(UNITS, 4)
        nn.init.uniform_(self.norm1.weight, -1.5, 1.5)
        nn.init.uniform_(self.norm1.running_var, 0.3, 2.0)

    def forward(self, x):
        x = self.pool(F.relu(self.norm1(self.conv1(x))))
        x = F.relu6(self.conv3(F.relu(self.conv2(x))))
        return self.fc(self.rnn(x.permute(0, 2, 1))[0][:, -1])


class Convolutions(nn.Module):
    """(2, 24): one-dimensional layers of every kind, without recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)  # alone: behind the addition
        self.conv2 = nn.Conv1d(6, 6, 3, padding=1)
        self.average = nn.AvgPool1d(3, 2, 1, count_include_pad=False)
        self.whole = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = torch.tanh(self.conv1(x))
        x = self.norm(x * torch.sigmoid(self.conv2(x)) - x)
        return self.fc(self.whole(self.average(x)).flatten(1))


MODELS = {
    "gru": lambda: Recurrent(),
    "gru squeezed": lambda: Recurrent(ending="squeeze"),
    "gru sequence": lambda: Recurrent(ending="flatten"),
    "gru mean": lambda: Recurrent(ending="mean"),
    "gru of two layers": lambda: Recurrent(ending="last", layers=2, dropout=0.5),
    "lstm": lambda: Recurrent(nn.LSTM),
    "lstm last of three": lambda: Recurrent(nn.LSTM, "last of three", layers=2),
    "lstm sequence": lambda: Recurrent(nn.LSTM, "flatten"),
    "convolutions and gru": lambda: Mixed(),
    "convolutions and lstm": lambda: Mixed(nn.LSTM),
    "convolutions": lambda: Convolutions(),
}


def inputs_for(name: str, samples: int = 24) -> torch.Tensor:
    shape = (2, 24) if "convolutions" in name else (STEPS, FEATURES)
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(1))


def model_of(name: str) -> nn.Module:
    torch.manual_seed(3)
    return MODELS[name]().eval()


@pytest.mark.parametrize("name", MODELS)
def test_loops_of_primitive_nodes_compute_what_torch_computes(name):
    model, x = model_of(name), inputs_for(name)
    network = QuantNetwork(trace(model, x), model, learned_ranges=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", [Int8(), Ternary()])
@pytest.mark.parametrize("name", MODELS)
def test_integers_agree_three_ways(name, rule, tmp_path):
    """Integer mode, codegen's execution of the file and its C are equal in every byte; onnxruntime, operator by operator,
    at most one level away."""
    check_three_ways(model_of(name), inputs_for(name), rule, tmp_path / "model.onnx")


def check_three_ways(model: nn.Module, x: torch.Tensor, rule, path: Path) -> None:
    """Integer mode, codegen's execution of the file, its C on this computer, and onnxruntime."""
    frozen = freeze(quantised(model, x, rule), "network")
    export_onnx.save(frozen, path)
    graph = import_onnx.read(path)
    (port,) = graph.inputs
    raw = {port.name: integer.quantize_input(frozen, x).numpy()}
    expected = reference.run(graph, raw)
    np.testing.assert_array_equal(expected["output"], integer.outputs(frozen, x).numpy())
    assert max(witness.layers(path, raw).values()) <= 1
    compiled = pipeline.compile_model(path, "host", "flash", graph=graph)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 9), units=st.integers(1, 12), lstm=st.booleans())
def test_random_recurrent_layers_agree_with_codegen(seed, steps, units, lstm, tmp_path_factory):
    torch.manual_seed(seed)
    rnn = (nn.LSTM if lstm else nn.GRU)(2, units, batch_first=True)
    for parameter in rnn.parameters():
        nn.init.normal_(parameter, 0, 1.0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = rnn

        def forward(self, x):
            return self.rnn(x)[0][:, -1]

    x = torch.randn(20, steps, 2)
    frozen = freeze(quantised(Net(), x, Int8()), "one")
    path = tmp_path_factory.mktemp("rnn") / "model.onnx"
    export_onnx.save(frozen, path)
    graph = import_onnx.read(path)
    (ours,) = reference.run(graph, {"x": integer.quantize_input(frozen, x).numpy()}).values()
    np.testing.assert_array_equal(ours, integer.outputs(frozen, x).numpy())


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_fake_quantised_cells_stay_close_to_their_integers(kind):
    """Floats round a tie otherwise than integers now and then; a loop carries that on, so most levels must be equal."""
    model, x = Recurrent(kind).eval(), inputs_for("gru", 200)
    network = quantised(model, x, Int8())
    ours = integer.outputs(freeze(network, "n"), x).float()
    with torch.no_grad():
        difference = (levels_of(network, network(x)) - ours).abs()
    assert (difference <= 2).float().mean() > 0.97


def test_both_weights_are_layers_of_their_own_and_functions_have_fixed_ranges():
    model, x = model_of("gru of two layers"), inputs_for("gru")
    network = quantised(model, x, Ternary())
    assert network.compressible == (
        "rnn_weight_ih_l0", "rnn_weight_hh_l0", "rnn_weight_ih_l1", "rnn_weight_hh_l1", "fc"
    )  # fmt: skip
    frozen = freeze(network, "n")
    assert frozen.layers["rnn_weight_hh_l0"].levels.shape == (3 * UNITS, UNITS)
    for node in network.graph.every:
        if isinstance(node, FunctionNode):
            scale = 1 / 256 if node.function == "sigmoid" else 1 / 128
            assert frozen.affines[node.name].scale == scale
    (first, second) = [node for node in network.graph if isinstance(node, ScanNode)]
    assert first.sequence and not second.sequence
    state = first.states[0]
    assert frozen.affines[state.name] == frozen.affines[state.next]


def test_the_file_is_a_scan_that_onnxruntime_runs(tmp_path):
    model, x = model_of("lstm"), inputs_for("lstm")
    frozen = freeze(quantised(model, x, Int8()), "sequences")
    export_onnx.save(frozen, tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    (scan,) = [node for node in proto.graph.node if node.op_type == "Scan"]
    body = next(a.g for a in scan.attribute if a.name == "body")
    assert all(value.type.tensor_type.elem_type == onnx.TensorProto.UINT8 for value in (*body.input, *body.output))
    weights = {i.name for i in proto.graph.initializer}
    assert {"rnn_weight_ih_l0.weight_levels", "rnn_weight_hh_l0.weight_levels"} <= weights
    graph = import_onnx.read(tmp_path / "model.onnx")
    assert witness.run(tmp_path / "model.onnx", graph, {"x": np.zeros((3, STEPS, FEATURES), np.uint8)})[
        "output"
    ].shape == (
        3,
        4,
    )


def test_calibration_sees_a_loop_as_one_observation():
    """What grows over the steps gets the range of its largest step, not of the mean one."""
    model = Recurrent(nn.LSTM)
    with torch.no_grad():
        for name, parameter in model.rnn.named_parameters():
            parameter.fill_(2.0 if "bias" in name else 0.0)
    x = torch.zeros(4, STEPS, FEATURES)
    network = quantised(model, x, Int8())
    cell = network.quantizers["rnn_cell_next"]
    with torch.no_grad():
        _, (_, cells) = model.rnn(x)
    assert 255 * cell.affine().scale == pytest.approx(float(cells.max()), rel=0.01)


@pytest.mark.parametrize("rule", sorted(set(rules()) - {"float32"}))
def test_every_weight_rule_serves_sequences(rule):
    """Convolutions along the length, and both weights of a loop: a gradient, and integers."""
    model, x = model_of("convolutions and gru"), inputs_for("convolutions")
    network = QuantNetwork(trace(model, x), model, learned_ranges=True)
    for layer in network.layers.values():
        layer.set_rule_(rules()[rule]())
    network.calibrate_([x])
    network.train()(x).square().sum().backward()
    for name in network.compressible:
        layer = network.layers[name]
        learned = [layer.weight, *layer.extra.values()]  # a codebook learns in place of the weights
        assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in learned), name
    network.keep_valid_()
    assert integer.outputs(freeze(network.eval(), "n"), x).shape == (len(x), 4)


def waves(samples: int, seed: int) -> TensorBatches:
    """Four classes of noisy sequences: the feature that swings, and how fast."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (samples,), generator=generator)
    t = torch.arange(STEPS)
    x = 0.4 * torch.randn(samples, STEPS, FEATURES, generator=generator)
    swing = torch.where((y >= 2)[:, None], (t % 2) * 2.0 - 1, ((t // 3) % 2) * 2.0 - 1)
    x[torch.arange(samples), :, y % 2] += swing
    return TensorBatches(x, y, 32, True, seed)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_recurrent_network_is_compressed_and_keeps_its_accuracy(kind, tmp_path):
    torch.manual_seed(0)
    model = Recurrent(kind)
    train, validation = waves(512, 1), waves(256, 2)
    fit(model, train, Descent(8, 0.01, "adam"), what="test", seed=0)
    result = compress(
        model, train, validation, max_drop=8.0, sparsity=0.6, on_violation="skip", optimizer="adam", learning_rate=0.01,
        layer_epochs=2,
    )  # fmt: skip
    assert result.float_validation_accuracy > 0.9
    assert result.validation_drop <= 8.0
    collapsed = {d.name for d in result.decisions if d.accepted}
    assert collapsed & {"rnn_weight_ih_l0", "rnn_weight_hh_l0"}
    result.export(tmp_path / "model.onnx")
    graph = import_onnx.read(tmp_path / "model.onnx")
    raw = {"x": integer.quantize_input(result.frozen, validation.x).numpy()}
    np.testing.assert_array_equal(
        reference.run(graph, raw)["output"], integer.outputs(result.frozen, validation.x).numpy()
    )


class Both(nn.Module):
    def __init__(self, **options) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, UNITS, **options)
        self.fc = nn.Linear(UNITS, 4)

    def forward(self, x):
        sequence, state = self.rnn(x)
        return self.fc(state[-1]) + self.fc(sequence.sum(1)) if self.rnn.batch_first else self.fc(state[-1])


class FirstStep(Recurrent):
    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, 0])


class Cell(Recurrent):
    def forward(self, x):
        return self.fc(self.rnn(x)[1][1][-1])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Both(), "rnn"),
        (Both(batch_first=True, bidirectional=True), "shape|rnn"),
        (FirstStep(), "getitem"),
        (Cell(nn.LSTM), "getitem"),
    ],
)
def test_what_loops_do_not_offer_is_refused_by_name(model, words):
    with pytest.raises(UnsupportedError, match=words):
        trace(model.eval(), torch.rand(2, STEPS, FEATURES))
