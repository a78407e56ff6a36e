"""States carried from call to call: the stream is the network over the whole sequence, on every board, in every instance."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import streaming_models as models
from recurrent_models import Builder, recurrent
from tflite_file import File

from lamella import cli, firmware, footprint, pipeline, programs, vectors, verify, witness, witness_tflite
from lamella.codegen import states
from lamella.codegen.ir import Graph

BOARDS = ["host", "qemu_mps2_an386", "qemu_riscv32_virt"]
CASES = {
    "causal": (lambda: models.causal(4), models.CAUSAL_STATES),
    "gru": (lambda: models.gru(seen=False), {"h_in": "h_out"}),
    "gru_seen": (lambda: models.gru(seen=True), {"h_in": "h_out"}),
    "exchange": (models.exchange, models.EXCHANGE_STATES),
    "corners": (models.corners, models.CORNER_STATES),
}


@pytest.fixture
def lamella(capsys):
    """lamella(*args) -> (exit code, standard output, standard error)."""

    def run(*args):
        code = cli.main([str(a) for a in args])
        return (code, *capsys.readouterr())

    return run


def written(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def read(path: Path, pairs: dict[str, str], first: dict | None = None) -> Graph:
    return states.carry(pipeline.read_graph(path), pairs, first)


def options(pairs: dict[str, str]) -> list[str]:
    return [word for x, y in pairs.items() for word in ("--state", f"{x}={y}")]


def on_host(path: Path, graph: Graph, raw: dict) -> dict[str, np.ndarray]:
    """Outputs of the C with sanitizers."""
    compiled = pipeline.compile_model(path, "host", graph=graph)
    return programs.run(compiled, programs.harness_program(compiled, sanitize=True), raw).outputs


@pytest.mark.parametrize("optimize", ["balanced", "ram"])
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("case", CASES)
def test_every_call_of_a_stream_is_what_the_reference_computes(tmp_path, case, board, optimize):
    make, pairs = CASES[case]
    path = written(make(), tmp_path)
    graph = read(path, pairs)
    raw = vectors.seeded(graph)
    compiled = pipeline.compile_model(path, board, optimize, graph=graph)
    result = verify.verify_board(compiled, raw, verify.expected_outputs(graph, raw))
    assert (result.vectors, result.mismatches) == (18, 0)
    assert (result.instructions_per_inference is None) == (board == "host")


@pytest.mark.parametrize("frame", [1, 2, 4])
def test_causal_convolutions_by_frames_are_those_over_the_sequence(tmp_path, frame):
    calls = 12 // frame
    whole = written(models.causal(None, steps=12), tmp_path)
    x = np.random.default_rng(1).integers(0, 256, (1, 4, 12), dtype=np.uint8)
    (expected,) = verify.expected_outputs(pipeline.read_graph(whole), {"x": x}).values()
    path = written(models.causal(frame), tmp_path)
    frames = np.ascontiguousarray(x.reshape(4, calls, frame).transpose(1, 0, 2))
    (got,) = on_host(path, read(path, models.CAUSAL_STATES), {"x": frames}).values()
    assert np.array_equal(got.transpose(1, 0, 2).reshape(1, 3, 12), expected)


def test_gru_step_by_step_is_the_loop_over_the_sequence(tmp_path):
    whole = written(recurrent("gru", sequence=True, steps=9), tmp_path)
    x = np.random.default_rng(2).integers(0, 256, (1, 9, 5), dtype=np.uint8)
    (expected,) = verify.expected_outputs(pipeline.read_graph(whole), {"x": x}).values()
    path = written(models.gru(seen=True), tmp_path)
    got = on_host(path, read(path, {"h_in": "h_out"}), {"x": x[0]})
    assert np.array_equal(got["h"], expected[0])
    assert len(np.unique(expected[0], axis=0)) > 5


def test_states_that_change_places_are_all_taken_before_one_is_written(tmp_path):
    path = written(models.exchange(), tmp_path)
    a, b = (np.full((1, 5), level, np.uint8) for level in (150, 100))
    graph = read(path, {"a_in": "a_out", "b_in": "b_out", "last_in": "last_out"}, {"a_in": a, "b_in": b})
    x = np.full((4, 5), 128, np.uint8)
    (got,) = on_host(path, graph, {"x": x}).values()
    (expected,) = verify.expected_outputs(graph, {"x": x}).values()
    assert np.array_equal(got, expected)
    assert np.array_equal(got[0], got[2]) and np.array_equal(got[1], got[3]) and (got[0] > got[1]).all()


def test_a_state_lies_in_its_block_alone_where_nothing_else_wants_it(tmp_path):
    """The arena then has no room for it, neither for the old nor for the new value."""
    path = written(models.gru(seen=False), tmp_path)
    compiled = pipeline.compile_model(path, "host", graph=read(path, {"h_in": "h_out"}))
    (state,) = compiled.model.states
    assert (state.copied_to, state.copied_from, compiled.model.state_bytes) == (None, None, 8)
    carried_by_caller = pipeline.compile_model(path, "host")
    assert compiled.plan.arena_bytes < carried_by_caller.plan.arena_bytes


def test_a_state_is_copied_only_where_its_place_is_still_wanted(tmp_path):
    path = written(models.corners(), tmp_path)
    compiled = pipeline.compile_model(path, "host", graph=read(path, models.CORNER_STATES))
    copied = {s.before: (s.copied_to is not None, s.copied_from is not None) for s in compiled.model.states}
    assert copied == {
        "total_in": (False, False),  # the sum works in place
        "ring_in": (False, True),  # read by what makes the next one
        "kept_in": (True, True),  # goes out as it came
        "late_in": (False, True),  # read after the next one is there
    }
    raw = vectors.seeded(compiled.graph)
    got = on_host(path, read(path, models.CORNER_STATES), raw)
    assert np.array_equal(*(next(iter(v.values())) for v in (got, verify.expected_outputs(compiled.graph, raw))))


def test_onnxruntime_carries_the_states_too(tmp_path):
    path = written(models.causal(4), tmp_path)
    graph = read(path, models.CAUSAL_STATES)
    raw = vectors.seeded(graph)
    found = witness.compare(path, graph, raw, verify.expected_outputs(graph, raw))
    assert found["max_layer_difference"] <= 1 and found["max_level_difference"] <= 3
    without = witness.run(path, graph, {name: array[5:] for name, array in raw.items()})
    y = graph.caller_outputs[0].name
    assert not np.array_equal(witness.run(path, graph, raw)[y][5:], without[y])


def test_first_divergent_layer_is_found_in_a_later_call(tmp_path):
    path = written(models.causal(4), tmp_path)
    graph = read(path, models.CAUSAL_STATES)
    compiled = pipeline.compile_model(path, "host", graph=graph)
    sources = compiled.sources()
    name = f"{compiled.model.name}.c"
    # The second convolution's past begins with another value, so that only the first call is wrong.
    wrong = re.sub(r"(memset\(s \+ \d+, )0,", r"\g<1>9,", sources[name])
    assert wrong != sources[name]
    raw = vectors.seeded(graph)
    result = verify.verify_board(compiled, raw, verify.expected_outputs(graph, raw), {**sources, name: wrong})
    assert result.mismatches == 1 and "window_conv_2" in result.first_divergent_layer


@pytest.mark.parametrize("board", ["host", "qemu_microbit"])
def test_generated_folder_runs_a_stream_in_its_selftest(tmp_path, lamella, board):
    path = written(models.causal(4), tmp_path)
    folder = tmp_path / "fw"
    code, _, err = lamella(
        "generate", path, *options(models.CAUSAL_STATES), "--board", board, "--out", folder, "--quiet"
    )
    assert code == 0, err
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    if board == "host":
        assert subprocess.run([folder / "build" / "causal"], timeout=60).returncode == 0
    assert "causal_reset(state);" in (folder / "README.md").read_text()
    assert "VECTORS 4" in (folder / "model" / "causal_selftest.c").read_text()


MAIN = """
#include <string.h>
#include "NAME.h"
static uint32_t arena[(UPPER_ARENA_BYTES + 3u) / 4u], one[UPPER_STATE_BYTES / 4u], two[UPPER_STATE_BYTES / 4u];
static uint8_t in[2][6][UPPER_INPUT_BYTES], alone[2][6][UPPER_OUTPUT_BYTES], out[UPPER_OUTPUT_BYTES];
int main(void)
{
    uint32_t *const states[2] = {one, two};
    for (unsigned s = 0; s < 2; s++) {
        if (NAME_reset(states[s]) != 0) { return 10; }
        for (unsigned t = 0; t < 6; t++) {
            for (unsigned i = 0; i < UPPER_INPUT_BYTES; i++) { in[s][t][i] = (uint8_t)(31u * i + 77u * t + 131u * s); }
            if (NAME_run(arena, states[s], in[s][t], alone[s][t]) != 0) { return 11; }
        }
    }
    if (memcmp(alone[0][5], alone[1][5], sizeof out) == 0) { return 12; }
    for (unsigned s = 0; s < 2; s++) { NAME_reset(states[s]); }
    for (unsigned t = 0; t < 6; t++) {
        for (unsigned s = 0; s < 2; s++) {
            memset(arena, 0xa5, sizeof arena); /* between two runs it may serve other purposes */
            if (NAME_run(arena, states[s], in[s][t], out) != 0) { return 13; }
            if (memcmp(out, alone[s][t], sizeof out) != 0) { return 14; }
        }
    }
    if (NAME_reset(NULL) != 1 || NAME_reset((uint8_t *)one + 1) != 1) { return 15; }
    if (NAME_run(arena, NULL, in[0][0], out) != 1 || NAME_run(arena, (uint8_t *)one + 2, in[0][0], out) != 1) { return 16; }
    return NAME_selftest(arena, one);
}
"""


@pytest.mark.parametrize("case", ["causal", "gru", "exchange", "corners"])
def test_streams_side_by_side_do_not_disturb_each_other(tmp_path, case):
    make, pairs = CASES[case]
    path = written(make(), tmp_path)
    compiled = pipeline.compile_model(path, "host", graph=read(path, pairs))
    files = firmware.folder_files(compiled)
    firmware.write_folder(tmp_path / "fw", files)
    name = compiled.model.name
    (tmp_path / "main.c").write_text(MAIN.replace("NAME", name).replace("UPPER", name.upper()))
    sources = [str(tmp_path / "fw" / f) for f in files if f.endswith(".c") and f.startswith(("model/", "runtime/"))]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fsanitize=address,undefined"]
    places = [f"-I{tmp_path}/fw/{part}" for part in ("model", "runtime")]
    subprocess.run(
        ["gcc", *flags, *places, *sources, str(tmp_path / "main.c"), "-o", str(tmp_path / "main")], check=True
    )
    assert subprocess.run([tmp_path / "main"], timeout=60).returncode == 0


def test_run_takes_the_samples_as_calls_of_one_stream(tmp_path, lamella):
    path = written(models.gru(seen=True), tmp_path)
    x = np.random.default_rng(3).uniform(-3, 3, (6, 5)).astype(np.float32)
    found = []
    for board in ("host", "qemu_mps2_an386"):
        np.savez(tmp_path / "x.npz", x=x)
        where = ["--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz", "--json", "-"]
        code, out, err = lamella("run", path, "--state", "h_in=h_out", "--board", board, *where)
        assert code == 0 and json.loads(out)["samples"] == 6, err
        with np.load(tmp_path / "y.npz") as data:
            assert "h_out" not in data.files
            found.append(data["h__q"])
    assert np.array_equal(*found)
    first = {"h_in": found[0][2:3]}
    graph = read(path, {"h_in": "h_out"}, first)
    raw = {"x": vectors.quantize(graph.caller_inputs[0], graph, x[3:])}
    assert np.array_equal(verify.expected_outputs(graph, raw)["h"], found[0][3:])


def test_first_states_come_from_a_file(tmp_path, lamella):
    path = written(models.gru(seen=False), tmp_path)
    np.savez(tmp_path / "first.npz", h_in=np.linspace(-0.9, 0.9, 8, dtype=np.float32)[None])
    how = [path, "--state", "h_in=h_out", "--first-states", tmp_path / "first.npz"]
    code, out, err = lamella("verify", *how, "--board", "host", "--board", "qemu_mps2_an505", "--json", "-")
    assert code == 0 and json.loads(out)["bit_exact"], err
    np.savez(tmp_path / "first.npz", h=np.zeros((1, 8), np.float32))
    code, _, err = lamella("analyze", *how)
    assert code == 2 and "['h']" in err


def test_footprint_counts_the_state_in_static_ram(tmp_path):
    path = written(models.causal(4), tmp_path)
    compiled = pipeline.compile_model(path, "qemu_mps2_an386", graph=read(path, models.CAUSAL_STATES))
    entry = footprint.measure(compiled)
    ram = entry["ram"]
    assert ram["state_in_static"] == 8 + 12 <= ram["static"]
    assert ram["total"] == ram["arena"] + ram["static"] + ram["stack"]
    assert ram["arena"] == compiled.plan.arena_bytes
    counted = entry["layer_instructions"]
    assert sum(counted.values()) == pytest.approx(entry["instructions_per_inference"], rel=0.02)


WRONG = {
    "no sign": (["h_in"], 2, "INPUT=OUTPUT"),
    "no such input": (["h=h_out"], 2, "no input 'h'"),
    "no such output": (["h_in=h"], 2, "no output 'h'"),
    "twice": (["h_in=h_out", "h_in=h_out"], 2, "a state already"),
    "another shape": (["h_in=scores_q_dq"], 3, "shape"),
    "not even the axes": (["x=h_out"], 3, "shape"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_state_is_refused_in_one_line(tmp_path, lamella, case):
    texts, expected, words = WRONG[case]
    path = written(models.gru(seen=False), tmp_path)
    code, out, err = lamella("analyze", path, *(word for text in texts for word in ("--state", text)))
    assert code == expected and words in err and err.count("\n") == 1 and not out


def test_a_state_quantised_in_two_ways_is_refused_with_the_remedy(tmp_path, lamella):
    model = models.gru(seen=False)
    for tensor in model.graph.initializer:
        if tensor.name == "h_next_s":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(1 / 100), tensor.name))
    path = written(model, tmp_path)
    code, _, err = lamella("verify", path, "--state", "h_in=h_out", "--board", "host")
    assert code == 3 and "'h_in' has scale 0.0078125, zero point 128" in err and "'h_out' scale 0.00999" in err
    assert "one scale and zero point" in err


def test_nothing_left_for_the_caller_is_refused(tmp_path, lamella):
    b = Builder({})
    value = b.node("Identity", [b.quantize("x", *models.X)[1]], "y")
    path = written(models.model(b, {"x": (3,)}, {value: (3,)}, "same"), tmp_path)
    code, _, err = lamella("analyze", path, "--state", "x=y")
    assert code == 2 and "nothing is left" in err


def test_tflite_micro_carries_the_states_too(tmp_path):
    """In its arithmetic every byte of a stream is its own."""
    rng, f = np.random.default_rng(4), File()
    x, h = f.tensor((1, 6), 0.05, 3), f.tensor((1, 8), 0.05, 3)
    both, after, y = f.tensor((1, 14), 0.05, 3), f.tensor((1, 8), 0.05, 3), f.tensor((1, 4), 0.1, -5)
    f.op("CONCATENATION", [x, h], [both], "ConcatenationOptions", Axis=1)
    for source, result, shape in ((both, after, (8, 14)), (after, y, (4, 8))):
        weights = f.constant(rng.integers(-127, 128, shape), "int8", 0.006)
        bias = f.constant(rng.integers(-900, 900, shape[0]), "int32", 0.05 * 0.006)
        f.op("FULLY_CONNECTED", [source, weights, bias], [result], "FullyConnectedOptions")
    path = tmp_path / "model.tflite"
    f.write(path, [x, h], [y, after])
    graph = pipeline.read_graph(path, arithmetic="tflite")
    graph = states.carry(graph, {graph.inputs[1].name: graph.outputs[1].name})
    raw = vectors.seeded(graph)
    expected = verify.expected_outputs(graph, raw)
    found = witness_tflite.compare(path, graph, raw, expected)
    assert found["equal_fraction"] == 1.0 and found["max_layer_difference"] == 0
    compiled = pipeline.compile_model(path, "host", graph=graph)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0
    (values,) = expected.values()
    assert len(np.unique(values, axis=0)) > 10
