"""Post-training quantisation of float models: ranges, equalisation, bias correction, and the whole way to C."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lamella import calibration, cli
from lamella.calibration import correct, ends, equalize, floats, layers, ranges
from lamella.calibration.quantize import snr_db
from lamella.errors import UsageError


class Net(nn.Module):
    """BatchNorm with very different channels, a depthwise layer, ReLU6, a skip connection, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depthwise, self.point = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        a = torch.relu(self.norm(self.stem(x)))
        b = torch.relu(self.point(torch.relu(self.depthwise(a))))
        return self.head(nn.functional.max_pool2d(a + b, 2).mean((2, 3)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """float.onnx and samples.npz."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("calibration")
    net = Net().eval()
    with torch.no_grad():
        net.stem.weight.mul_(torch.logspace(-1, 1, 8).reshape(-1, 1, 1, 1))
        net.norm.running_var.uniform_(0.01, 4.0)
    x = torch.randn(24, 3, 12, 12)
    batch = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(
        net, (x[:1],), str(path / "float.onnx"), input_names=["x"], output_names=["y"], dynamic_axes=batch, dynamo=False
    )
    np.savez(path / "samples.npz", x=x.numpy())
    return path


@pytest.fixture(scope="module")
def result(folder):
    return calibration.calibrate(folder / "float.onnx", folder / "samples.npz")


def run(model, x, name="y"):
    return np.concatenate([part[name] for part in floats.outputs(model, {"x": x}, [name])])


def test_every_way_is_tried_and_the_best_taken(result):
    ways = {(t.ranges, t.equalized, t.corrected) for t in result.trials}
    assert ways == {(r, e, c) for r in ranges.METHODS for e in (False, True) for c in (False, True)}
    assert result.best.snr_db == max(t.snr_db for t in result.trials) > 30
    assert result.worst.added == max(layer.added for layer in result.layers) > 0
    assert [layer.op for layer in result.layers][:2] == ["Conv + Relu", "Conv + Relu"]


def test_the_ratio_is_that_of_the_model_written(folder, result):
    x = np.load(folder / "samples.npz")["x"][1::2]
    assert snr_db(run(floats.prepared(folder / "float.onnx"), x), run(result.model, x)) == pytest.approx(
        result.best.snr_db
    )


@pytest.mark.parametrize("change", [lambda m: equalize.equalize_(m), lambda m: correct.correct_(m, {})])
def test_what_is_done_before_keeps_the_function(folder, change):
    model = floats.prepared(folder / "float.onnx")
    x = np.load(folder / "samples.npz")["x"]
    before = run(model, x)
    change(model)
    np.testing.assert_allclose(run(model, x), before, rtol=1e-3, atol=1e-4)


def test_pairs_are_equally_large_afterwards(folder):
    model = floats.prepared(folder / "float.onnx")
    assert equalize.equalize_(model) == 1  # depthwise and 1x1; the stem's output goes two ways
    depthwise, point = list(layers.layers(model))[1:3]
    before = np.abs(depthwise.weight).reshape(8, -1).max(axis=1)
    np.testing.assert_allclose(before, np.abs(point.weight).swapaxes(0, 1).reshape(8, -1).max(axis=1), rtol=1e-4)


def test_correction_takes_the_mean_error_away(folder):
    model = floats.prepared(folder / "float.onnx")
    x = np.load(folder / "samples.npz")["x"]
    point = list(layers.layers(model))[2]
    name, out = point.node.input[0], point.node.output[0]
    seen = next(floats.outputs(model, {"x": x[:16]}, [name, out]))
    means = seen[name].mean(axis=(0, 2, 3))
    assert correct.correct_(model, {name: means}) == 1
    (corrected,) = [layer for layer in layers.layers(model) if layer.node.output[0] == out]
    weight, bias = correct.rounded(point.weight)[:, :, 0, 0], corrected.bias
    got = np.einsum("oi,nihw->nohw", weight, seen[name]) + bias.reshape(-1, 1, 1)
    np.testing.assert_allclose(got.mean(axis=(0, 2, 3)), seen[out].mean(axis=(0, 2, 3)), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    low=st.floats(-100, 100),
    width=st.floats(1e-3, 200),
    counts=st.lists(st.integers(0, 1000), min_size=floats.BINS // 64, max_size=floats.BINS // 64),
)
def test_ranges_hold_zero_and_lie_within_what_was_seen(low, width, counts):
    h = floats.Histogram(low, low + width, np.repeat(np.array(counts) + 1, 64), None)
    whole = ranges.min_max(h)
    for method in ranges.METHODS.values():
        a, b = method(h)
        assert a <= 0 <= b and a < b
        assert whole[0] - 1e-9 <= a and b <= whole[1] + 1e-9


@settings(max_examples=200, deadline=None)
@given(low=st.floats(-1e6, 0), high=st.floats(0, 1e6))
def test_scales_are_to_the_bit_those_of_onnxruntime(low, high):
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    zero, scale = compute_scale_zp(np.float32(low), np.float32(high), np.array(0, np.uint8), np.array(255, np.uint8))
    found = ranges.quantization((low, high))
    assert (found[0].tobytes(), int(found[1])) == (np.float32(scale).tobytes(), int(zero))


@pytest.mark.parametrize("value", [-1e30, -64.0, 0.0, 1e-40, 2.0])
def test_a_tensor_of_one_value_has_a_range(value):
    nodes = [onnx.helper.make_node("Mul", ["x", "z"], ["zero"]), onnx.helper.make_node("Add", ["zero", "c"], ["y"])]
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    constants = [onnx.numpy_helper.from_array(np.float32([v]), name) for name, v in (("z", 0.0), ("c", value))]
    graph = onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    h = floats.histograms(model, {"x": np.ones((4, 3), np.float32)}, ["y"])["y"]
    assert h.counts.sum() == 12
    for method in ranges.METHODS.values():
        low, high = method(h)
        assert low <= 0 <= high and low < high and low <= np.float32(value) <= high


def test_outliers_are_left_out_by_all_but_minmax():
    counts = np.zeros(floats.BINS, np.int64)
    counts[:200], counts[-1] = 10000, 1
    h = floats.Histogram(0.0, 100.0, counts, None)
    assert ranges.min_max(h) == (0.0, 100.0)
    assert ranges.percentile(h)[1] == pytest.approx(200 * 100 / floats.BINS)
    assert ranges.mse(h)[1] < 50


def test_from_float_to_verified_c(folder, capsys):
    model, samples = str(folder / "float.onnx"), str(folder / "samples.npz")
    assert cli.main(["verify", model, "--calibrate", samples, "--board", "host"]) == 0
    assert "loses most" in capsys.readouterr().err


class Choices(nn.Module):
    """Ends in operators that quantize_static leaves in float32, and chooses with Where inside."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        y = nn.functional.hardshrink(nn.functional.softplus(self.a(x)), 0.3)
        return torch.tanh(self.b(y)), self.b(y + 1) / 2


@pytest.mark.parametrize("dynamo", [False, True])
def test_functions_at_the_ends_and_choices_run_in_integers(tmp_path, capsys, dynamo):
    torch.manual_seed(3)
    model, x = tmp_path / "m.onnx", np.random.default_rng(3).normal(size=(24, 6)).astype(np.float32)
    torch.onnx.export(Choices().eval(), (torch.zeros(1, 6),), str(model), input_names=["x"], dynamo=dynamo)
    np.savez(tmp_path / "x.npz", x=x)
    assert (
        cli.main(["verify", str(model), "--calibrate", str(tmp_path / "x.npz"), "--board", "host", "--no-float"]) == 0
    )
    made = calibration.calibrate(model, tmp_path / "x.npz")
    outputs = {o.name for o in made.model.graph.output}
    assert len(outputs) == 2 and made.best.snr_db > 25
    assert {n.op_type for n in made.model.graph.node for o in n.output if o in outputs} == {"DequantizeLinear"}


def test_quantize_writes_a_model_that_needs_no_samples(folder, tmp_path, capsys):
    out = tmp_path / "model.onnx"
    model, samples = str(folder / "float.onnx"), str(folder / "samples.npz")
    assert cli.main(["quantize", model, "--calibrate", samples, "--out", str(out), "--json", str(tmp_path / "q")]) == 0
    assert cli.main(["analyze", str(out)]) == 0
    assert not calibration.is_float(out)
    assert cli.main(["quantize", str(out), "--calibrate", samples, "--out", str(out)]) == 3
    assert cli.main(["analyze", str(out), "--calibrate", samples]) == 0
    assert "is not used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"z": np.zeros((4, 3, 12, 12))}, "name them alike"),
        ({"x": np.zeros((4, 3, 12))}, "shape"),
        ({"x": np.zeros((0, 3, 12, 12))}, "one at least"),
        ({"x": np.full((4, 3, 12, 12), np.nan)}, "finite"),
    ],
)
def test_wrong_samples_are_refused(folder, tmp_path, arrays, text):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UsageError, match=text):
        calibration.calibrate(folder / "float.onnx", tmp_path / "x.npz")


