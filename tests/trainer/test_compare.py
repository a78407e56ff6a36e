"""`lamella compare`: files, one baseline, going on after an interruption, methods that fail."""

import json

import pytest

from lamella import cli, deployed
from lamella.errors import UnsupportedError
from lamella.trainer import compare

from .test_session import RECIPE, fails, recipe_in, toy_modules  # noqa: F401

SHORT = RECIPE.replace("epochs = 3", "epochs = 2").replace("final_epochs = 1", "final_epochs = 0")


@pytest.fixture
def compared(tmp_path, capsys):
    """(arguments, folder, what was said) of a comparison of two methods."""
    out = tmp_path / "out"
    common = ["compare", str(recipe_in(tmp_path, SHORT)), "--out", str(out), "--epochs", "2"]
    assert cli.main([*common, "--methods", "twn,filter_prune", "--json", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads((out / "compare.json").read_text())
    return common, out, capsys.readouterr().out


def test_every_method_leaves_its_files_and_a_row(compared):
    _, out, said = compared
    report = json.loads((out / "compare.json").read_text())
    assert list(report["methods"]) == ["twn", "filter_prune"]
    weights = 6 * 9 + 8 * 6 * 9 + 24 * 72 + 4 * 24
    assert report["float"]["weights"] == weights and report["float"]["test_samples"] == 128
    for name, facts in report["methods"].items():
        assert name in said
        metrics = json.loads((out / name / "metrics.json").read_text())
        assert metrics["epochs"] == 2 and metrics["method"] == name
        for key, value in facts.items():
            assert key == "formats" or metrics[key] == value
        # As the generator stores the file, against the network as it was.
        again = deployed.with_deployed_bytes(metrics, out / name / "model.onnx")
        assert facts["weight_bytes"] == again["weight_bytes"]
        assert facts["smallest"]["weight_bytes"] == again["smallest"]["weight_bytes"]
        assert facts["compression_vs_float32"] == pytest.approx(4 * weights / facts["weight_bytes"])
        assert facts["drop"] == pytest.approx(100 * (report["float"]["accuracy"] - facts["accuracy"]))
    accepted = [layer["accepted"] for layer in json.loads((out / "twn" / "metrics.json").read_text())["layers"]]
    assert accepted == [True] * 4
    assert report["methods"]["filter_prune"]["weights"] < weights / 2


def test_what_is_done_is_not_done_again(compared, capsys):
    common, out, _ = compared
    before = json.loads((out / "compare.json").read_text())
    before["methods"]["twn"]["accuracy"] = 0.123  # as a mark
    (out / "compare.json").write_text(json.dumps(before))
    baseline = (out / "float.pt").read_bytes()
    assert cli.main([*common, "--methods", "twn,binaryconnect", "--resume", "--quiet"]) == 0
    after = json.loads((out / "compare.json").read_text())
    assert list(after["methods"]) == ["twn", "filter_prune", "binaryconnect"]
    assert after["methods"]["twn"] == before["methods"]["twn"] and after["float"] == before["float"]
    assert (out / "float.pt").read_bytes() == baseline
    fails([*common[:-1], "3", "--resume"], 2, "--epochs 2", capsys)
    fails([*common, "--seed", "5", "--resume"], 2, "seed", capsys)
    (out / "compare.json").write_text("{}")
    fails([*common, "--resume"], 2, "compare.json", capsys)


def test_a_kill_loses_one_method_at_most(tmp_path, monkeypatch):
    """Whoever is interrupted in the second method finds the first in compare.json, and the same result in the end."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    recipe = recipe_in(tmp_path, SHORT)
    arguments = ["compare", str(recipe), "--epochs", "1", "--methods", "bwn,twn", "--quiet", "--out"]
    real = compare.train

    def interrupted(method, *args, **options):
        if method.name == "twn":
            raise KeyboardInterrupt
        return real(method, *args, **options)

    monkeypatch.setattr(compare, "train", interrupted)
    assert cli.main([*arguments, str(out)]) == 130
    assert list(json.loads((out / "compare.json").read_text())["methods"]) == ["bwn"]
    monkeypatch.setattr(compare, "train", real)
    assert cli.main([*arguments, str(out), "--resume"]) == 0
    assert cli.main([*arguments, str(whole)]) == 0
    for name in ("bwn", "twn"):
        assert (out / name / "model.onnx").read_bytes() == (whole / name / "model.onnx").read_bytes()


def test_a_method_that_cannot_is_noted_and_tried_again(tmp_path, monkeypatch, capsys):
    recipe, out = recipe_in(tmp_path, SHORT), tmp_path / "out"
    arguments = ["compare", str(recipe), "--epochs", "1", "--methods", "bwn,twn", "--out", str(out)]
    real = compare.train

    def train(method, *args, **options):
        if method.name == "bwn":
            raise UnsupportedError("conv1: not that one")
        return real(method, *args, **options)

    monkeypatch.setattr(compare, "train", train)
    assert cli.main(arguments) == 1
    assert "bwn: failed: conv1: not that one" in capsys.readouterr().out
    methods = json.loads((out / "compare.json").read_text())["methods"]
    assert methods["bwn"] == {"error": "conv1: not that one"} and "accuracy" in methods["twn"]
    monkeypatch.setattr(compare, "train", real)
    assert cli.main([*arguments, "--resume", "--quiet"]) == 0
    assert "accuracy" in json.loads((out / "compare.json").read_text())["methods"]["bwn"]


@pytest.mark.parametrize(
    ("extra", "said"), [(["--methods", "tnw"], "tnw"), (["--epochs", "0"], "--epochs 0"), (["--methods", "twn,"], "''")]
)
def test_wrong_usage_is_refused(tmp_path, capsys, extra, said):
    fails(["compare", str(recipe_in(tmp_path, SHORT)), "--out", str(tmp_path / "out"), *extra], 2, said, capsys)
    assert not (tmp_path / "out").exists()


def test_several_processes_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    fails(["compare", str(recipe_in(tmp_path, SHORT)), "--out", str(tmp_path / "out")], 2, "torchrun", capsys)
