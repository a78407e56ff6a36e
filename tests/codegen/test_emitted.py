"""Every registered operator printed as C, compiled with warnings as errors, and run: what the emitter prints is what was meant."""

from pathlib import Path

import pytest
from draw import Draw

from lamella import pipeline, vectors, verify
from lamella.codegen import operators


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", sorted(operators.operators()))
@pytest.mark.parametrize("board", ["host", "qemu_mps2_an385_m0"])
def test_printed_operator_computes_what_the_reference_computes(name, seed, board):
    graph = operators.get(name).sample(Draw.seeded(seed))
    optimize = ["flash", "speed", "balanced", "ram"][seed % 4]
    compiled = pipeline.compile_graph(graph, Path("one.onnx"), "0" * 64, board, optimize, "one")
    raw = vectors.seeded(compiled.graph, seed)
    result = verify.verify_board(compiled, raw, verify.expected_outputs(graph, raw))
    assert (result.vectors, result.mismatches) == (18, 0)
