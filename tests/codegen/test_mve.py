"""Kernels for cores with vectors of integers: no other runs them, so they are drawn in great number for the emulated one."""

import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from draw import Draw, inputs_of
from test_dense_kernels import expected, layer
from test_depthwise import sample as depthwise_sample
from test_depthwise import sample_common as depthwise_common

from lamella import boards, pipeline, programs, trial
from lamella.codegen import emit, kernels, operators, plan, reference
from lamella.codegen.ir import Graph
from lamella.pipeline import Compiled

KERNELS = sorted(name for name, kernel in kernels.kernels().items() if "mve" in kernel.requires)
EXTREMES = ((-128, 255), (127, 255), (127, 0), (-128, 128))
#: Kernels of few levels: minus the lowest ones of their formats.
LIMITS = {"lam_dense_rows_mve": (8, 2)}


@pytest.fixture(scope="module")
def board() -> boards.Board:
    """The emulated board with such a core."""
    found = next(board for name in boards.names() if (board := boards.load(name)).core.mve and board.runner)
    for tool in (found.compiler.cc, found.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return found


def graph_for(kernel: str, rng: random.Random) -> Graph:
    """A random graph of one node that the kernel may like."""
    draw = Draw.seeded(rng.getrandbits(31))
    if "depthwise" in kernel:
        return rng.choice((depthwise_sample, depthwise_common))(draw)
    return operators.get(kernels.get(kernel).operator).sample(draw)


def drawn(board: boards.Board, kernel: str, n: int, rng: random.Random) -> list[trial.Trial]:
    """n random layers with a way to run them by the kernel, those first that were drawn least often."""
    target = pipeline.target_of(board, "balanced")
    trials: list[trial.Trial] = []
    had: dict[tuple, int] = {}
    while len(trials) < n:
        graph = graph_for(kernel, rng)
        (node,) = graph.nodes
        ways = list(kernels.get(kernel).options(graph, node, target))
        if not ways:
            continue
        rng.shuffle(ways)
        choice = min(ways, key=lambda c: had.get((c.format, c.parameters.get("flat")), 0))
        key = (choice.format, choice.parameters.get("flat"))
        had[key] = had.get(key, 0) + 1
        inputs = {name: x[:1] for name, x in inputs_of(graph, rng.getrandbits(20)).items()}
        trials.append(trial.Trial(graph, choice, inputs))
    return trials


def check(board: boards.Board, trials: list[trial.Trial], optimize: str) -> None:
    """Every output byte against the reference."""
    for one, outcome in zip(trials, trial.run(trials, board, optimize), strict=True):
        expected = reference.run_node(one.graph, one.node, [one.inputs[t] for t in one.node.inputs])
        assert np.array_equal(outcome.output, np.asarray(expected)), (one.choice, one.node.attributes)


@pytest.mark.parametrize("optimize", ["flash", "balanced", "speed"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_equals_the_reference(board: boards.Board, kernel: str, optimize: str):
    check(board, drawn(board, kernel, 40, random.Random(f"{kernel} {optimize}")), optimize)


@pytest.mark.parametrize("kernel", [name for name in KERNELS if kernels.get(name).operator in ("conv2d", "dense")])
def test_worst_sums_are_exact(board: boards.Board, kernel: str):
    """All levels and all inputs at an end of their range, for biases as they come."""
    rng = random.Random(kernel)
    target = pipeline.target_of(board, "balanced")
    trials: list[trial.Trial] = []
    while len(trials) < 40:
        level, value = EXTREMES[len(trials) % len(EXTREMES)]
        graph = graph_for(kernel, rng)
        (node,) = graph.nodes
        level = int(np.sign(level)) if "sparse" in kernel else level
        limit = rng.choice(LIMITS.get(kernel, (128,)))
        level = max(-limit, min(limit - 1, level))
        levels = np.full_like(node.attributes.levels, level)
        graph = replace(graph, nodes=(replace(node, attributes=replace(node.attributes, levels=levels)),))
        ways = list(kernels.get(kernel).options(graph, graph.nodes[0], target))
        if ways:
            inputs = {t: np.full(graph.tensors[t].shape, value, np.uint8) for t in node.inputs}
            trials.append(trial.Trial(graph, rng.choice(ways), inputs))
    check(board, trials, "balanced")


def test_widest_rows_together(board: boards.Board):
    """The most columns that there can be, all bytes and inputs at their largest: sums stay just below 2^32."""
    target = pipeline.target_of(board, "balanced")
    for rows, kind, extreme in ((2, "int4", "highest"), (3, "int4", "lowest"), (5, "int2", "highest")):
        graph, x = layer(1, 65535, rows, kind, extreme)
        ways = list(kernels.get("lam_dense_rows_mve").options(graph, graph.nodes[0], target))
        assert len(ways) == (2 if kind == "int2" else 1)
        trials = [trial.Trial(graph, choice, {"x": x}) for choice in ways]
        for one, outcome in zip(trials, trial.run(trials, board, "balanced"), strict=True):
            assert np.array_equal(outcome.output, expected(graph, x)), one.choice


@pytest.mark.parametrize("kernel", [name for name in KERNELS if "conv2d" in name])
def test_planned_scratch_is_what_the_kernel_says(board: boards.Board, kernel: str):
    """In place of each layer, the program writes how much scratch its descriptor asks for."""
    trials = [t for t in drawn(board, kernel, 60, random.Random(1)) if t.graph.tensors[t.node.output].bytes >= 4]
    assert len(trials) > 30
    graph = trial._together([t.graph for t in trials], [t.choice for t in trials])
    model = emit.describe(graph, plan.plan_memory(graph), "trial", "trial", "0" * 64)
    compiled = Compiled(Path("trial"), board, "balanced", graph, plan.plan_memory(graph), model)
    sources = dict(compiled.sources())
    asks = f"{{ const uint32_t size = (uint32_t){kernel}_scratch(&\\1); memcpy(\\2, &size, 4); }}"
    text, n = re.subn(rf"\b{kernel}\(&(\w+), [^,]+, ([^,]+), [^,;]+\);", asks, sources["trial.c"])
    assert n == len(trials)
    sources["trial.c"] = "#include <string.h>\n" + text
    raw = {f"t{k}_{name}": x for k, t in enumerate(trials) for name, x in t.inputs.items()}
    outputs = programs.run(compiled, programs.harness_program(compiled, sources), raw, count=False).outputs
    for k, t in enumerate(trials):
        said = outputs[f"t{k}_{t.graph.outputs[0].name}"].tobytes()[:4]
        assert int.from_bytes(said, "little") == t.choice.scratch_bytes, t.choice


def test_ways_of_the_convolution_are_all_drawn(board: boards.Board):
    """Cells of channels and of windows, lines of three and steps, levels in place and unpacked, with and without pooling."""
    found = set()
    for optimize in ("flash", "balanced", "speed"):
        for t in drawn(board, "lam_conv2d_mve", 40, random.Random(f"lam_conv2d_mve {optimize}")):
            a = t.node.attributes
            by_lines = a.levels.shape[3] == 3 and a.window.stride[1] == a.window.dilation[1] == 1
            found |= {("flat", t.choice.parameters["flat"]), ("lines", by_lines and not t.choice.parameters["flat"])}
            found |= {("int8", t.choice.format == "int8"), ("pool", a.pool and a.pool.kind)}
    assert found >= {(name, value) for name in ("flat", "lines", "int8") for value in (False, True)}
    assert found >= {("pool", kind) for kind in (None, "max", "average")}
