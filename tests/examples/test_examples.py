"""The models kept in examples/: proved on the host and on three emulated boards each, so that every board proves some;
and their numbers are those of the file. Networks of other shapes run on every board in tests/lamella.
"""

import json
from pathlib import Path

import pytest

from lamella import boards, footprint, pipeline, vectors, verify
from lamella.build import ImageOverflow
from lamella.execute import StackOverflow

#: Bytes of variables and stack that the harness takes beside the model, at most.
HARNESS = 1024
EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/model.onnx"))
EMULATED = [name for name in boards.names() if boards.load(name).runner and name != "host"]
PAIRS = [
    (example, board)
    for k, example in enumerate(EXAMPLES)
    for board in ("host", *(EMULATED[(3 * k + j) % len(EMULATED)] for j in range(3)))
]


def test_there_are_examples_for_every_board():
    assert {board for _, board in PAIRS} == {"host", *EMULATED}


@pytest.mark.parametrize(("example", "board"), PAIRS, ids=lambda p: getattr(p, "name", p))
def test_example_is_bit_exact(example, board):
    compiled = pipeline.compile_model(example / "model.onnx", board)
    raw = vectors.seeded(compiled.graph)
    try:
        result = verify.verify_board(compiled, raw, verify.expected_outputs(compiled.graph, raw))
    except ImageOverflow:
        assert not footprint.measure(compiled)["fits"]
        return
    except StackOverflow:  # the harness has a few variables of its own
        assert footprint.measure(compiled)["ram"]["total"] > compiled.board.ram.size - HARNESS
        return
    assert (result.vectors, result.mismatches) == (18, 0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_metrics_are_those_of_the_model(example):
    """Weights, densities and bytes, from the file; accuracies within what the recipe allowed."""
    metrics = json.loads((example / "metrics.json").read_text())
    compiled = pipeline.compile_model(example / "model.onnx", "host")
    layers = {layer["name"]: layer for layer in footprint.layers(compiled.graph) if layer["weights"]}
    assert {layer["name"] for layer in metrics["layers"]} == set(layers)
    for layer in metrics["layers"]:
        there = layers[layer["name"]]
        assert layer["weights"] == there["weights"]
        assert layer["bytes"] == there["weight_bytes"] and layer["format"] == there["format"]
        assert layer["density"] == pytest.approx(there["density"])
    size = sum(layer["bytes"] for layer in metrics["layers"])
    assert metrics["compression_vs_float32"] == pytest.approx(4 * compiled.model.weights / size)
    assert metrics["validation_drop"] <= metrics["max_drop"]
    assert metrics["drop"] == pytest.approx(100 * (metrics["float_accuracy"] - metrics["accuracy"]))
