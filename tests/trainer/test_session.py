"""`lamella train` and `lamella compress`: files, exit codes, resuming after a kill."""

import csv
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from lamella import cli, deployed, footprint, pipeline
from lamella.formats import formats
from lamella.trainer.sizes import smallest_format

HERE = Path(__file__).parent
#: The modules of the tests, importable by name from a process of its own.
BOOT = f"""
import importlib.util, sys
for name in ("lamella_tests", "lamella_tests.conftest", "lamella_tests.toy"):
    file = {str(HERE)!r} + ("/__init__.py" if name == "lamella_tests" else "/" + name.rpartition(".")[2] + ".py")
    places = [{str(HERE)!r}] if name == "lamella_tests" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
"""
RECIPE = """
[network]
name = "lamella_tests.toy:network"
[data]
name = "lamella_tests.toy:load"
validation = 128
[train]
epochs = 3
batch_size = 32
learning_rate = 0.05
[compress]
max_drop = 50.0
sparsity = 0.6
learning_rate = 0.02
final_epochs = 1
"""


@pytest.fixture(scope="module", autouse=True)
def toy_modules():
    """Makes lamella_tests.toy importable here too."""
    exec(BOOT, {})  # noqa: S102
    yield
    for name in [n for n in sys.modules if n.startswith("lamella_tests")]:
        del sys.modules[name]


