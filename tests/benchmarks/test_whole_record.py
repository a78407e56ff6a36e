"""Whole networks: what the tables predict against what was counted, and the record against a count today.

Each network on two cores, so that every core predicts some; benchmarks/whole.py looks at all of them.
"""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import costs
import whole

from lamella import boards

GRAPHS = whole.everything()
WITHIN = 0.05  # of the counted instructions
CORES = list(costs.MEASURED_ON)
PAIRS = [(name, CORES[(3 * k + j) % len(CORES)]) for k, name in enumerate(GRAPHS) for j in range(2)]


def test_every_core_predicts_some():
    assert {core for _, core in PAIRS} == set(CORES)


def record(name: str, core: str) -> dict:
    """What is recorded of a network on a core."""
    board = boards.load(costs.MEASURED_ON[core])
    if shutil.which(board.compiler.cc) is None:
        pytest.skip(f"{board.compiler.cc} is not installed")
    found = whole.recorded().get(costs.version(board))
    if found is None:
        pytest.skip("another compiler than that of the record")
    return found[name][core]


@pytest.mark.parametrize(("name", "core"), PAIRS)
def test_prediction_lies_within_five_percent(name: str, core: str):
    for optimize, numbers in record(name, core).items():
        now = whole.predicted(whole.compiled(name, GRAPHS[name], core, optimize))
        assert round(now) == numbers["predicted"], f"{optimize}: run benchmarks/whole.py --update"
        assert abs(now / numbers["instructions"] - 1) <= WITHIN, optimize


@pytest.mark.parametrize("core", costs.MEASURED_ON)
def test_counts_are_those_recorded(core: str):
    name = sorted(GRAPHS)[list(costs.MEASURED_ON).index(core) % len(GRAPHS)]  # another network for each core
    numbers = record(name, core)
    if shutil.which(boards.load(costs.MEASURED_ON[core]).runner.command[0]) is None:
        pytest.skip("no emulator")
    assert whole.measure(name, GRAPHS[name], core, "balanced") == numbers["balanced"]
