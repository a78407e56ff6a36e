"""Loops: random ones and hand-written GRU and LSTM networks, on this computer and on emulated cores."""

import random
import shutil

import numpy as np
import onnx
import pytest
from draw import Draw, graphs, inputs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from recurrent_models import recurrent

from lamella import boards, footprint, pipeline, vectors, verify, witness
from lamella.codegen import import_onnx, passes, plan, reference
from lamella.codegen.ir import Graph, Target
from lamella.codegen.operators import scan
from lamella.errors import LamellaError, UnsupportedError

OBJECTIVES = ("flash", "speed", "ram", "balanced")
CASES = [(kind, sequence, units) for kind in ("gru", "lstm") for sequence in (False, True) for units in (8, 5)]


def saved(tmp_path, model: onnx.ModelProto):
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("kind", "sequence", "units"), CASES)
def test_recurrent_networks_agree_three_ways(tmp_path, kind, sequence, units):
    """Operators inside the loop at most one level from onnxruntime; C equal in every byte, whatever is chosen."""
    path = saved(tmp_path, recurrent(kind, sequence, units=units, seed=units))
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    found = witness.layers(path, raw)
    assert {f"{kind}.ih", f"{kind}.hh", f"{kind}.h_next"} <= set(found)
    assert max(found.values()) <= 1, found
    expected = reference.run(graph, raw)
    for objective in OBJECTIVES:
        compiled = pipeline.compile_model(path, "host", objective, graph=graph)
        lowered = reference.run(compiled.graph, raw)
        assert all(np.array_equal(expected[port.name], lowered[port.name]) for port in graph.outputs)
        assert verify.verify_board(compiled, raw, expected).mismatches == 0


@pytest.mark.parametrize("board", ["qemu_mps2_an385_m0", "qemu_mps2_an386", "qemu_riscv32_virt"])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_recurrent_networks_are_exact_on_cores(tmp_path, kind, board):
    loaded = boards.load(board)
    for tool in (loaded.compiler.cc, loaded.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    path = saved(tmp_path, recurrent(kind, False, units=6, seed=3))
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    compiled = pipeline.compile_model(path, board, graph=graph)
    result = verify.verify_board(compiled, raw, verify.expected_outputs(graph, raw))
    assert result.mismatches == 0 and result.instructions_per_inference > 0


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(scan.sample), seed=st.integers(0, 2**20))
def test_random_loops_equal_the_reference(tmp_path_factory, graph, seed):
    inputs = inputs_of(graph, seed, samples=2)
    expected = reference.run(graph, inputs)
    compiled = pipeline.compile_graph(
        graph, tmp_path_factory.mktemp("scan") / "scan", "0" * 64, "host", OBJECTIVES[seed % 4], "loop"
    )
    assert verify.verify_board(compiled, inputs, expected).mismatches == 0


def test_reference_equals_the_recurrence_written_out():
    """Each state by hand: the reference called for single nodes, step after step."""
    for seed in range(30):
        graph = scan.sample(Draw.seeded(seed))
        (node,) = graph.nodes
        a = node.attributes
        values = inputs_of(graph, 3 + 4 * seed)
        x = values["x"][:, ::-1] if a.backwards[0] else values["x"]
        h, steps = values["given"] if a.first[0] is None else a.first[0], []
        for t in range(a.steps):
            values = {"h": h, "step_x": x[:, t]}
            for inner in a.body.nodes:
                values[inner.output] = reference.run_node(a.body, inner, [values[name] for name in inner.inputs])
            h = values["next"]
            steps.append([values[port.tensor] for port in a.body.outputs])
        found = []
        for r in a.results:
            of_steps = [outputs[r.output] for outputs in steps]
            found += of_steps[-1:] if not r.sequence else of_steps[::-1] if r.backwards else of_steps
        expected = np.concatenate([part.ravel() for part in found])
        inputs = list(inputs_of(graph, 3 + 4 * seed).values())
        assert np.array_equal(reference.run_node(graph, node, inputs).ravel(), expected)


def test_nothing_takes_the_place_of_a_state_in_the_body():
    for seed in range(30):
        graph = passes.lower(scan.sample(Draw.seeded(seed)), Target("host"), OBJECTIVES[seed % 4])
        body = graph.nodes[0].attributes.body
        memory = plan.plan_body(body)
        slots = {name: slot for slot in memory.slots for name in slot.holds}
        for port in body.inputs:
            held = slots[port.tensor]
            assert held.last == len(body.nodes)
            for slot in memory.slots:
                apart = slot.offset + slot.size <= held.offset or held.offset + held.size <= slot.offset
                assert slot is held or apart
        assert graph.nodes[0].choice.scratch_bytes == memory.arena_bytes


def test_aligned_slices_are_no_copies_and_tables_are_shared(tmp_path):
    compiled = pipeline.compile_model(saved(tmp_path, recurrent("lstm", False, units=8)), "host")
    body: Graph = compiled.graph.nodes[0].attributes.body
    assert [node.op for node in body.nodes].count("section") == 5
    assert "slice" not in {node.op for node in body.nodes}
    constants = compiled.sources()["small_lstm_data.c"]
    assert constants.count("_table[256]") == 3  # one sigmoid, and tanh of two scales


