"""The sparse convolutions on emulated cores, in shapes that tests/codegen/test_on_cores.py rarely draws.

Their inner loops are written by hand there: the host and its sanitizers see only the C that stands for them.
"""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runtime_library import SANITIZE

from lamella import boards, pipeline, trial
from lamella.codegen import kernels, reference
from lamella.codegen.ir import Target

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import shapes

pytestmark = pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="not a run on the host")

#: One of each kind of inner loop.
BOARDS = ("qemu_mps2_an385_m0", "qemu_mps2_an385", "qemu_mps2_an386", "qemu_riscv32_virt")

#: Rows of one tile and of several, runs over row ends, the input read in place, and so many levels of one sign that
#: sums leave 16 bits, or just do not.
LAYERS = [
    shapes.conv("rows of a tile", 3, 4, size=(5, 16), kind="ternary", density=0.4),
    shapes.conv("wide", 3, 3, size=(5, 35), kind="ternary", density=0.4),
    shapes.conv("flat", 3, 3, size=(7, 9), kind="ternary", density=0.4),
    shapes.conv("pooled", 2, 4, size=(12, 12), kind="ternary", density=0.4, pool=2),
    shapes.conv("pooled tiles", 2, 4, size=(8, 32), kind="ternary", density=0.4, pool=2),
    shapes.conv("strided", 3, 3, size=(11, 23), kind="ternary", density=0.4, stride=2),
    shapes.conv("in place", 5, 4, (1, 1), size=(6, 6), kind="ternary", density=0.5),
    shapes.conv("one sign, or none", 1, 12, (1, 3), size=(4, 20), kind="ternary", density=0.4),
    shapes.conv("largest", 14, 3, size=(3, 12), kind="ternary", density=1.0),
    shapes.conv("long", 70, 2, size=(3, 12), kind="ternary", density=1.0),
]


def with_range(layer: shapes.Layer, zero: int, low: int, high: int) -> shapes.Layer:
    """The layer with another zero point and range of its output."""
    (node,) = layer.graph.nodes
    attributes = replace(node.attributes, requant=replace(node.attributes.requant, zero=zero, low=low, high=high))
    return replace(layer, graph=replace(layer.graph, nodes=(replace(node, attributes=attributes),)))


def trials(target: Target) -> list[trial.Trial]:
    """Every layer with each sparse kernel, in the highest and the lowest bands, its output in several ranges."""
    rng, every = np.random.default_rng(1), []
    for layer in LAYERS:
        graph = layer.graph
        ways = [
            choice
            for choice in kernels.options(graph, graph.nodes[0], target)
            if choice.kernel.startswith("lam_conv2d_sparse")
            and "band_rows" in choice.parameters  # 1x1 layers' own kernel does not take every range
            and choice.format == "sparse_ternary"
        ]
        for kernel in sorted({choice.kernel for choice in ways}):
            of_kernel = [choice for choice in ways if choice.kernel == kernel]
            for choice, span in (
                (of_kernel[0], (0, 0, 255)),
                (of_kernel[-1], (100, 0, 255)),
                (of_kernel[0], (7, 7, 90)),
            ):
                white = {"x": np.full_like(layer.inputs["x"], 255)}
                noise = {"x": rng.integers(0, 256, layer.inputs["x"].shape).astype(np.uint8)}
                of_span = with_range(layer, *span).graph
                every += [trial.Trial(of_span, choice, inputs) for inputs in (white, noise)]
    return every


@pytest.mark.parametrize("name", BOARDS)
def test_sparse_convolutions_equal_the_reference_on(name: str):
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    target = pipeline.target_of(board, "speed")
    every = trials(target)
    dsp = {"lam_conv2d_sparse_dsp", "lam_conv2d_sparse_dsp_lean"} if "dsp" in target.features else set()
    wanted = {"lam_conv2d_sparse"} | dsp
    assert {t.choice.kernel for t in every} == wanted
    for t, outcome in zip(every, trial.run(every, board, "speed"), strict=True):
        expected = reference.run_node(t.graph, t.node, [t.inputs["x"]])
        assert np.array_equal(outcome.output, np.asarray(expected)), (t.node.attributes, t.choice)
