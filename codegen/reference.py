"""The integer reference: a graph executed in PyTorch, exactly; float32 parts operation by operation. It judges the plain C
kernels."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from lamella.codegen import operators
from lamella.codegen.ir import Graph, Port


def run(graph: Graph, inputs: Mapping[str, np.ndarray], chunk: int = 250) -> dict[str, np.ndarray]:
    """Raw outputs by port name; inputs are raw values by port name, shape (samples, ...)."""
    parts = [{port.name: values[port.tensor] for port in graph.outputs} for values in _chunks(graph, inputs, chunk)]
    return {port.name: _raw(np.concatenate([part[port.name] for part in parts]), port) for port in graph.outputs}


def trace(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor (uint8 or float32, inside values) for a few samples, by tensor name."""
    return next(_chunks(graph, inputs, chunk=max(1, len(next(iter(inputs.values()))))))


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
    for start in range(0, samples, chunk):
        values = {}
        for port in graph.inputs:
            values[port.tensor] = inside(inputs[port.name][start : start + chunk], port)
        for node in graph.nodes:
            values[node.output] = run_node(graph, node, [values[name] for name in node.inputs])
        yield values


def inside(raw: np.ndarray, port: Port) -> np.ndarray:
    """Values of a graph's tensor from the raw values of its port."""
    return raw if raw.dtype == np.float32 else (raw.astype(np.int16) + port.offset).astype(np.uint8)


def _raw(values: np.ndarray, port: Port) -> np.ndarray:
    if values.dtype == np.float32:
        return values
    return (values.astype(np.int16) - port.offset).astype(port.raw_dtype)
