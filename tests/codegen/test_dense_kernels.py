"""Every dense kernel at the widths and sums where its lanes, chunks and blocks end, on this computer and on the cores."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from run_kernels import run_node

from lamella import boards, pipeline, trial
from lamella.codegen import kernels
from lamella.codegen.ir import Graph, Quantization, Requant, Target, Tensor
from lamella.codegen.kernels import dense_blocks
from lamella.codegen.operators import sampling
from lamella.codegen.operators.dense import Dense

HOST = Target("host", features=frozenset({"dsp", "long_multiply"}))
#: Units have 2, 4, 8 or 10 columns; chunks end at 84, 128, 256, 500 columns; bytes tell 256 columns apart.
WIDTHS = [1, 2, 3, 5, 8, 9, 10, 11, 19, 20, 21, 84, 85, 127, 128, 129, 255, 256, 257, 260, 500, 501, 520, 1030]
ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 29, 33]
LEVELS = {"ternary": (-1, 1), "sparse": (-1, 1), "int2": (-2, 1), "int4": (-8, 7), "int8": (-128, 127)}
BOARDS = ["qemu_mps2_an385_m0", "qemu_mps2_an385", "qemu_mps2_an386", "qemu_mps3_an547", "qemu_riscv32_virt"]


def layer(seed: int, cols: int, rows: int, kind: str, extreme: str, vectors: int = 1) -> tuple[Graph, np.ndarray]:
    """A dense layer and its input. extreme: "lowest" or "highest" levels everywhere and x = 255, or "" for random."""
    rng = np.random.default_rng(seed)
    low, high = LEVELS[kind]
    levels = rng.integers(low, high, (rows, cols), endpoint=True)
    if extreme:
        levels[:] = {"lowest": low, "highest": high}[extreme]
    elif kind == "sparse":
        levels *= rng.random((rows, cols)) < 0.2
    x = Tensor("x", (1, cols) if vectors == 1 else (1, vectors, cols), Quantization(0.05, 3 if seed % 2 else 0))
    pixels = np.full(x.shape, 255) if extreme else rng.integers(0, 256, x.shape)
    bias = rng.integers(-5000, 5000, rows)
    reach = np.abs(levels).sum(axis=1).max() * 255 + 5000
    scale = rng.uniform(0.5, 1.0, rows if seed % 3 else 1) * min(300 / reach, 0.4)
    shift = np.full(scale.size, 32) if seed % 5 else np.full(scale.size, 31)
    multiplier = np.round(scale * 2.0 ** shift.astype(float)).astype(np.int64)
    clamp = (0, 255) if seed % 4 else (7, 201)
    y = Tensor("y", (*x.shape[:-1], rows), Quantization(0.05, 120))
    attributes = Dense(
        levels.astype(np.int16), np.ones(1, np.float32), bias, Requant(multiplier, shift, 120, clamp[0], clamp[1])
    )
    return sampling.graph("dense", [x], y, attributes), pixels.astype(np.uint8)


def expected(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The definition, in Python's and numpy's 64-bit integers."""
    a: Dense = graph.nodes[0].attributes
    q = a.requant
    acc = (x.astype(np.int64) - graph.tensors["x"].quantization.zero) @ a.levels.T.astype(np.int64) + a.bias
    scaled = (acc * q.multiplier + (np.int64(1) << (q.shift - 1).astype(np.int64))) >> q.shift.astype(np.int64)
    return np.clip(scaled + q.zero, q.low, q.high).astype(np.uint8)


def check_on_host(lam, graph: Graph, x: np.ndarray) -> set[str]:
    """Names of the kernels that were compared."""
    (node,), found = graph.nodes, set()
    for choice in kernels.options(graph, node, HOST):
        got = run_node(lam, graph, replace(node, choice=choice), [x])
        assert np.array_equal(got, expected(graph, x)), (choice.kernel, choice.format, node.attributes.levels.shape)
        found.add(choice.kernel)
    return found


