"""The recorded flash, RAM, stack and instructions of examples still hold, to the byte: on each board another one.

benchmarks/footprint.py compares every example on every board.
"""

import importlib.util
from pathlib import Path

import pytest

from lamella import boards

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "footprint.py"
spec = importlib.util.spec_from_file_location("benchmark_footprint", SCRIPT)
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


@pytest.mark.parametrize("board", boards.names())
@pytest.mark.parametrize("optimize", bench.OBJECTIVES)
def test_numbers_are_those_recorded(board, optimize):
    models = bench.examples()
    model = models[(2 * boards.names().index(board) + bench.OBJECTIVES.index(optimize)) % len(models)]
    key = bench.compiler(boards.load(board))
    record = bench.recorded()
    if key not in record:
        pytest.skip(f"no numbers were recorded with {key}; benchmarks/footprint.py --update records them")
    assert bench.measure(model, board, optimize) == record[key][model.parent.name][board][optimize]


def test_every_example_is_recorded():
    assert bench.examples()
    for key, examples in bench.recorded().items():
        assert set(examples) == {p.parent.name for p in bench.examples()}, key
