"""ONNX's RNN, GRU and LSTM: in float32 near onnxruntime and the same bits in C, in 8 bits from samples, refused by name."""

import random
import shutil
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from lamella import boards, calibration, cli, pipeline, vectors, verify, witness
from lamella.codegen import import_onnx, passes, plan, reference, rewrites
from lamella.codegen.ir import Target
from lamella.codegen.rewrites.recurrent import KINDS, KNOWN
from lamella.codegen.rewrites.recurrent_cells import FUNCTIONS, WITHOUT_DEFAULTS
from lamella.errors import LamellaError, UnsupportedError

#: As many parameters as a node can take: LSTM, both directions.
ALL = 6


@dataclass(frozen=True)
class Layer:
    """One recurrent operator between a batch of (steps, features) and its results, batch first."""

    kind: str
    steps: int = 4
    features: int = 3
    units: int = 5
    direction: str = "forward"
    bias: bool = True
    first: str = "none"  # or "constant", "input"
    peepholes: bool = False
    functions: bool = False
    parameters: int = 0  # so many values of activation_alpha, and of activation_beta, at most
    clip: float | None = None
    forget: bool = False  # input_forget
    after: int = 1  # linear_before_reset
    outputs: tuple[int, ...] = (0,)
    seed: int = 0

    def model(self, by_batch: bool = False, batch: int | str = 1) -> onnx.ModelProto:
        """by_batch: with layout 1, else the same function with layout 0. batch: of its inputs."""
        rng = np.random.default_rng(self.seed)
        gates, states, default = KINDS[self.kind]
        n, u = (2 if self.direction == "bidirectional" else 1), self.units
        values = {
            "w": rng.normal(0, 0.6, (n, gates * u, self.features)),
            "r": rng.normal(0, 0.6, (n, gates * u, u)),
            "b": rng.normal(0, 0.4, (n, 2 * gates * u)),
            "p": rng.normal(0, 0.4, (n, 3 * u)),
            "h": rng.normal(0, 0.5, (1, n, u)).astype(np.float32),
            "c": rng.normal(0, 0.5, (1, n, u)).astype(np.float32),
        }
        pool = [f for f in FUNCTIONS if f not in WITHOUT_DEFAULTS or self.parameters == ALL]
        functions = [str(f) for f in rng.choice(pool, n * len(default))]
        if self.functions:  # most have no bound: states would grow, and last bits with them, from step to step
            values = {name: value / 6 for name, value in values.items()}
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, self.steps, self.features])]
        nodes, inits, before = [], [], {"x": "x"}
        for name in ("h", "c")[:states]:
            if self.first == "input":
                inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, n, u]))
                before[name] = name
        if not by_batch:
            nodes += [helper.make_node("Transpose", [name], [f"{name}_t"], perm=[1, 0, 2]) for name in before]
            before = {name: f"{name}_t" for name in before}
        if self.first == "constant":
            before |= {name: f"{name}_first" for name in ("h", "c")[:states]}
            for name in ("h", "c")[:states]:
                first = values[name] if by_batch else values[name].transpose(1, 0, 2)
                inits.append(numpy_helper.from_array(np.ascontiguousarray(first), f"{name}_first"))
        used = ["w", "r", *["b"] * self.bias, *["p"] * self.peepholes]
        inits += [numpy_helper.from_array(values[name].astype(np.float32), name) for name in used]
        given = [before["x"], "w", "r", "b" if self.bias else "", "", before.get("h", ""), before.get("c", "")]
        given = [*given, "p"] if self.peepholes else given if "c" in before else given[:6]
        results = [f"y{k}" if k in self.outputs else "" for k in range(1 + states)]
        more = {"activations": functions} if self.functions else {}
        for name in ("alpha", "beta"):
            takers = sum(name in FUNCTIONS[f] for f in functions) if self.functions else 0
            if found := [float(v) for v in rng.uniform(0.1, 0.9, min(takers, self.parameters))]:
                more[f"activation_{name}"] = found
        more |= {"clip": self.clip} if self.clip else {}
        more |= {"input_forget": 1} if self.forget else {}
        more |= {"linear_before_reset": self.after} if self.kind == "GRU" else {}
        inner = [name if by_batch or not name else f"{name}_t" for name in results]
        layout = {"layout": 1} if by_batch else {}
        node = helper.make_node(
            self.kind, given, inner, "layer", hidden_size=u, direction=self.direction, **more, **layout
        )
        nodes.append(node)
        outputs = []
        for k in self.outputs:
            perm = [2, 0, 1, 3] if k == 0 else [1, 0, 2]
            if not by_batch:
                nodes.append(helper.make_node("Transpose", [f"y{k}_t"], [f"y{k}"], perm=perm))
            shape = [batch, self.steps, n, u] if k == 0 else [batch, n, u]
            outputs.append(helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, shape))
        graph = helper.make_graph(nodes, "net", inputs, outputs, inits)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@st.composite
