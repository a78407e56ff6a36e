"""States carried between the calls of a streaming model: which input is the output of the call before, and where they lie.

They lie in a block of the caller's, beside the arena, so that one arena serves many streams and other models between two calls.
A layer reads a state where it lies; its next value is written there too wherever nobody wants the old one any more. What is left
is copied: out of the block before the first layer, into it behind the last.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lamella.codegen import operators
from lamella.codegen.ir import Graph, Port, State
from lamella.errors import UnsupportedError, UsageError

#: Kernels may read words.
ALIGN = 4


def carry(graph: Graph, pairs: Mapping[str, str], first: Mapping[str, np.ndarray] | None = None) -> Graph:
    """The graph with these outputs (by input) as states; first: values of an input before the first call, as they are inside,
    else what stands for 0."""
    inputs, outputs = ({port.name: port for port in ports} for ports in (graph.inputs, graph.outputs))
    found = []
    for before, after in pairs.items():
        x, y = inputs[before], outputs[after]
        _refuse_unlike(graph, x, y)
        values = None if first is None else first.get(before)
        found.append(State(before, after, _zeros(graph, x) if values is None else values))
    carried = replace(graph, states=tuple(found))
    if found and not (carried.caller_inputs and carried.caller_outputs):
        raise UsageError(
            "--state: nothing is left that a caller gives, or that it gets; carry fewer inputs and outputs"
        )
    return carried


def _zeros(graph: Graph, port: Port) -> np.ndarray:
    tensor = graph.tensor_of(port)
    if tensor.is_float:
        return np.zeros(tensor.shape, np.float32)
    return np.full(tensor.shape, tensor.quantization.zero, np.uint8)


def _refuse_unlike(graph: Graph, x: Port, y: Port) -> None:
    """UnsupportedError where the output of one call cannot be the input of the next as it is."""
    before, after = graph.tensor_of(x), graph.tensor_of(y)
    what = f"--state {x.name}={y.name}"
    if before.shape != after.shape:
        raise UnsupportedError(
            f"{what}: input {x.name!r} has shape {before.shape}, output {y.name!r} {after.shape}; a state keeps its shape"
        )
    if (x.dtype, x.raw_dtype) != (y.dtype, y.raw_dtype):
        raise UnsupportedError(
            f"{what}: input {x.name!r} is {_kind(x)}, output {y.name!r} {_kind(y)}; export both in one type"
        )
    if before.quantization != after.quantization:
        texts = (
            f"scale {t.quantization.scale:.9g}, zero point {t.quantization.zero - x.offset}" for t in (before, after)
        )
        raise UnsupportedError(
            f"{what}: input {x.name!r} has {next(texts)}, output {y.name!r} {next(texts)}; quantise both with one scale and zero "
            "point (let them share an observer or a range)"
        )


def _kind(port: Port) -> str:
    return port.dtype if port.dtype == port.raw_dtype else f"{port.dtype} ({port.raw_dtype} inside)"


def offsets(graph: Graph) -> dict[str, int]:
    """Where each state begins in the block, by the name of its input."""
    found, at = {}, 0
    for state, size in _sizes(graph):
        found[state.before] = at
        at += -(-size // ALIGN) * ALIGN
    return found


def block_bytes(graph: Graph) -> int:
    """Bytes of the block."""
    return sum(-(-size // ALIGN) * ALIGN for _, size in _sizes(graph))


def _sizes(graph: Graph) -> list[tuple[State, int]]:
    inputs = {port.name: port for port in graph.inputs}
    return [(state, graph.tensor_of(inputs[state.before]).bytes) for state in graph.states]


def in_block(graph: Graph, owner: Mapping[str, str], lives: Mapping[str, tuple[int, int, int]]) -> dict[str, int]:
    """Tensors that lie in the block and not in the arena, by their offset there. owner, lives: as lamella.codegen.plan has them,
    lives of all tensors.

    A state that goes out as it came, to the caller or as a state, is copied into the arena first: so nothing that is copied
    behind the last layer lies where something is written then.
    """
    inputs, outputs = ({port.name: port.tensor for port in ports} for ports in (graph.inputs, graph.outputs))
    ends = [owner[tensor] for tensor in outputs.values()]
    at, found = offsets(graph), {}
    for state in graph.states:
        before, after = inputs[state.before], outputs[state.after]
        if before in ends:
            continue
        found[before] = at[state.before]
        alone = owner[after] == after and ends.count(after) == 1 and after not in inputs.values()
        if alone and _written_late(graph, owner, lives, before, after):
            found[after] = at[state.before]
    return found


def _written_late(
    graph: Graph, owner: Mapping[str, str], lives: Mapping[str, tuple[int, int, int]], before: str, after: str
) -> bool:
    """Whether a state's next value is begun when nobody reads the old one any more, or by an operator that works in place."""
    written, read = lives[after][0], lives[before][1]
    if read != written:
        return read < written
    node = graph.nodes[written]
    reads = [name for name in node.inputs if owner[name] == before]
    whole = all(graph.tensors[name].bytes == graph.tensors[before].bytes for name in reads)
    return node.output == after and operators.get(node.op).in_place and whole
