"""The report: whole, repeatable, nothing from the model unescaped, nothing half-written."""

import json

import onnx
import pytest
from small_model import small_model


@pytest.fixture(scope="module")
def written(model_path, tmp_path_factory):
    """The text of a report for the host."""
    from lamella import cli

    out = tmp_path_factory.mktemp("report") / "report.html"
    assert cli.main(["report", str(model_path), "--board", "host", "--out", str(out), "--quiet"]) == 0
    return out.read_text()


def test_report_names_every_layer_and_stands_alone(written):
    for layer in ("conv1", "conv2", "add", "fc1", "fc2"):
        assert layer in written
    assert "<svg" in written and "<script" not in written
    assert 'src="http' not in written and "@import" not in written and '<link rel="stylesheet"' not in written


def test_same_input_same_bytes(written, lamella, model_path, tmp_path):
    assert lamella("report", model_path, "--board", "host", "--out", tmp_path / "again.html", "--quiet")[0] == 0
    assert (tmp_path / "again.html").read_text() == written


def test_hostile_names_are_escaped(lamella, tmp_path):
    name = "<script>alert(1)</script>"
    onnx.save(small_model(name=name, layer=name, x_name=name, size=6, wide=2), tmp_path / "m.onnx")
    assert lamella("report", tmp_path / "m.onnx", "--board", "host", "--out", tmp_path / "r.html", "--quiet")[0] == 0
    text = (tmp_path / "r.html").read_text()
    assert name not in text and "<script" not in text and "&lt;script&gt;" in text


def test_metrics_are_shown(lamella, model_path, tmp_path):
    layer = {
        "name": "conv1",
        "format": "ternary",
        "density": 0.5,
        "weights": 72,
        "bytes": 15,
        "order": 1,
        "accepted": True,
        "reason": "sparse (15 bytes) loses 0.5, within 1",
    }
    points = [
        {"what": "all layers int8", "bytes": 72, "accuracy": 0.985, "accepted": True},
        {"what": "conv1: sparse", "bytes": 15, "accuracy": 0.98, "accepted": True},
        {"what": "conv1: <int4>", "bytes": 36, "accuracy": 0.97, "accepted": False},
    ]
    metrics = {"float_accuracy": 0.9876, "accuracy": 0.9812, "drop": 0.64, "layers": [layer], "points": points}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    arguments = ("--board", "host", "--metrics", tmp_path / "metrics.json", "--no-verify", "--quiet")
    assert lamella("report", model_path, "--out", tmp_path / "r.html", *arguments)[0] == 0
    text = (tmp_path / "r.html").read_text()
    assert "98.76" in text and "98.12" in text
    assert "sparse (15 bytes) loses 0.5, within 1" in text
    assert "bytes of all weights" in text and "conv1: sparse" in text
    assert "conv1: &lt;int4&gt;" not in text  # beaten in both: a dot without a name


@pytest.mark.parametrize("content", ["", "[]", "not json", '{"accuracy": "high"}'])
def test_bad_metrics_are_refused(lamella, model_path, tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    code, _, err = lamella(
        "report", model_path, "--board", "host", "--metrics", tmp_path / "metrics.json", "--out", tmp_path / "r.html"
    )
    assert code == 2 and "metrics.json" in err and not (tmp_path / "r.html").exists()


def test_bad_model_leaves_nothing(lamella, tmp_path):
    (tmp_path / "m.onnx").write_text("hello")
    assert lamella("report", tmp_path / "m.onnx", "--board", "host", "--out", tmp_path / "r.html")[0] == 2
    assert not (tmp_path / "r.html").exists()