def layers(draw) -> Layer:
    kind = draw(st.sampled_from(sorted(KINDS)))
    outputs = draw(st.lists(st.integers(0, KINDS[kind][1]), min_size=1, unique=True))
    small = st.integers(1, 5)
    return Layer(
        kind,
        draw(small),
        draw(small),
        draw(small),
        draw(st.sampled_from(["forward", "reverse", "bidirectional"])),
        draw(st.booleans()),
        draw(st.sampled_from(["none", "constant", "input"])),
        kind == "LSTM" and draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from([0, 1, 2, ALL])),
        draw(st.sampled_from([None, 0.05, 0.2, 1.0])),
        kind == "LSTM" and draw(st.booleans()),
        draw(st.integers(0, 1)),
        tuple(sorted(outputs)),
        draw(st.integers(0, 2**20)),
    )


def theirs(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """onnxruntime's outputs, sample by sample."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    count = len(next(iter(inputs.values())))
    parts = [session.run(names, {k: v[i : i + 1] for k, v in inputs.items()}) for i in range(count)]
    return {name: np.concatenate([part[k] for part in parts]) for k, name in enumerate(names)}


def saved(folder, model: onnx.ModelProto):
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(layer=layers(), by_batch=st.booleans())
def test_layers_in_float32_are_near_onnxruntime_and_exact_in_c(tmp_path_factory, layer, by_batch):
    """onnxruntime knows layout 0 alone; layout 1 is the same function."""
    path = saved(tmp_path_factory.mktemp("layer"), layer.model(by_batch))
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    expected = reference.run(graph, raw)
    for name, values in theirs(layer.model(), raw).items():
        np.testing.assert_allclose(expected[name], values, rtol=2e-5, atol=2e-5)
    compiled = pipeline.compile_model(path, "host", ("flash", "speed", "ram")[layer.seed % 3], graph=graph)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(layer=layers())
def test_the_rewrite_changes_no_result_for_any_batch(layer):
    given = "none" if layer.first == "constant" else layer.first
    model = Layer(**{**vars(layer), "first": given}).model(batch="n")
    raw = {
        v.name: np.random.default_rng(7).normal(0, 1, (3, *(d.dim_value for d in v.type.tensor_type.shape.dim[1:])))
        for v in model.graph.input
    }
    raw = {name: values.astype(np.float32) for name, values in raw.items()}
    whole = theirs(model, raw)
    loops = rewrites.rewritten(onnx.ModelProto.FromString(model.SerializeToString()))
    assert not any(n.op_type in KINDS for n in loops.graph.node)
    onnx.checker.check_model(loops, full_check=True)
    for name, values in theirs(loops, raw).items():
        np.testing.assert_allclose(values, whole[name], rtol=2e-5, atol=2e-5)


class Net(nn.Module):
    """A recurrent layer, and a linear one on the last step or on the last states."""

    def __init__(self, kind: str, layers: int, both: bool, last: str):
        super().__init__()
        self.last = last
        self.inner = getattr(nn, kind)(5, 8, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(8 * (1 + (both and last == "step")), 3)

    def forward(self, x):
        y, states = self.inner(x)
        h = states[0] if isinstance(states, tuple) else states
        return self.head(y[:, -1] if self.last == "step" else h[-1])


NETS = [("GRU", 2, False, "step"), ("LSTM", 1, True, "step"), ("LSTM", 2, False, "state"), ("GRU", 1, True, "state")]


def exported(folder, net: nn.Module, dynamo: bool):
    """A file of one of torch's exporters."""
    path = folder / "float.onnx"
    more = {} if dynamo else {"dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
    x = torch.randn(1, 7, 5)
    torch.onnx.export(net, (x,), str(path), input_names=["x"], output_names=["y"], dynamo=dynamo, **more)
    return path


def network(kind: str, layers: int, both: bool, last: str) -> Net:
    torch.manual_seed(layers + 2 * both)
    return Net(kind, layers, both, last).eval()


def agrees_on(board: str, path, graph, raw, expected) -> None:
    """Every byte equal on a board; skipped where its tools are missing."""
    loaded = boards.load(board)
    for tool in (loaded.compiler.cc, *(loaded.runner.command[:1] if loaded.name != "host" else ())):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    compiled = pipeline.compile_model(path, board, graph=graph)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize(("kind", "layers", "both", "last"), NETS)
def test_exported_networks_compute_what_torch_does(tmp_path, kind, layers, both, last, dynamo):
    net = network(kind, layers, both, last)
    path = exported(tmp_path, net, dynamo)
    assert sum(n.op_type == kind for n in onnx.load(path).graph.node) == layers
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    expected = reference.run(graph, raw)
    with torch.no_grad():
        np.testing.assert_allclose(expected["y"], net(torch.from_numpy(raw["x"])).numpy(), rtol=2e-5, atol=2e-5)
    agrees_on("host", path, graph, raw, expected)
    agrees_on("qemu_mps2_an386", path, graph, raw, expected)


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize(("kind", "layers", "both", "last"), NETS)
def test_samples_make_them_integers(tmp_path, kind, layers, both, last, dynamo):
    """No layer stays in float32; what comes out is near the float network, each layer at most a level from onnxruntime."""
    net = network(kind, layers, both, last)
    path = exported(tmp_path, net, dynamo)
    x = np.random.default_rng(1).normal(0, 1, (40, 7, 5)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    found = calibration.calibrate(path, tmp_path / "x.npz")
    assert found.best.snr_db > 22
    quantised = saved(tmp_path, found.model)
    graph = import_onnx.read(quantised)
    assert not graph.in_float
    assert not any(t.is_float for t in graph.tensors.values())
    loops = [node for node in graph.nodes if node.op == "scan"]
    assert len(loops) == layers * (1 + both)
    assert all(not t.is_float for node in loops for t in node.attributes.body.tensors.values())
    raw = vectors.seeded(graph)
    assert max(witness.layers(quantised, raw).values()) <= 1
    expected = reference.run(graph, raw)
    agrees_on("host", quantised, graph, raw, expected)
    agrees_on("qemu_microbit", quantised, graph, raw, expected)


FORMS = [
    Layer("RNN", direction="reverse", first="constant", outputs=(0, 1), seed=1),
    Layer("RNN", bias=False, outputs=(1,), seed=2),
    Layer("GRU", direction="reverse", after=0, first="input", outputs=(0, 1), seed=3),
    Layer("GRU", direction="bidirectional", after=0, outputs=(0, 1), seed=4),
    Layer("LSTM", peepholes=True, direction="bidirectional", first="constant", outputs=(0, 1, 2), seed=5),
    Layer("LSTM", first="input", outputs=(1, 2), seed=6),
]


@pytest.mark.parametrize("layer", FORMS, ids=lambda layer: f"{layer.kind}-{layer.direction}-{layer.first}")
def test_layers_in_every_form_are_quantised(tmp_path, layer):
    """Fewer than eight samples: compared on those that the ranges are of, so that nothing is clipped."""
    model = layer.model(batch=1 if layer.first == "constant" else "n")
    path = saved(tmp_path, model)
    rng = np.random.default_rng(layer.seed)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in model.graph.input}
    samples = {name: rng.normal(0, 1, (7, *shape)).astype(np.float32) for name, shape in shapes.items()}
    np.savez(tmp_path / "x.npz", **samples)
    found = calibration.calibrate(path, tmp_path / "x.npz")
    assert found.best.snr_db > 25
    quantised = saved(tmp_path, found.model)
    graph = import_onnx.read(quantised)
    assert not graph.in_float
    raw = vectors.seeded(graph)
    assert max(witness.layers(quantised, raw).values()) <= 1
    agrees_on("host", quantised, graph, raw, reference.run(graph, raw))


def test_given_states_are_quantised_with_the_range_they_have(tmp_path):
    """First cells far larger than any later one are not clipped."""
    layer = Layer("LSTM", first="input", outputs=(0, 2), seed=3)
    path = saved(tmp_path, layer.model(batch="n"))
    rng = np.random.default_rng(2)
    samples = {"x": rng.normal(0, 1, (32, 4, 3)), "h": rng.normal(0, 1, (32, 1, 5)), "c": rng.normal(0, 9, (32, 1, 5))}
    np.savez(tmp_path / "x.npz", **{name: values.astype(np.float32) for name, values in samples.items()})
    found = calibration.calibrate(path, tmp_path / "x.npz")
    assert found.best.ranges == "minmax" and found.best.snr_db > 15
    quantised = saved(tmp_path, found.model)
    graph = import_onnx.read(quantised)
    assert not graph.in_float
    (loop,) = (node for node in graph.nodes if node.op == "scan")
    q = loop.attributes.body.tensor_of(loop.attributes.body.inputs[1]).quantization
    seen = samples["c"][::2]
    assert -q.zero * q.scale < seen.min() + q.scale and (255 - q.zero) * q.scale > seen.max() - q.scale
    raw = vectors.seeded(graph)
    agrees_on("host", quantised, graph, raw, reference.run(graph, raw))


def test_of_a_sequence_whose_last_step_is_read_nothing_else_is_stored(tmp_path):
    path = exported(tmp_path, network("GRU", 1, False, "step"), True)
    graph = import_onnx.read(path)
    (loop,) = (node for node in graph.nodes if node.op == "scan")
    assert loop.attributes.results[0].sequence
    lowered = passes.lower(graph, Target("host"), "balanced")
    (loop,) = (node for node in lowered.nodes if node.op == "scan")
    assert not loop.attributes.results[0].sequence and lowered.tensors[loop.output].shape == (1, 1, 8)
    assert plan.plan_memory(lowered).arena_bytes < 4 * 7 * 8 + plan.plan_memory(graph).lower_bound


def _lengths(model):
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.int32), "lengths"))
    model.graph.node[-2].input[4] = "lengths"


