"""Recorded instructions of kernels: no rise without a deliberate edit, and every event of every kernel has its price."""

import shutil
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import costs
import kernels as bench
import shapes

from lamella import boards, pipeline
from lamella.codegen import cost, kernels


def recorded(core: str) -> dict | None:
    """What is recorded of a core for the compiler that is installed; None where that cannot be measured here."""
    board = boards.load(costs.MEASURED_ON[core])
    if any(shutil.which(tool) is None for tool in (board.compiler.cc, board.runner.command[0])):
        return None
    return bench.recorded().get(costs.version(board), {}).get(core)


@pytest.mark.parametrize("core", costs.MEASURED_ON)
def test_no_kernel_is_slower_than_recorded(core: str):
    record = recorded(core)
    if record is None:
        pytest.skip("other tools than those of the record")
    assert set(record) == {row.name for row in shapes.standard()}
    slower = {
        name: (before, now)
        for name, (before, now) in bench.recount(core, record).items()
        if not now <= bench.RISE * before
    }
    assert not slower, "run benchmarks/kernels.py, and record with --update what is meant"


@pytest.mark.parametrize("core", costs.MEASURED_ON)
@pytest.mark.parametrize("optimize", ["flash", "balanced", "speed"])
def test_every_event_has_a_measured_price(core: str, optimize: str):
    target = pipeline.target_of(boards.load(costs.MEASURED_ON[core]), optimize)
    prices = cost.table(core)[target.level]["events"]
    missing = {
        name
        for row in shapes.standard()
        for node in row.layer.graph.nodes
        for choice in kernels.options(row.layer.graph, node, target)
        for name in choice.work
        if name not in prices
    }
    assert not missing, "run benchmarks/costs.py"
