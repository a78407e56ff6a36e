"""Proof by comparison: the C on a board against the integer reference in PyTorch, byte for byte; onnxruntime as a witness."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lamella import programs, vectors
from lamella.codegen import reference
from lamella.codegen.ir import Graph
from lamella.errors import UsageError
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
        layer = first_divergent_layer(compiled, {name: array[k : k + 1] for name, array in raw.items()}, sources)
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
    """The first layer whose result differs from the reference for one sample; None if only the last copy does."""
    program = programs.harness_program(compiled, sources, trace=True)
    got = programs.trace(compiled, program, raw)[0]
    expected = reference.trace(compiled.graph, raw)
    for index, node in enumerate(compiled.graph.nodes):
        if index in got and not np.array_equal(got[index], expected[node.output].reshape(-1)):
            return node.name
    return None


def expected_outputs(
    graph: Graph, raw: Mapping[str, np.ndarray], progress: Callable[[int, int], None] | None = None
) -> dict[str, np.ndarray]:
    """Raw outputs of the integer reference."""
    total, step = vectors.samples_of(raw), 500
    parts = []
    for start in range(0, total, step):
        parts.append(reference.run(graph, {name: array[start : start + step] for name, array in raw.items()}))
        if progress:
            progress(min(start + step, total), total)
    return {port.name: np.concatenate([part[port.name] for part in parts]) for port in graph.outputs}


def witness(path: Path, graph: Graph, raw: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict:
    """How far onnxruntime, without graph optimisations, is from the integer arithmetic, over the whole network.

    Rounding differs (half to even there, half up here), so that a level may move now and then.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UsageError(f"{path}: onnxruntime does not load it: {str(error).splitlines()[0]}") from None
    total = vectors.samples_of(raw)
    symbolic = not isinstance(session.get_inputs()[0].shape[0], int)
    step = 250 if symbolic else 1
    parts = []
    for start in range(0, total, step):
        feeds = {}
        for port in graph.inputs:
            q = raw[port.name][start : start + step]
            feeds[port.name] = vectors.dequantize(port, graph, q) if port.dtype == "float32" else q
        parts.append(session.run([port.name for port in graph.outputs], feeds))
    largest, equal, count, agree = 0, 0, 0, []
    for k, port in enumerate(graph.outputs):
        theirs = np.concatenate([np.asarray(part[k]) for part in parts])
        levels = vectors.quantize(port, graph, theirs) if port.dtype == "float32" else theirs
        difference = np.abs(levels.astype(np.int32) - expected[port.name].astype(np.int32))
        largest = max(largest, int(difference.max(initial=0)))
        equal += int((difference == 0).sum())
        count += difference.size
        a, b = levels.reshape(total, -1), expected[port.name].reshape(total, -1)
        # A tie for the top class is no disagreement.
        agree.append(np.take_along_axis(b, a.argmax(axis=1)[:, None], axis=1)[:, 0] == b.max(axis=1))
    return {
        "max_level_difference": largest,
        "equal_fraction": equal / max(count, 1),
        "top1_agreement": float(np.mean(agree)),
    }


def report(model: str, results: list[BoardResult], onnxruntime: dict) -> dict:
    """The JSON of `lamella verify`."""
    return {
        "model": model,
        "bit_exact": all(r.mismatches == 0 for r in results),
        "boards": [asdict(r) for r in results],
        "onnxruntime": onnxruntime,
    }
