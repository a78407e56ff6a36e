"""Every kernel on every emulated core, in many of its ways, against the PyTorch reference: one program a core.

What runs on this computer is plain C; hand-written loops and special instructions only run there.
"""

import random
import shutil
from collections import Counter

import numpy as np
import pytest
from draw import Draw, inputs_of
from run_kernels import equal

from lamella import boards, pipeline, trial
from lamella.codegen import kernels, operators, reference

PROGRAMS, LAYERS = 2, 60


def runnable() -> list[str]:
    """One emulated board per core and runner that is installed; the smaller of two boards with one core is left out."""
    found: dict[str, str] = {}
    for name in boards.names():
        board = boards.load(name)
        if name != "host" and board.runner and board.ram and board.ram.size >= 256 << 10:
            found[board.core.name] = name
    return sorted(found.values())


def drawn(board: boards.Board, seed: int) -> list[trial.Trial]:
    """Random graphs of all operators, each with those ways that were drawn least often so far."""
    rng = random.Random(seed)
    target = pipeline.target_of(board, "balanced")
    had: Counter = Counter()
    trials: list[trial.Trial] = []
    names = [name for name in sorted(operators.operators()) if kernels.of_operator(name)]
    weights = [6 * len(kernels.of_operator(name)) - 5 for name in names]
    while len(trials) < LAYERS:
        (name,) = rng.choices(names, weights)
        graph = operators.get(name).sample(Draw.seeded(rng.getrandbits(31)))
        ways = kernels.options(graph, graph.nodes[0], target)
        rng.shuffle(ways)
        for choice in sorted(ways, key=lambda c: (had[c.kernel], had[c.kernel, c.format]))[:2]:
            had.update([choice.kernel, (choice.kernel, choice.format)])
            inputs = {name: x[:1] for name, x in inputs_of(graph, rng.getrandbits(20)).items()}
            trials.append(trial.Trial(graph, choice, inputs))
    return trials


@pytest.mark.parametrize("seed", range(PROGRAMS))
@pytest.mark.parametrize("name", runnable())
def test_every_kernel_equals_the_reference_on_the_core(name: str, seed: int):
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    trials = drawn(board, seed)
    optimize = ("balanced", "flash", "speed")[seed % 3]
    for one, outcome in zip(trials, trial.run(trials, board, optimize), strict=True):
        expected = reference.run_node(one.graph, one.node, [one.inputs[t] for t in one.node.inputs])
        assert equal(outcome.output, np.asarray(expected)), (one.choice, one.node.attributes)
