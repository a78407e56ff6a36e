"""The integer reference: a graph executed in PyTorch, exactly; float32 parts operation by operation. It judges the plain C
kernels."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from lamella.codegen import operators, ports
from lamella.codegen.ir import Graph


def run(
    graph: Graph,
    inputs: Mapping[str, np.ndarray],
    chunk: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Raw outputs by port name, those of states left out; inputs are raw values by port name, shape (samples, ...). Where states
    are carried, the samples are calls of one stream, one after the other."""
    parts, done, total = [], 0, len(next(iter(inputs.values())))
    for values in _chunks(graph, inputs, chunk):
        parts.append({port.name: values[port.tensor] for port in graph.caller_outputs})
        done += len(values[graph.caller_outputs[0].tensor])
        if progress:
            progress(done, total)
    return {
        port.name: ports.outside(np.concatenate([part[port.name] for part in parts]), port)
        for port in graph.caller_outputs
    }


def trace(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor (uint8 or float32, inside values) for a few samples, by tensor name."""
    parts = list(_chunks(graph, inputs, chunk=max(1, len(next(iter(inputs.values()))))))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def run_node(graph: Graph, node, inputs: list[np.ndarray]) -> np.ndarray:
    """The result of one node, inside values in and out."""
    with torch.no_grad():
        return (
            operators.get(node.op)
            .reference(graph, node, [torch.from_numpy(np.ascontiguousarray(x)) for x in inputs])
            .numpy()
        )


def _chunks(graph: Graph, inputs: Mapping[str, np.ndarray], chunk: int) -> Iterator[dict[str, np.ndarray]]:
    samples = len(next(iter(inputs.values())))
    tensors = {port.name: port.tensor for port in (*graph.inputs, *graph.outputs)}
    carried = {tensors[state.before]: state.first for state in graph.states}
    for start in range(0, samples, 1 if carried else chunk):
        values = dict(carried)
        for port in graph.caller_inputs:
            values[port.tensor] = ports.inside(inputs[port.name][start : start + (1 if carried else chunk)], port)
        for node in graph.nodes:
            values[node.output] = run_node(graph, node, [values[name] for name in node.inputs])
        carried = {tensors[state.before]: values[tensors[state.after]] for state in graph.states}
        yield values
