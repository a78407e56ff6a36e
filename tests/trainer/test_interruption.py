"""What is kept when a run ends early, by a kill or a full disk, and which checkpoints it goes on from."""

import errno
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lamella import cli
from lamella.errors import PlatformError, UsageError
from lamella.trainer import checkpoint, compress, export_onnx, session
from lamella.trainer.recipe import read_recipe

from .test_session import BOOT, RECIPE, fails, recipe_in, toy_modules  # noqa: F401

#: Everything once and no more.
SHORT = RECIPE.replace("epochs = 3", "epochs = 2", 1).replace("sparsity = 0.6", "sparsity = 0.6\nlayer_epochs = 0")


@pytest.fixture(scope="module")
def short(tmp_path_factory, toy_modules):  # noqa: F811
    """The folder of a whole short run."""
    folder = tmp_path_factory.mktemp("short")
    assert cli.main(["train", str(recipe_in(folder, SHORT)), "--out", str(folder / "out"), "--quiet"]) == 0
    return folder / "out"


def test_a_checkpoint_of_another_network_is_refused_on_resuming(short, tmp_path, capsys, monkeypatch):
    """The recipe has the same name for it, its code has changed."""
    toy = sys.modules["lamella_tests.toy"]
    monkeypatch.setattr(toy, "network", toy.wider_network)
    kept = (short / "checkpoint.pt").read_bytes()
    fails(
        ["train", str(recipe_in(tmp_path, SHORT)), "--out", str(short), "--resume"], 2, "fc2.weight has shape", capsys
    )
    assert (short / "checkpoint.pt").read_bytes() == kept


def killed(recipe, out, patch: str) -> int:
    """`lamella train` in a process of its own, with something changed; its exit status."""
    args = ["train", str(recipe), "--out", str(out), "--quiet"]
    code = f"{BOOT}\n{patch}\nfrom lamella import cli\nraise SystemExit(cli.main({args!r}))"
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode


@pytest.mark.parametrize("number", [2, 4])
def test_a_run_killed_while_it_saves_resumes_to_the_same_file(number, short, tmp_path):
    """Half of the n-th checkpoint is written as the process dies."""
    dies = f"""
import io, os, signal, torch
real, count = torch.save, 0
def save(state, file):
    global count
    count += 1
    if count < {number}:
        return real(state, file)
    whole = io.BytesIO()
    real(state, whole)
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
"""
    recipe, out = recipe_in(tmp_path, SHORT), tmp_path / "o"
    assert killed(recipe, out, dies) == -signal.SIGKILL
    assert list(out.glob("*.part")) and not (out / "model.onnx").exists()
    assert cli.main(["train", str(recipe), "--out", str(out), "--resume", "--quiet"]) == 0
    assert (out / "model.onnx").read_bytes() == (short / "model.onnx").read_bytes()
    assert not list(out.glob("*.part"))


def test_a_full_disk_leaves_the_last_checkpoint(short, tmp_path, capsys):
    """A limit on the size of files stands for the disk: the float network still fits, what compression keeps does not."""
    resource = pytest.importorskip("resource")
    recipe, out = recipe_in(tmp_path, SHORT), tmp_path / "o"
    limit = (short / "checkpoint.pt").stat().st_size - 1
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        fails(["train", str(recipe), "--out", str(out)], 4, "checkpoint.pt: the checkpoint cannot be written", capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(out.glob("*.part"))
    assert "float" in checkpoint.load(out / "checkpoint.pt")
    assert cli.main(["train", str(recipe), "--out", str(out), "--resume", "--quiet"]) == 0
    assert (out / "model.onnx").read_bytes() == (short / "model.onnx").read_bytes()


@pytest.mark.parametrize("write", ["_write", "save_text"])
def test_no_space_is_said_and_the_old_file_stays(write, tmp_path, monkeypatch):
    path = tmp_path / "kept"
    checkpoint.save_text("old", path)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    monkeypatch.setattr(type(path), "write_text", full)
    with pytest.raises(PlatformError, match=r"kept: .*cannot be written .*No space left on device.*space"):
        getattr(checkpoint, write)({} if write == "_write" else "new", path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_model_that_cannot_be_written_leaves_nothing_behind(trained, data, tmp_path, monkeypatch):
    frozen = compress(trained, *data, prune_epochs=0, layer_epochs=0, max_drop=100.0).frozen
    real = Path.write_bytes

    def full(self, content):
        real(self, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PlatformError, match="model.onnx: cannot be written .No space left on device"):
        export_onnx.save(frozen, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_out_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "o").write_text("")
    fails(["train", str(recipe_in(tmp_path, SHORT)), "--out", str(tmp_path / "o")], 4, "cannot be written", capsys)


def test_a_checkpoint_from_before_an_option_has_its_default(tmp_path):
    recipe = read_recipe(recipe_in(tmp_path))
    old = recipe.to_dict()
    for key in ("saliency", "thresholds", "final_data"):
        del old["compress"][key]
    checkpoint.check_recipe({"recipe": old}, recipe.to_dict(), tmp_path)
    for key, value in (("saliency", "obd"), ("thresholds", "entropy"), ("final_data", "train+validation")):
        asked = replace(recipe, compress=replace(recipe.compress, final_epochs=1, **{key: value})).to_dict()
        with pytest.raises(UsageError, match=rf"\[compress\] {key} = "):
            checkpoint.check_recipe({"recipe": old}, asked, tmp_path)


@pytest.mark.parametrize(("max_drop", "code"), [(100.0, 0), (0.0, 1)])
def test_final_data_is_told_and_the_bound_judges_what_was_before(max_drop, code, tmp_path):
    """The exit code follows the drop before the epochs that use the validation split, though accuracy rises in them."""
    text = SHORT.replace("sparsity = 0.6", 'sparsity = 0.95\nprune_epochs = 0\nfinal_data = "train+validation"')
    text = text.replace("max_drop = 50.0", "max_drop = 100.0")
    out = tmp_path / "o"
    recipe = read_recipe(recipe_in(tmp_path, text))
    report = session.run(recipe, out)
    final = report["points"][-1]
    assert report["final_data"] == "train+validation" and final["what"] == "final, validation data trained on"
    assert report["validation_accuracy"] == report["points"][-2]["accuracy"] < final["accuracy"] and final["accepted"]
    assert report["validation_drop"] > 0
    args = ["train", str(recipe_in(tmp_path, text.replace("max_drop = 100.0", f"max_drop = {max_drop}")))]
    assert cli.main([*args, "--out", str(tmp_path / "again"), "--quiet"]) == code