def _attribute(**attributes):
    def change(model):
        node = next(n for n in model.graph.node if n.op_type in KINDS)
        for name, value in attributes.items():
            kept = [a for a in node.attribute if a.name != name]
            node.ClearField("attribute")
            node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


def _computed_weights(model):
    model.graph.input.append(helper.make_tensor_value_info("r_given", TensorProto.FLOAT, [1, 20, 5]))
    model.graph.node[-2].input[2] = "r_given"


def _narrow_weights(model):
    next(t for t in model.graph.initializer if t.name == "b").CopyFrom(
        numpy_helper.from_array(np.zeros((1, 7), np.float32), "b")
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_attribute(clip=-1.0), "attribute 'clip' is -1.0"),
        (_attribute(activation_alpha=[0.5]), "attribute 'activation_alpha' is .0.5.*, 0 here"),
        (_attribute(activations=["Sine", "Tanh", "Tanh"]), "attribute 'activations'.*Sine"),
        (_attribute(activations=["Sigmoid"]), "attribute 'activations'"),
        (_attribute(activations=["Affine", "Tanh", "Tanh"]), "'Affine' takes its parameters from activation_alpha"),
        (_attribute(direction="sideways"), "attribute 'direction'.*sideways"),
        (_attribute(hidden_size=6), "attribute 'hidden_size'"),
        (_attribute(layout=2), "attribute 'layout'"),
        (_lengths, "sequence_lens.*without that input"),
        (_computed_weights, "'r_given' must be constant"),
        (_narrow_weights, "'b' has shape"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, capsys, change, words):
    model = Layer("LSTM").model()
    change(model)
    path = saved(tmp_path, model)
    with pytest.raises(UnsupportedError, match=f"'layer' \\(LSTM\\): .*{words}"):
        import_onnx.read(path)
    assert cli.main(["analyze", str(path), "--board", "host"]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_lengths_that_cut_nothing_off_are_taken(tmp_path):
    model = Layer("LSTM").model()
    _lengths(model)
    next(t for t in model.graph.initializer if t.name == "lengths").CopyFrom(
        numpy_helper.from_array(np.array([4], np.int32), "lengths")
    )
    assert [node.op for node in import_onnx.read(saved(tmp_path, model)).nodes].count("scan") == 1


def test_a_float_loop_may_not_hand_a_state_to_another(tmp_path):
    """The C copies one state after the other."""
    model = rewrites.rewritten(Layer("LSTM").model())
    body = next(a.g for n in model.graph.node if n.op_type == "Scan" for a in n.attribute if a.name == "body")
    next(n for n in body.node if n.output[0] == body.output[1].name).input[0] = body.input[0].name
    with pytest.raises(UnsupportedError, match="another state of the step before"):
        import_onnx.read(saved(tmp_path, model))


def test_damaged_layers_never_give_another_exception(tmp_path):
    """Nodes, attributes, inputs and outputs left out or exchanged, weights of other shapes: one of our errors, or a graph."""
    draw = random.Random(0)
    whole = [
        Layer("LSTM", peepholes=True, outputs=(0, 1, 2)),
        Layer("GRU", direction="bidirectional", first="constant"),
    ]
    for k in range(150):
        model = onnx.ModelProto.FromString(whole[k % 2].model(by_batch=k % 3 == 0).SerializeToString())
        graph = model.graph
        node = next(n for n in graph.node if n.op_type in KINDS)
        chosen = draw.choice([graph.node, graph.input, graph.initializer, node.input, node.output, node.attribute])
        if k % 4 == 0:
            tensor = draw.choice(graph.initializer)
            tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice([0, 1, 2, 7])
        elif chosen is node.input and k % 3:
            node.input[draw.randrange(len(node.input))] = draw.choice([t.name for t in graph.initializer])
        elif chosen is node.attribute:
            node.attribute[draw.randrange(len(node.attribute))].CopyFrom(
                helper.make_attribute(draw.choice(sorted(KNOWN)), draw.choice([2, 0.5, "text", [1, 2], ["a"]]))
            )
        else:
            del chosen[draw.randrange(len(chosen))]
        try:
            import_onnx.read(saved(tmp_path, model))
        except LamellaError:
            pass