def test_footprint_lists_what_is_inside_a_loop_once(tmp_path):
    path = saved(tmp_path, recurrent("gru", False, steps=7, features=5, units=8))
    compiled = pipeline.compile_model(path, "host")
    layers = {layer["name"]: layer for layer in footprint.layers(compiled.graph)}
    assert layers["gru"]["weights"] == 0 and layers["gru"]["loop"] is None
    ih = layers["gru.ih"]
    assert (ih["weights"], ih["macs"], ih["loop"]) == (24 * 5, 7 * 24 * 5, "gru")
    assert sum(layer["macs"] for layer in layers.values()) == compiled.model.macs == 7 * 24 * (5 + 8) + 3 * 8
    assert sum(layer["weights"] for layer in layers.values()) == compiled.model.weights
    total = sum(node.choice.instructions for node in compiled.graph.nodes)
    assert sum(layer["estimated_instructions"] for layer in layers.values()) == pytest.approx(total, abs=len(layers))


def _several_results(model):
    """The last states beside the sequence, as integers: parts of one tensor, the second not aligned."""
    for name in _scan_node(model).output[:-1]:
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, ["N", 5]))
        q = [f"state_{name[0]}_s", f"state_{name[0]}_z"]
        model.graph.node.append(helper.make_node("DequantizeLinear", [name, *q], [f"{name}_real"]))


def _backwards(model):
    _scan_node(model).attribute.append(helper.make_attribute("scan_input_directions", [1]))


def _both_backwards(model):
    _backwards(model)
    _scan_node(model).attribute.append(helper.make_attribute("scan_output_directions", [1]))


def _uneven_state(model):
    node = _scan_node(model)
    model.graph.initializer.append(numpy_helper.from_array(np.arange(5, dtype=np.uint8)[None] * 50, "uneven"))
    node.input[0] = "uneven"


def _apart(path, graph: Graph, raw) -> dict[str, float]:
    """Levels between the reference and onnxruntime on average, for each output."""
    ours, theirs = reference.run(graph, raw), witness.run(path, graph, raw)
    for port in graph.outputs:
        if port.dtype == "float32":
            theirs[port.name] = vectors.quantize(port, graph, theirs[port.name])
    return {name: np.abs(theirs[name].astype(int) - ours[name]).mean() for name in ours}


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("change", [_several_results, _backwards, _both_backwards, _uneven_state])
def test_loops_in_every_form_agree_three_ways(tmp_path, kind, change):
    """What a direction is follows from the loop forwards, exactly; onnxruntime, one sample at a time, is about as far from it as
    from that, for differences of a level add up over the steps; C equal in every byte."""
    model = recurrent(kind, True, units=5)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    path = saved(tmp_path, model)
    plain = import_onnx.read(path)
    usual = _apart(path, plain, vectors.seeded(plain))["all_dq"]
    change(model)
    path = saved(tmp_path, model)
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    expected = reference.run(graph, raw)
    forwards = {"x": raw["x"][:, ::-1] if change in (_backwards, _both_backwards) else raw["x"]}
    every = reference.run(plain, forwards)["all_dq"]
    every = every[:, ::-1] if change is _both_backwards else every
    assert np.array_equal(every, expected["all_dq"]) == (change is not _uneven_state)
    assert max(_apart(path, graph, raw).values()) < 1.5 * usual + 0.2
    if change is _several_results:
        assert len(graph.outputs) == len(expected) == {"gru": 2, "lstm": 3}[kind]
        assert np.array_equal(expected["h_final"], expected["all_dq"][:, -1])
    for objective in OBJECTIVES:
        compiled = pipeline.compile_model(path, "host", objective, graph=graph)
        assert verify.verify_board(compiled, raw, expected).mismatches == 0


def _moving_scale(model):
    _scan_node(model).attribute[0].g.node[1].input[1] = "x_s"


def _unknown_inside(model):
    body = next(a.g for a in _scan_node(model).attribute if a.name == "body")
    next(n for n in body.node if n.op_type == "Tanh").op_type = "Sinh"


def _scan_node(model):
    return next(n for n in model.graph.node if n.op_type == "Scan")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_moving_scale, "changes its shape or quantisation"),
        (_unknown_inside, "Sinh"),
    ],
)
def test_what_a_loop_cannot_do_is_refused_by_name(tmp_path, change, words):
    model = recurrent("gru", True)
    change(model)
    with pytest.raises(UnsupportedError, match=words):
        import_onnx.read(saved(tmp_path, model))


def test_damaged_loops_never_give_another_exception(tmp_path):
    """Nodes, attributes, inputs and outputs left out or exchanged: one of our errors, or still a graph."""
    draw = random.Random(0)
    whole = [recurrent("gru", True), recurrent("lstm", False)]
    for k in range(200):
        model = onnx.ModelProto.FromString(whole[k % 2].SerializeToString())
        loop = _scan_node(model)
        body = next(a.g for a in loop.attribute if a.name == "body")
        graph = draw.choice([model.graph, body])
        node = draw.choice([*graph.node, loop, loop])
        lists = [graph.node, graph.input, graph.output, node.input, node.output, node.attribute]
        chosen = draw.choice([part for part in lists if len(part)])
        if chosen is node.input and k % 3:
            names = [name for n in (*model.graph.node, *body.node) for name in n.output]
            node.input[draw.randrange(len(node.input))] = draw.choice(names)
        else:
            del chosen[draw.randrange(len(chosen))]
        try:
            import_onnx.read(saved(tmp_path, model))
        except LamellaError:
            pass


def test_a_node_may_have_the_name_of_a_step(tmp_path):
    """The function of a loop's step gets a name that no layer has."""
    model = recurrent("gru", False)
    body = next(a.g for a in _scan_node(model).attribute if a.name == "body")
    next(n for n in body.node if n.op_type == "Tanh").name = "gru_step"
    path = saved(tmp_path, model)
    compiled = pipeline.compile_model(path, "host")
    raw = vectors.seeded(compiled.graph)
    expected = reference.run(import_onnx.read(path), raw)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0
