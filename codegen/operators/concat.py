"""Concatenation along any axis but the batch; inputs of other scales are rescaled on the way."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Concat:
    """requants: one per input, None where the input has the quantisation (and range) of the output."""

    axis: int
    requants: tuple[Requant | None, ...]


def read(reader, node) -> None:
    """ONNX Concat."""
    axis = reader.attributes(node, axis=None)["axis"]
    parts = [reader.activation(node, i, rows=True) for i in range(len(node.input))]
    shapes = [reader.shape_of(part) for part in parts]
    rank = len(shapes[0])
    if axis is None or not -rank <= axis < rank:
        raise reader.unsupported(node, f"axis {axis} for shapes {', '.join(map(str, shapes))}")
    axis %= rank
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes):
        raise reader.unsupported(node, f"shapes {', '.join(map(str, shapes))}")
    in_front = axis == 0 or any(map(reader.is_rows, parts))  # then all get an axis of 1 in front
    if in_front:
        parts = [p if reader.is_rows(p) else reader.view(node, p, (1, *s)) for p, s in zip(parts, shapes, strict=True)]
        axis += 1
    sink = reader.sink(node)
    full = (sink.low, sink.high) == (0, 255)
    requants = tuple(
        None
        if full and p.quantization == sink.quantization
        else reader.requant(node, p.quantization.scale, np.ones(1), sink)
        for p in parts
    )
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    if not in_front:
        reader.add("concat", node, parts, tuple(shape), sink.quantization, Concat(axis, requants))
        return
    whole = reader.add_hidden("concat", node, parts, tuple(shape), sink.quantization, Concat(axis, requants))
    reader.view(node, whole, tuple(shape[1:]), node.output[0])


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    parts = []
    for x, name, q in zip(inputs, node.inputs, node.attributes.requants, strict=True):
        if q is not None:
            x = exact.requantize(x.to(torch.int64) - graph.tensors[name].quantization.zero, q)
        parts.append(x)
    return torch.cat(parts, dim=node.attributes.axis)


def sample(draw) -> Graph:
    """A random concatenation of two or three tensors."""
    rank = draw.choice([2, 4])
    axis = draw.integer(1, rank - 1)
    common = [1, *(draw.integer(1, 5) for _ in range(rank - 1))]
    quantization = draw.quantization(0.05)
    parts, requants = [], []
    for k in range(draw.integer(2, 3)):
        shape = [*common[:axis], draw.integer(1, 5), *common[axis + 1 :]]
        part = draw.tensor(f"x{k}", tuple(shape))
        if draw.choice([True, False]):
            part = Tensor(part.name, part.shape, quantization)
            requants.append(None)
        else:
            requants.append(draw.requant(part.quantization.scale, np.ones(1), quantization))
        parts.append(part)
    shape = (*common[:axis], sum(p.shape[axis] for p in parts), *common[axis + 1 :])
    return sampling.graph("concat", parts, Tensor("y", shape, quantization), Concat(axis, tuple(requants)))


OPERATOR = Operator(
    name="concat",
    title="concatenation along any axis",
    onnx=("Concat",),
    read=read,
    reference=reference,
    sample=sample,
    details=lambda graph, node: f"axis {node.attributes.axis}",
)
