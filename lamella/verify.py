"""Proof by comparison: the C on a board against the integer reference in PyTorch, byte for byte."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from lamella import programs, vectors
from lamella.codegen import reference
from lamella.codegen.ir import Graph
from lamella.pipeline import Compiled


@dataclass(frozen=True)
class BoardResult:
    """What verification found on one board; mismatches counts vectors with any differing byte."""

    board: str
    vectors: int
    mismatches: int
    first_divergent_layer: str | None
    instructions_per_inference: float | None
    stack_bytes: int | None


def verify_board(
    compiled: Compiled,
    raw: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    sources: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BoardResult:
    """Run the C over all vectors and compare; where it differs, find the first layer that does."""
    program = programs.harness_program(compiled, sources)
    result = programs.run(compiled, program, raw, progress=progress)
    wrong = programs.first_difference(compiled.graph, expected, result.outputs)
    layer = None
    if wrong.any():
        k = int(np.argmax(wrong))
        start = 0 if compiled.graph.states else k  # a stream is what it is from its beginning
        layer = first_divergent_layer(compiled, {name: array[start : k + 1] for name, array in raw.items()}, sources)
    return BoardResult(
        compiled.board.name,
        len(wrong),
        int(wrong.sum()),
        layer,
        result.execution.instructions,
        result.execution.stack_bytes,
    )


def first_divergent_layer(
    compiled: Compiled, raw: Mapping[str, np.ndarray], sources: Mapping[str, str] | None = None
) -> str | None:
    """The first layer whose result differs from the reference for the last sample; None if only the last copy does."""
    program = programs.harness_program(compiled, sources, trace=True)
    got = programs.trace(compiled, program, raw)[-1]
    expected = {name: values[-1:] for name, values in reference.trace(compiled.graph, raw).items()}
    for index, node in enumerate(compiled.graph.nodes):
        if (
            index in got
            and vectors.different(got[index].view(expected[node.output].dtype), expected[node.output].reshape(-1)).any()
        ):
            return node.name
    return None


def expected_outputs(
    graph: Graph, raw: Mapping[str, np.ndarray], progress: Callable[[int, int], None] | None = None
) -> dict[str, np.ndarray]:
    """Raw outputs of the integer reference."""
    return reference.run(graph, raw, progress=progress)


def report(model: str, results: list[BoardResult], onnxruntime: dict, tflite_micro: dict | None) -> dict:
    """The JSON of `lamella verify`; the witnesses come from lamella.witness and lamella.witness_tflite."""
    return {
        "model": model,
        "bit_exact": all(r.mismatches == 0 for r in results),
        "boards": [asdict(r) for r in results],
        "onnxruntime": onnxruntime,
        "tflite_micro": tflite_micro,
    }