def test_a_file_that_is_no_npz_is_refused(folder, tmp_path):
    (tmp_path / "x.npz").write_text("no")
    with pytest.raises(UsageError, match="npz"):
        calibration.calibrate(folder / "float.onnx", tmp_path / "x.npz")


def test_a_file_that_is_no_model_is_refused(folder, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    onnx.save(onnx.ModelProto(), tmp_path / "empty.onnx")
    for name in ("x.onnx", "empty.onnx", "missing.onnx"):
        assert cli.main(["analyze", str(tmp_path / name), "--calibrate", str(folder / "samples.npz")]) == 2


def test_the_report_shows_what_each_layer_loses(folder, tmp_path):
    out = tmp_path / "report.html"
    model, samples = str(folder / "float.onnx"), str(folder / "samples.npz")
    command = ["report", model, "--calibrate", samples, "--board", "host", "--out", str(out), "--no-verify", "--quiet"]
    assert cli.main(command) == 0
    page = out.read_text()
    assert "dB above the noise" in page and "Conv + Relu" in page


class Streaming(nn.Module):
    """A causal convolution with its past, a GRU cell of plain operators with its state, and scores of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 8, 3), nn.BatchNorm1d(8)
        self.input, self.state, self.head = nn.Linear(8, 30), nn.Linear(10, 30), nn.Linear(10, 3)

    def forward(self, x, past, h):
        window = torch.cat([past, x], 2)
        features = torch.relu(self.norm(self.conv(window))).mean(2)
        (a_r, a_z, a_n), (b_r, b_z, b_n) = self.input(features).chunk(3, 1), self.state(h).chunk(3, 1)
        r, z = torch.sigmoid(a_r + b_r), torch.sigmoid(a_z + b_z)
        n = torch.tanh(a_n + r * b_n)
        h = n + z * (h - n)
        return self.head(h), window[:, :, -2:], h


def test_a_float_streaming_model_gets_one_scale_for_each_state(tmp_path, capsys):
    torch.manual_seed(2)
    net = Streaming().eval()
    names = {"input_names": ["x", "past", "h"], "output_names": ["y", "past_out", "h_out"]}
    first = torch.zeros(1, 4, 2), torch.zeros(1, 10)
    torch.onnx.export(net, (torch.zeros(1, 4, 4), *first), str(tmp_path / "float.onnx"), dynamo=False, **names)
    x = np.random.default_rng(0).normal(0, 1, (120, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    model, samples = tmp_path / "float.onnx", tmp_path / "x.npz"
    how = ["--calibrate", samples, "--state", "past=past_out", "--state", "h=h_out"]
    boards = ["--board", "host", "--board", "qemu_mps2_an386"]
    assert cli.main(list(map(str, ["verify", model, *how, *boards, "--inputs", samples]))) == 0
    assert "120 vectors, every output byte equal" in capsys.readouterr().out
    run_there = ["run", model, *how, "--board", "host", "--inputs", samples, "--outputs", tmp_path / "y.npz", "--quiet"]
    assert cli.main(list(map(str, run_there))) == 0
    expected, states = [], first
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            y, *states = net(frame[None], *states)
            expected.append(y[0].numpy())
    with np.load(tmp_path / "y.npz") as data:
        assert snr_db(np.array(expected), data["y"]) > 20
    # The same file on the way to disk: its states are states of any later command.
    written = ["quantize", model, *how, "--out", tmp_path / "q.onnx", "--quiet"]
    assert cli.main(list(map(str, written))) == 0
    assert cli.main(list(map(str, ["analyze", tmp_path / "q.onnx", *how[2:], "--no-float"]))) == 0


def test_ends_in_float_stay_so():
    """What has no form in integers, what follows from it, and what is read inside too."""
    node = onnx.helper.make_node
    pair = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"])]
    nodes = [*pair, node("Tanh", ["d"], ["a"]), node("LogSoftmax", ["d"], ["b"]), node("Neg", ["b"], ["c"])]
    nodes += [node("Sigmoid", ["d"], ["e"]), node("Exp", ["e"], ["f"]), node("LogSoftmax", ["d"], ["g"])]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xabcefg"]
    stored = [
        onnx.numpy_helper.from_array(v, n) for n, v in (("s", np.array(0.1, np.float32)), ("z", np.array(9, np.uint8)))
    ]
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    assert ends.quantise_(model, {name: (-1.0, 1.0) for name in "abcefg"}) == 1
    onnx.checker.check_model(model)
    makers = {n.output[0]: n.op_type for n in model.graph.node}
    found = [makers[o.name] for o in model.graph.output]
    assert found == ["DequantizeLinear", "LogSoftmax", "Neg", "Sigmoid", "Exp", "LogSoftmax"]


class Elman(nn.Module):
    """A state that is the result of a Tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(4, 8), nn.Linear(8, 8)

    def forward(self, x, h):
        h = torch.tanh(self.input(x) + self.state(h))
        return h * 2 - 1, h


def test_a_state_from_a_function_is_in_integers(tmp_path):
    torch.manual_seed(4)
    model, samples = tmp_path / "m.onnx", tmp_path / "x.npz"
    names = {"input_names": ["x", "h"], "output_names": ["y", "h_out"]}
    torch.onnx.export(Elman().eval(), (torch.zeros(1, 4), torch.zeros(1, 8)), str(model), dynamo=False, **names)
    np.savez(samples, x=np.random.default_rng(4).normal(0, 1, (60, 4)).astype(np.float32))
    how = ["--calibrate", samples, "--state", "h=h_out", "--no-float", "--board", "host"]
    assert cli.main(list(map(str, ["verify", model, *how]))) == 0
