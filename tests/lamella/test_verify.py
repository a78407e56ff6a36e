"""verify proves equality on every board that runs, and finds a single wrong number in the generated C."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from lamella import boards, pipeline, vectors, verify

RUNNABLE = [name for name in boards.names() if boards.load(name).runner]


#: All objectives on this computer; two on every other board, in turn, so that each is tried on half of them.
OBJECTIVES = [("host", optimize) for optimize in ("flash", "ram", "speed", "balanced")] + [
    (board, optimize)
    for k, board in enumerate(name for name in RUNNABLE if name != "host")
    for optimize in (("flash", "speed"), ("ram", "balanced"))[k % 2]
]


@pytest.mark.parametrize(("board", "optimize"), OBJECTIVES)
def test_every_board_computes_what_pytorch_computes(model_path, board, optimize):
    compiled = pipeline.compile_model(model_path, board, optimize)
    raw = vectors.seeded(compiled.graph)
    result = verify.verify_board(compiled, raw, verify.expected_outputs(compiled.graph, raw))
    assert (result.vectors, result.mismatches, result.first_divergent_layer) == (18, 0, None)


def changed(text: str, array: str) -> str:
    """One number of an array in the generated C, changed."""
    head, body = text.split(f"{array}[", 1)
    at = body.index("{")
    return head + f"{array}[" + body[:at] + re.sub(r"(0x[0-9a-f]+|-?\d+)", _other, body[at:], count=1)


def _other(match: re.Match) -> str:
    value = int(match.group(), 0)
    return str(value ^ 64 if value < 256 else value // 2)


@pytest.mark.parametrize(
    ("array", "layer"),
    [
        ("conv2_weights", "conv2"),
        ("conv1_bias", "conv1"),
        ("fc2_bias", "fc2"),
        ("conv2_multiplier", "conv2"),
        ("fc1_weights", "fc1"),
        ("fc2_weights", "fc2"),
    ],
)
@pytest.mark.parametrize("board", ["host", "qemu_mps2_an386"])
def test_one_changed_number_is_found_and_its_layer_named(model_path, lamella, tmp_path, board, array, layer):
    folder = tmp_path / "fw"
    assert lamella("generate", model_path, "--board", board, "--out", folder, "--quiet")[0] == 0
    data = folder / "model" / "small_net_data.c"
    before = data.read_text()
    data.write_text(changed(before, f"small_net_{array}"))
    assert data.read_text() != before
    code, out, _ = lamella("verify", model_path, "--board", board, "--firmware", folder, "--json", "-")
    report = json.loads(out)
    assert code == 1 and report["bit_exact"] is False
    assert report["boards"][0]["mismatches"] > 0
    assert report["boards"][0]["first_divergent_layer"] == layer
    data.write_text(before)
    assert lamella("verify", model_path, "--board", board, "--firmware", folder, "--quiet")[0] == 0


def test_instructions_and_stack_are_the_same_every_time(model_path):
    compiled = pipeline.compile_model(model_path, "qemu_microbit")
    raw = vectors.seeded(compiled.graph)
    expected = verify.expected_outputs(compiled.graph, raw)
    one, two = (verify.verify_board(compiled, raw, expected) for _ in range(2))
    assert one == two
    assert one.instructions_per_inference > 10_000 and one.stack_bytes > 50


def test_outputs_are_those_of_onnxruntime_within_a_level_per_layer(model_path):
    from lamella import witness

    graph = pipeline.read_graph(model_path)
    assert max(witness.layers(model_path, vectors.seeded(graph)).values()) <= 1


def test_run_writes_what_the_graph_says(model_path, lamella, tmp_path):
    """Y.npz holds the float output and the raw integers; onnxruntime agrees within a level."""
    import onnxruntime

    x = np.random.default_rng(1).uniform(0, 1, (7, 1, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    results = []
    for board in ("host", "qemu_mps2_an505"):
        code, out, _ = lamella(
            "run",
            model_path,
            "--board",
            board,
            "--inputs",
            tmp_path / "x.npz",
            "--outputs",
            tmp_path / "y.npz",
            "--json",
            "-",
        )
        facts = json.loads(out)
        assert code == 0 and facts["samples"] == 7 and facts["board"] == board
        with np.load(tmp_path / "y.npz") as data:
            assert sorted(data.files) == ["y", "y__q"]
            assert data["y"].dtype == np.float32 and data["y__q"].dtype == np.uint8 and data["y"].shape == (7, 5)
            assert np.array_equal(data["y"], (data["y__q"].astype(np.float32) - 128) * np.float32(0.5))
            results.append(data["y__q"])
    assert np.array_equal(*results)
    theirs = onnxruntime.InferenceSession(str(model_path)).run(None, {"x": x})[0]
    assert np.abs(theirs / 0.5 + 128 - results[0]).max() <= 2


def test_signed_models_equal_unsigned_ones(tmp_path, lamella):
    """int8 at the edge is uint8 + 128 inside."""
    import onnx
    from small_model import small_model

    for signed in (False, True):
        onnx.save(small_model(signed=signed), tmp_path / f"{signed}.onnx")
    raw = {}
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(2).uniform(0, 1, (3, 1, 12, 12)).astype(np.float32))
    for signed in (False, True):
        assert (
            lamella(
                "run",
                tmp_path / f"{signed}.onnx",
                "--board",
                "host",
                "--inputs",
                tmp_path / "x.npz",
                "--outputs",
                tmp_path / "y.npz",
                "--quiet",
            )[0]
            == 0
        )
        with np.load(tmp_path / "y.npz") as data:
            raw[signed] = data["y__q"]
    assert raw[True].dtype == np.int8
    assert np.array_equal(raw[True].astype(int) + 128, raw[False])


def test_verify_json_has_the_keys_of_the_contract(model_path, lamella, tmp_path):
    path = tmp_path / "v.json"
    assert lamella("verify", model_path, "--board", "host", "--json", path, "--quiet")[:2] == (0, "")
    report = json.loads(path.read_text())
    assert set(report) >= {"model", "bit_exact", "boards", "onnxruntime"}
    assert set(report["boards"][0]) >= {
        "board",
        "vectors",
        "mismatches",
        "first_divergent_layer",
        "instructions_per_inference",
    }
    assert set(report["onnxruntime"]) >= {"max_level_difference", "equal_fraction", "top1_agreement"}


def test_sanitizers_find_nothing_in_the_generated_code(model_path):
    """The whole network on the host under AddressSanitizer and UndefinedBehaviorSanitizer."""
    from lamella import programs

    for optimize in ("flash", "speed"):
        compiled = pipeline.compile_model(model_path, "host", optimize)
        raw = vectors.seeded(compiled.graph)
        program = programs.harness_program(compiled, sanitize=True)
        result = programs.run(compiled, program, raw)
        expected = verify.expected_outputs(compiled.graph, raw)
        assert not programs.first_difference(compiled.graph, expected, result.outputs).any()


def test_tflite_files_have_a_second_witness(lamella, tmp_path, model_path):
    """TensorFlow Lite Micro is asked for TFLite files, layer by layer, and for no others."""
    models = Path(__file__).parents[1] / "models"
    for path in (models / "mlperf_tiny_dscnn_kws_int8.tflite", models / "mlperf_tiny_resnet8_cifar10_int8.tflite"):
        code, found, _ = lamella("verify", path, "--board", "host", "--limit", 3, "--json", "-", "--quiet")
        witness = json.loads(found)["tflite_micro"]
        assert code == 0 and len(witness["layers"]) >= 12 and witness["max_layer_difference"] == 1
    assert (
        json.loads(lamella("verify", model_path, "--board", "host", "--json", "-", "--quiet")[1])["tflite_micro"]
        is None
    )


@pytest.mark.parametrize("board", ["host", "qemu_microbit", "qemu_mps2_an386"])
def test_rounding_as_tensorflow_lite_micro_gives_its_bytes(lamella, board):
    """--arithmetic tflite: every layer and every output equal; smaller networks and more cores in
    tests/codegen/test_tflite_operators.py."""
    models = Path(__file__).parents[1] / "models"
    for path in (models / "mlperf_tiny_dscnn_kws_int8.tflite", models / "mlperf_tiny_resnet8_cifar10_int8.tflite"):
        if board == "qemu_microbit" and "resnet8" in path.name:
            continue  # larger than the board
        arguments = ["--board", board, "--arithmetic", "tflite", "--limit", 2, "--json", "-", "--quiet"]
        code, found, _ = lamella("verify", path, *arguments)
        witness = json.loads(found)["tflite_micro"]
        assert (code, witness["max_level_difference"], witness["max_layer_difference"]) == (0, 0, 0)


def test_rounding_as_tensorflow_lite_micro_is_for_its_files(lamella, model_path):
    code, _, err = lamella("verify", model_path, "--board", "host", "--arithmetic", "tflite")
    assert code == 2 and "not a TFLite file" in err