@pytest.mark.parametrize("kind", LEVELS)
def test_every_width_and_number_of_rows(lam, kind: str):
    for k, cols in enumerate(WIDTHS):
        graph, x = layer(k, cols, ROWS[k % len(ROWS)], kind, "", vectors=1 + k % 3)
        names = check_on_host(lam, graph, x)
        assert len(names) >= 4
    for k, rows in enumerate(ROWS):
        check_on_host(lam, *layer(100 + k, 40, rows, kind, ""))


@pytest.mark.parametrize("extreme", ["lowest", "highest"])
@pytest.mark.parametrize("kind", LEVELS)
def test_largest_sums(lam, kind: str, extreme: str):
    for k, cols in enumerate([84, 85, 128, 129, 255, 256, 257, 500, 520, 1030]):
        check_on_host(lam, *layer(k, cols, ROWS[k % len(ROWS)], kind, extreme))


@pytest.mark.parametrize("extreme", ["", "lowest", "highest"])
@pytest.mark.parametrize("kind", ["ternary", "sparse", "int4", "int8"])
def test_the_widest_layer(lam, kind: str, extreme: str):
    graph, x = layer(1, 65535, 3, kind, extreme)
    (node,), fast = graph.nodes, 0
    for choice in kernels.options(graph, node, HOST):
        if choice.kernel not in ("lam_dense", "lam_dense_sparse"):
            assert np.array_equal(run_node(lam, graph, replace(node, choice=choice), [x]), expected(graph, x)), choice
            fast += 1
    assert fast >= 2


def test_chunk_is_the_longest_that_fits():
    """Half a word holds 255 * 257; windows of a chunk must not exceed it, and fewer chunks would."""
    assert dense_blocks.chunk_that_fits(np.ones((2, 257), int), 1) == 257
    assert dense_blocks.chunk_that_fits(np.ones((2, 258), int), 1) == 129
    assert dense_blocks.chunk_that_fits(np.full((4, 256), 3), 4) == 16  # 85 columns, 21 units: four chunks of 64
    assert dense_blocks.chunk_that_fits(np.full((4, 30), 15), 2) == 8
    uneven = np.zeros((3, 600), int)
    uneven[1, 280:540] = 1  # 260 ones; the middle of 600 cuts them
    assert dense_blocks.chunk_that_fits(uneven, 1) == 300
    assert dense_blocks.chunk_that_fits(np.zeros((1, 7), int), 4) == 2


@pytest.mark.parametrize("name", BOARDS)
def test_kernels_on_the_core(name: str):
    """What is plain C above is written by hand there. Each board has every third layer, its neighbours the others."""
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    target = pipeline.target_of(board, "balanced")
    trials = []
    for k, cols in enumerate(WIDTHS):
        for j, kind in enumerate(LEVELS):
            if (k + j + BOARDS.index(name)) % 3:
                continue
            extreme = ["", "lowest", "highest", ""][(k + len(kind)) % 4]
            graph, x = layer(k, cols, ROWS[k % len(ROWS)], kind, extreme, vectors=1 + k % 2)
            for choice in kernels.options(graph, graph.nodes[0], target):
                if choice.kernel not in ("lam_dense", "lam_dense_sparse"):
                    trials.append(trial.Trial(graph, choice, {"x": x}))
    compared = set()
    for at in range(0, len(trials), 60):
        part = trials[at : at + 60]
        for one, outcome in zip(
            part, trial.run(part, board, ["balanced", "flash", "speed"][at // 60 % 3]), strict=True
        ):
            assert np.array_equal(outcome.output, expected(one.graph, one.inputs["x"])), (one.choice, one.node)
            compared.add(one.choice.kernel)
    able = {k.function for k in kernels.of_operator("dense") if k.requires <= target.features}
    assert compared == able - {"lam_dense", "lam_dense_sparse"}
