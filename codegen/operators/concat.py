"""Concatenation along any axis but the batch; inputs of other scales are rescaled on the way, parts may be constant."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Requant, Sink, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Concat:
    """requants: one per input, None where the input has the quantisation (and range) of the output. constants: parts that are
    no inputs, each as its place among all parts and its values as they lie in the output (uint8 or float32)."""

    axis: int
    requants: tuple[Requant | None, ...]
    constants: tuple[tuple[int, np.ndarray], ...] = ()

    def parts(self, inputs: Iterable) -> Iterator[tuple[object, Requant | None, np.ndarray | None]]:
        """All parts in order: (input, its requant, None) or (None, None, values)."""
        fixed, ways = dict(self.constants), zip(inputs, self.requants, strict=True)
        for k in range(len(fixed) + len(self.requants)):
            yield (None, None, fixed[k]) if k in fixed else (*next(ways), None)


def read(reader, node) -> None:
    """ONNX Concat."""
    axis = reader.attributes(node, axis=None)["axis"]
    fixed = {k: np.asarray(reader.constant(node, k)) for k, name in enumerate(node.input) if reader.is_constant(name)}
    if len(fixed) == len(node.input):
        fixed = {}  # then nothing is left of the node: refused as a layer of constants alone
    parts = [reader.activation(node, k, rows=True) for k in range(len(node.input)) if k not in fixed]
    left = iter(parts)
    shapes = [fixed[k].shape if k in fixed else reader.shape_of(next(left)) for k in range(len(node.input))]
    rank = len(shapes[0])
    if axis is None or not -rank <= axis < rank:
        raise reader.unsupported(node, f"axis {axis} for shapes {', '.join(map(str, shapes))}")
    axis %= rank
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] or 0 in s for s in shapes):
        raise reader.unsupported(node, f"shapes {', '.join(map(str, shapes))}")
    shape = [*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]]
    in_front = axis == 0 or any(map(reader.is_rows, parts))  # then all get an axis of 1 in front
    if in_front:
        parts = [p if reader.is_rows(p) else reader.view(node, p, (1, *p.shape)) for p in parts]
    sink = reader.sink(node)
    full = (sink.low, sink.high) == (0, 255)
    requants = tuple(
        None
        if full and p.quantization == sink.quantization
        else reader.requant(node, p.quantization.scale, np.ones(1), sink)
        for p in parts
    )
    constants = tuple(
        (k, _levels(values, sink).reshape((1,) * in_front + values.shape)) for k, values in sorted(fixed.items())
    )
    attributes = Concat(axis + in_front, requants, constants)
    if not in_front:
        reader.add("concat", node, parts, tuple(shape), sink.quantization, attributes)
        return
    whole = reader.add_hidden("concat", node, parts, (1, *shape), sink.quantization, attributes)
    reader.view(node, whole, tuple(shape), node.output[0])


def _levels(values: np.ndarray, sink: Sink) -> np.ndarray:
    """Real numbers as levels of the result."""
    levels = np.floor(values / np.float64(np.float32(sink.quantization.scale)) + 0.5) + sink.quantization.zero
    return levels.clip(sink.low, sink.high).astype(np.uint8)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    found = []
    for given, q, values in node.attributes.parts(zip(inputs, node.inputs, strict=True)):
        if values is not None:
            found.append(torch.tensor(values).expand(len(inputs[0]), *values.shape[1:]))
            continue
        x, name = given
        if q is not None:
            x = exact.requantize(x.to(torch.int64) - graph.tensors[name].quantization.zero, q)
        found.append(x)
    return torch.cat(found, dim=node.attributes.axis)


def sample(draw) -> Graph:
    """A random concatenation of two or three tensors, one of which may be constant."""
    rank = draw.choice([2, 4])
    axis = draw.integer(1, rank - 1)
    common = [1, *(draw.integer(1, 5) for _ in range(rank - 1))]
    quantization = draw.quantization(0.05)
    parts, requants, constants, length = [], [], [], 0
    count = draw.integer(2, 3)
    fixed = draw.integer(0, 2 * count)
    for k in range(count):
        shape = (*common[:axis], draw.integer(1, 5), *common[axis + 1 :])
        length += shape[axis]
        if k == fixed:
            values = np.array([draw.integer(0, 255) for _ in range(prod(shape))], np.uint8)
            constants.append((k, values.reshape(shape)))
            continue
        part = draw.tensor(f"x{k}", shape)
        if draw.choice([True, False]):
            part = Tensor(part.name, part.shape, quantization)
            requants.append(None)
        else:
            requants.append(draw.requant(part.quantization.scale, np.ones(1), quantization))
        parts.append(part)
    y = Tensor("y", (*common[:axis], length, *common[axis + 1 :]), quantization)
    return sampling.graph("concat", parts, y, Concat(axis, tuple(requants), tuple(constants)))


OPERATOR = Operator(
    name="concat",
    title="concatenation along any axis",
    onnx=("Concat",),
    read=read,
    reference=reference,
    sample=sample,
    details=lambda graph, node: f"axis {node.attributes.axis}",
)
