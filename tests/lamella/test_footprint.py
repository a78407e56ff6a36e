"""Flash, RAM and stack add up; budgets and baselines are judged; weights cost what the format says."""

import json

import numpy as np
import pytest

from lamella import boards, deployed, footprint, pipeline, programs, vectors
from lamella.errors import UsageError

KEYS = {"name", "op", "format", "shape", "weights", "density", "weight_bytes", "bits_per_weight", "entropy_bits_per_weight", "macs", "arena_live_bytes"}  # fmt: skip


@pytest.mark.parametrize("board", boards.names())
def test_parts_add_up(lamella, model_path, board):
    code, out, _ = lamella("footprint", model_path, "--board", board, "--json", "-")
    result = json.loads(out)
    (entry,) = result["boards"]
    flash, ram = entry["flash"], entry["ram"]
    assert code == 0 and entry["fits"] is True
    assert flash["total"] == flash["weights"] + flash["code"] + flash["other"]
    assert ram["total"] == ram["arena"] + ram["static"] + (ram["stack"] or 0)
    assert (ram["stack"] is None) == (board == "host")
    assert min(flash.values()) >= 0 and all(set(layer) >= KEYS for layer in result["layers"])
    assert flash["weights"] == sum(layer["weight_bytes"] for layer in result["layers"])
    assert result["arena_lower_bound"] >= max(layer["arena_live_bytes"] for layer in result["layers"])


def test_layer_instructions_add_up_to_the_total(lamella, model_path):
    result = json.loads(lamella("footprint", model_path, "--board", "qemu_mps2_an386", "--json", "-")[1])
    total = sum(layer["instructions"] for layer in result["layers"])
    assert total == pytest.approx(result["boards"][0]["instructions_per_inference"])
    assert all(layer["instructions"] > 0 for layer in result["layers"])


def test_a_board_without_runner_has_the_stack_of_its_core(model_path):
    real = footprint.measure(pipeline.compile_model(model_path, "nucleo_f446re"))
    emulated = footprint.measure(pipeline.compile_model(model_path, "qemu_mps2_an386"))
    assert real["ram"]["stack"] == emulated["ram"]["stack"] > 0
    assert real["flash"]["code"] == emulated["flash"]["code"]


def test_minimal_image_holds_no_selftest_and_no_harness(model_path):
    from lamella import elf

    compiled = pipeline.compile_model(model_path, "qemu_mps2_an386")
    names = {symbol.name for symbol in elf.symbols(programs.minimal_program(compiled))}
    assert "small_net_run" in names
    assert not [
        n for n in names if "selftest" in n or "harness" in n or "semihost" in n or "printf" in n or "malloc" in n
    ]


def test_objectives_trade_as_they_say(model_path):
    def measured(optimize):
        compiled = pipeline.compile_model(model_path, "qemu_mps2_an386", optimize)
        raw = {name: x[:2] for name, x in vectors.seeded(compiled.graph).items()}
        count = programs.run(compiled, programs.harness_program(compiled), raw).execution.instructions
        flash = deployed.flash_bytes(model_path, "qemu_mps2_an386", optimize)  # weights, and the code that reads them
        return flash, compiled.plan.arena_bytes, count

    flash, ram, speed = (measured(o) for o in ("flash", "ram", "speed"))
    assert flash[0] <= min(ram[0], speed[0])
    assert ram[1] <= min(flash[1], speed[1])
    assert speed[2] <= min(flash[2], ram[2])


def test_budget_is_judged(lamella, model_path):
    for budget, code in (("flash=1k", 1), ("ram=256,flash=1M", 1), ("flash=1M,ram=1M", 0)):
        assert lamella("footprint", model_path, "--board", "qemu_mps2_an386", "--budget", budget, "--quiet")[0] == code


def test_baseline_shows_the_change(lamella, model_path, tmp_path):
    old = tmp_path / "old.json"
    arguments = ("footprint", model_path, "--board", "qemu_microbit")
    lamella(*arguments, "--optimize", "flash", "--json", old, "--quiet")
    code, out, _ = lamella(*arguments, "--optimize", "speed", "--baseline", old, "--json", "-")
    result = json.loads(out)
    before = json.loads(old.read_text())["boards"][0]["flash"]["total"]
    assert code == 0 and result["change"][0]["flash"] == result["boards"][0]["flash"]["total"] - before > 0


@pytest.mark.parametrize(
    ("text", "expected"), [("flash=64k", {"flash": 65536}), ("ram=1M,flash=10", {"ram": 1 << 20, "flash": 10})]
)
def test_budget_text(text, expected):
    assert footprint.parse_budget(text) == expected


@pytest.mark.parametrize("text", ["", "flash", "flash=", "flash=-1", "rom=1k", "flash=1g"])
def test_bad_budget_text(text):
    with pytest.raises(UsageError):
        footprint.parse_budget(text)


def test_entropy_of_levels():
    assert footprint.entropy(np.zeros(10)) == 0
    assert footprint.entropy(np.array([0, 1])) == 1
    half = np.array([0] * 50 + [1] * 25 + [-1] * 25)
    assert footprint.entropy(half) == pytest.approx(1.5)  # H(d) + d at d = 0.5