def recipe_in(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "toy.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, toy_modules):
    """The folder of a whole run."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert cli.main(["train", str(recipe_in(folder)), "--out", str(folder / "out"), "--quiet"]) == 0
    return folder / "out"


def test_metrics_have_the_keys_of_the_contract(unbroken):
    metrics = json.loads((unbroken / "metrics.json").read_text())
    for key in (
        "float_accuracy",
        "accuracy",
        "drop",
        "validation_drop",
        "max_drop",
        "layers",
        "compression_vs_float32",
    ):
        assert key in metrics
    assert metrics["epochs"] == 3 + 1 + 4 + 1
    assert metrics["seconds"] > 0 and metrics["test_samples"] == 128
    assert metrics["drop"] == pytest.approx(100 * (metrics["float_accuracy"] - metrics["accuracy"]))
    wanted = {"name", "format", "sparsity", "density", "weights", "bytes", "order", "accepted"}
    assert all(wanted <= layer.keys() for layer in metrics["layers"])
    assert [layer["name"] for layer in metrics["layers"]] == ["conv1", "conv2", "fc1", "fc2"]
    weights, size = (sum(layer[key] for layer in metrics["layers"]) for key in ("weights", "bytes"))
    assert metrics["compression_vs_float32"] == pytest.approx(4 * weights / size)
    assert metrics["onnxruntime"]["max_level_difference"] <= 4


def test_bytes_of_a_layer_are_its_levels_packed_in_its_format(unbroken):
    arrays = {i.name: numpy_helper.to_array(i) for i in onnx.load(unbroken / "model.onnx").graph.initializer}
    metrics = json.loads((unbroken / "metrics.json").read_text())
    for layer in metrics["layers"]:
        levels = arrays[layer["name"] + ".weight_levels"]
        rows = levels.reshape(len(levels), -1).astype(np.int16)
        assert layer["bytes"] == len(formats()[layer["format"]].pack(rows))
        assert layer["density"] == pytest.approx((levels != 0).mean())
    assert metrics["weight_bytes"] == sum(layer["bytes"] for layer in metrics["layers"])
    assert metrics["smallest"]["weight_bytes"] <= metrics["weight_bytes"]


@pytest.mark.parametrize("largest", [1, 5, 127])
def test_smallest_format_is_the_least_of_those_that_fit(largest):
    levels = np.random.default_rng(0).integers(-largest, largest + 1, (6, 40)).astype(np.int8)
    rows = levels.astype(np.int16)
    sizes = {name: len(f.pack(rows)) for name, f in formats().items() if f.fits(rows)}
    name, size = smallest_format(levels)
    assert size == sizes[name] == min(sizes.values())


def test_json_goes_to_standard_output_alone(tmp_path, capsys):
    text = RECIPE.replace("epochs = 3", "epochs = 1").replace("final_epochs = 1", "layer_epochs = 0")
    assert cli.main(["train", str(recipe_in(tmp_path, text)), "--out", str(tmp_path / "o"), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "o" / "metrics.json").read_text())


def test_a_broken_bound_exits_with_1(tmp_path):
    text = RECIPE.replace("sparsity = 0.6", "sparsity = 0.97\nlayer_epochs = 0\nprune_epochs = 0")
    text = text.replace("final_epochs = 1", "final_epochs = 0")
    args = ["train", str(recipe_in(tmp_path, text)), "--out", str(tmp_path / "o"), "--max-drop", "0", "--quiet"]
    assert cli.main(args) == 1
    metrics = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert metrics["validation_drop"] > metrics["max_drop"] == 0.0


def test_compress_starts_from_a_float_checkpoint(unbroken, tmp_path):
    args = [
        "compress",
        str(unbroken / "float.pt"),
        "--recipe",
        str(recipe_in(tmp_path)),
        "--out",
        str(tmp_path / "o"),
        "--quiet",
    ]
    assert cli.main(args) == 0
    # Same baseline, same compression.
    assert (tmp_path / "o" / "model.onnx").read_bytes() == (unbroken / "model.onnx").read_bytes()
    assert json.loads((tmp_path / "o" / "metrics.json").read_text())["epochs"] == 6


@pytest.mark.parametrize("killed_after", ["first epoch", "float.pt", "first layer"])
def test_a_killed_run_resumes_to_the_same_file(unbroken, tmp_path, killed_after):
    out = tmp_path / "out"
    args = ["train", str(recipe_in(tmp_path)), "--out", str(out)]
    code = f"{BOOT}\nfrom lamella import cli\nraise SystemExit(cli.main({args!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    if killed_after == "first layer":
        assert any("collapsed" in line for line in process.stdout)
    else:
        deadline = time.monotonic() + 60
        awaited = out / ("float.pt" if killed_after == "float.pt" else "checkpoint.pt")
        while not awaited.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (out / "model.onnx").exists()
    assert cli.main([*args, "--resume", "--quiet"]) == 0
    assert (out / "model.onnx").read_bytes() == (unbroken / "model.onnx").read_bytes()
    ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (out, unbroken))
    assert ours.pop("seconds") > 0 and theirs.pop("seconds") > 0
    assert ours == theirs


def fails(args: list[str], code: int, said: str, capsys) -> None:
    assert cli.main(args) == code
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_resuming_another_recipe_is_refused(unbroken, tmp_path, capsys):
    path = recipe_in(tmp_path)
    fails(
        ["train", str(path), "--out", str(unbroken), "--resume", "--sparsity", "0.7"],
        2,
        "[compress] sparsity = 0.6",
        capsys,
    )
    fails(["train", str(path), "--out", str(tmp_path / "none"), "--resume"], 2, "start without --resume", capsys)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "checkpoint.pt").write_bytes(b"no checkpoint at all")
    fails(["train", str(path), "--out", str(tmp_path / "bad"), "--resume"], 2, "cannot be read as a checkpoint", capsys)
    # A finished run may be resumed: nothing is left to do.
    assert cli.main(["train", str(path), "--out", str(unbroken), "--resume", "--quiet"]) == 0


def test_checkpoints_of_other_networks_are_refused(unbroken, tmp_path, capsys):
    path = recipe_in(tmp_path)
    state = torch.load(unbroken / "float.pt", weights_only=True)
    other = tmp_path / "other.pt"
    for change, said in (
        ({"fc2.weight": torch.zeros(5, 24)}, "fc2.weight has shape (5, 24)"),
        ({"extra.weight": torch.zeros(1)}, "'extra.weight'"),
        ({"fc1.bias": torch.full((24,), float("nan"))}, "NaN"),
    ):
        torch.save({**state, **change}, other)
        fails(["compress", str(other), "--recipe", str(path), "--out", str(tmp_path / "o")], 2, said, capsys)
    torch.save({k: v for k, v in state.items() if k != "fc1.bias"}, other)
    fails(["compress", str(other), "--recipe", str(path), "--out", str(tmp_path / "o")], 2, "has no 'fc1.bias'", capsys)
    fails(
        ["compress", str(tmp_path / "no.pt"), "--recipe", str(path), "--out", str(tmp_path / "o")],
        2,
        "no such checkpoint",
        capsys,
    )


def test_divergence_exits_with_4_and_keeps_the_last_checkpoint(unbroken, tmp_path, capsys):
    text = RECIPE.replace("learning_rate = 0.02", "learning_rate = 1e30")
    fails(["train", str(recipe_in(tmp_path, text)), "--out", str(tmp_path / "o")], 4, "learning rate", capsys)
    kept = torch.load(tmp_path / "o" / "checkpoint.pt", weights_only=True)
    for key, value in torch.load(unbroken / "float.pt", weights_only=True).items():
        assert torch.equal(kept["float"][key], value)


def test_bad_inputs_exit_with_2(tmp_path, capsys):
    out = ["--out", str(tmp_path / "o")]
    fails(["train", str(recipe_in(tmp_path, RECIPE.replace("toy:load", "toy:broken"))), *out], 2, "NaN", capsys)
    fails(
        ["train", str(recipe_in(tmp_path, RECIPE.replace("toy:load", "toy:nothing"))), *out], 2, "toy:nothing", capsys
    )
    fails(
        ["train", str(recipe_in(tmp_path, RECIPE.replace("validation = 128", "validation = 640"))), *out],
        2,
        "640",
        capsys,
    )
    fails(["train", str(recipe_in(tmp_path, RECIPE.replace("sparsity", "sparsty"))), *out], 2, "sparsity", capsys)
    fails(["train", str(recipe_in(tmp_path)), "--sparsity", "2", *out], 2, "sparsity = 2", capsys)
    fails(["train", str(tmp_path / "none.toml"), *out], 2, "no such recipe", capsys)


def test_a_missing_data_set_exits_with_4_and_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LAMELLA_DATA", raising=False)
    text = RECIPE.replace("lamella_tests.toy:load", "mnist")
    fails(["train", str(recipe_in(tmp_path, text)), "--out", str(tmp_path / "o")], 4, "--data", capsys)


def test_recipes_are_read_without_torch():
    code = "import sys, lamella.trainer.recipe, lamella.commands.train; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert importlib.util.find_spec("torch") is not None


@pytest.mark.parametrize("board", ["host", "qemu_microbit"])
def test_trained_module_graph_and_c_agree_in_every_byte(unbroken, tmp_path, board):
    """By the command line alone: vectors writes what the trained module computes, verify compares all three ways."""
    recipe, x, y = recipe_in(tmp_path), tmp_path / "x.npz", tmp_path / "y.npz"
    assert (
        cli.main(["vectors", str(recipe), "--run", str(unbroken), "--inputs", str(x), "--outputs", str(y), "--quiet"])
        == 0
    )
    report = tmp_path / "verify.json"
    arguments = ["verify", str(unbroken / "model.onnx"), "--board", board, "--inputs", str(x), "--expect", str(y)]
    assert cli.main([*arguments, "--json", str(report), "--quiet"]) == 0
    facts = json.loads(report.read_text())
    assert facts["expected_mismatches"] == 0 and facts["boards"][0]["vectors"] == 128


def test_another_modules_outputs_do_not_pass(unbroken, tmp_path):
    """One wrong byte in what is expected is a failure."""
    import numpy as np

    recipe, x, y = recipe_in(tmp_path), tmp_path / "x.npz", tmp_path / "y.npz"
    assert (
        cli.main(["vectors", str(recipe), "--run", str(unbroken), "--inputs", str(x), "--outputs", str(y), "--quiet"])
        == 0
    )
    with np.load(y) as data:
        wrong = {name: data[name].copy() for name in data.files}
    next(iter(wrong.values()))[5, 1] ^= 1
    np.savez(y, **wrong)
    arguments = ["verify", str(unbroken / "model.onnx"), "--board", "host", "--inputs", str(x), "--expect", str(y)]
    assert cli.main([*arguments, "--quiet"]) == 1


def test_vectors_without_a_training_says_so(tmp_path, capsys):
    recipe = recipe_in(tmp_path)
    arguments = ["vectors", str(recipe), "--run", str(tmp_path / "none"), "--inputs", str(tmp_path / "x.npz")]
    assert cli.main([*arguments, "--outputs", str(tmp_path / "y.npz"), "--quiet"]) == 2
    assert "lamella train" in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_the_log_has_every_epoch_and_every_network(unbroken):
    with (unbroken / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [row for row in rows if row["loss"]]
    assert [int(row["epoch"]) for row in epochs if row["phase"] == "float baseline"] == [1, 2, 3]
    losses = [float(row["loss"]) for row in epochs]
    assert losses[2] < losses[0] and all(float(row["learning_rate"]) > 0 for row in epochs)
    points = json.loads((unbroken / "metrics.json").read_text())["points"]
    measured = [(row["phase"], int(row["bytes"]), float(row["accuracy"])) for row in rows if row["bytes"]]
    assert measured == [(p["what"], p["bytes"], pytest.approx(p["accuracy"], rel=1e-5)) for p in points]
    assert len(measured) + len(epochs) == len(rows)


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
def test_a_budget_of_flash_is_that_of_the_firmware(tmp_path, unbroken):
    board = ["--board", "qemu_mps2_an386"]
    start = deployed.flash_bytes(unbroken / "model.onnx", board[1], "balanced")
    recipe = recipe_in(tmp_path, RECIPE + 'ladder = ["sparse", "int4"]\nlayer_epochs = 0\n')
    common = ["compress", str(unbroken / "float.pt"), "--recipe", str(recipe), *board, "--quiet"]
    assert cli.main([*common, "--out", str(tmp_path / "a"), "--budget", f"flash={start + 200}"]) == 0
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["budget"] == {"bytes": start + 200, "fits": True}
    assert deployed.flash_bytes(tmp_path / "a" / "model.onnx", board[1], "balanced") <= start + 200
    assert cli.main([*common, "--out", str(tmp_path / "b"), "--budget", "flash=1k"]) == 1
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["budget"]["fits"] is False


def test_a_budget_of_instructions_is_met(tmp_path, unbroken):
    recipe = recipe_in(tmp_path, RECIPE.replace("sparsity = ", "sparsity = 0.8 #") + "layer_epochs = 0\n")
    common = ["compress", str(unbroken / "float.pt"), "--recipe", str(recipe), "--board", "qemu_mps2_an386", "--quiet"]

    def compressed(name: str, most: int) -> tuple[int, dict]:
        code = cli.main([*common, "--out", str(tmp_path / name), "--budget", f"instructions={most}"])
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        assert metrics["budget"] == {"instructions": most, "fits": code == 0}
        return code, metrics

    code, wide = compressed("wide", 10**9)
    assert code == 0 and len(wide["points"]) == 2  # all layers int8, and the final training
    most = int(0.95 * wide["points"][0]["instructions"])
    code, metrics = compressed("narrow", most)
    graph = pipeline.compile_model(tmp_path / "narrow" / "model.onnx", "qemu_mps2_an386", "balanced").graph
    used = sum(entry["estimated_instructions"] for entry in footprint.layers(graph) if entry["weights"])
    assert code == 0 and used <= most
    assert any("instructions) loses" in layer["reason"] for layer in metrics["layers"])
    assert compressed("none", 1000)[0] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--budget", "flash=9k"],
        ["--budget", "ram=9k", "--board", "host"],
        ["--budget", "flash=many", "--board", "host"],
        ["--budget", "instructions=0", "--board", "host"],
        ["--budget", "instructions", "--board", "host"],
    ],
)
def test_a_budget_that_means_nothing_is_refused(tmp_path, capsys, wrong):
    fails(["train", str(recipe_in(tmp_path)), *wrong], 2, "--budget", capsys)
