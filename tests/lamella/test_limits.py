"""--within: the firmware takes no more than it may, runs no slower than it must, and computes the same."""

import json
from pathlib import Path

import pytest

from lamella import footprint, pipeline
from lamella.errors import CheckFailed

BOARD = "qemu_mps2_an386"
DSCNN = Path(__file__).parents[1] / "models" / "mlperf_tiny_dscnn_kws_int8.tflite"


def ram_of(model: Path, optimize: str, within: dict | None = None) -> tuple[int, float]:
    """RAM and estimated instructions."""
    compiled = pipeline.compile_model(model, BOARD, optimize, within=within)
    layers = footprint.layers(compiled.graph)
    return footprint.measure(compiled)["ram"]["total"], sum(layer["estimated_instructions"] for layer in layers)


def test_a_limit_between_two_objectives_is_used_up_for_speed():
    """The figures of the keyword network that docs/results.md compares with TensorFlow Lite Micro's 23,800 bytes."""
    least, slow = ram_of(DSCNN, "ram")
    most, fast = ram_of(DSCNN, "balanced")
    ram, between = ram_of(DSCNN, "balanced", {"ram": 11_900})
    assert least < ram <= 11_900 < most
    assert fast < between < slow


def test_a_limit_that_leaves_room_changes_nothing(model_path):
    within = pipeline.compile_model(model_path, BOARD, within={"ram": 64 << 10, "flash": 256 << 10})
    free = pipeline.compile_model(model_path, BOARD)
    assert pipeline.emit_sources(within.model) == pipeline.emit_sources(free.model)


def test_flash_that_the_objective_exceeds_is_used_up_for_speed():
    def figures(optimize: str, within: dict | None = None) -> tuple[int, float]:
        compiled = pipeline.compile_model(DSCNN, BOARD, optimize, within=within)
        layers = footprint.layers(compiled.graph)
        return footprint.measure(compiled)["flash"]["total"], sum(layer["estimated_instructions"] for layer in layers)

    (least, slow), (most, fast) = figures("flash"), figures("speed")
    limit = (least + most) // 2
    flash, between = figures("speed", {"flash": limit})
    assert least < flash <= limit < most
    assert fast < between < slow


@pytest.mark.parametrize("within", [{"ram": 100}, {"flash": 100}, {"ram": 100, "flash": 100}])
def test_what_does_not_go_is_refused_with_the_least_that_was_found(model_path, within):
    with pytest.raises(CheckFailed, match="least that was found") as refused:
        pipeline.compile_model(model_path, BOARD, within=within)
    assert all(key in str(refused.value) for key in within)


def test_the_command_line(lamella, model_path, tmp_path):
    code, out, _ = lamella("verify", model_path, "--board", BOARD, "--within", "ram=16k", "--json", "-", "--quiet")
    assert code == 0 and json.loads(out)["bit_exact"] is True
    for text, expected in (("ram=100", 1), ("ram=lots", 2), ("stack=1k", 2)):
        folder = tmp_path / text
        code, _, err = lamella("generate", model_path, "--board", BOARD, "--out", folder, "--within", text)
        assert code == expected and ("--within" in err or "within" in err) and not folder.exists()
