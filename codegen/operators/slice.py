"""A run of places along one axis: Slice and Split; several of them, one behind the other: Gather."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.concat import Concat
from lamella.codegen.operators.record import Operator

#: A Gather takes at most so many slices.
MOST_RUNS = 16


@dataclass(frozen=True)
class Slice:
    """From place `start` of an axis; the output's shape says how many."""

    axis: int
    start: int


def read(reader, node) -> None:
    """ONNX Slice, Split, and Gather with constant indices; along any axis but the batch."""
    x = reader.activation(node, 0, rows=True)
    {"Slice": _slice, "Split": _split, "Gather": _gather}[node.op_type](reader, node, x, reader.shape_of(x))


def _slice(reader, node, x: Tensor, shape: tuple[int, ...]) -> None:
    old = reader.attributes(node, starts=None, ends=None, axes=None)  # as attributes before opset 10
    starts, ends = (reader.constant(node, 1 + k, old[key]) for k, key in enumerate(("starts", "ends")))
    axes = reader.constant(node, 3, old["axes"])
    axes = range(len(starts)) if axes is None else axes
    steps = reader.constant(node, 4, [1] * len(starts))
    ranges = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if not -len(shape) <= int(axis) < len(shape) or int(step) < 1:
            raise reader.unsupported(node, f"steps of {int(step)} along axis {int(axis)} of shape {shape}")
        place = int(axis) % len(shape)
        ranges[place] = (*slice(int(start), int(end)).indices(shape[place])[:2], int(step))
    cut = [(axis, *r) for axis, r in ranges.items() if r != (0, shape[axis], 1)] or [(0, 0, shape[0], 1)]
    for axis, start, end, step in cut[:-1]:
        x = _stepped(reader, node, x, axis, start, end, step)
    _stepped(reader, node, x, *cut[-1], node.output[0])


def _stepped(reader, node, x: Tensor, axis: int, start: int, end: int, step: int, output: str | None = None) -> Tensor:
    """Every step-th place of a run: of a whole number of steps, seen as two axes, one place of the second."""
    if step == 1:
        return _part(reader, node, x, axis, start, end - start, output)
    shape = reader.shape_of(x)
    count = -(-(end - start) // step)
    first = min(start, shape[axis] - count * step)
    if count < 1 or first < 0 or axis == 0:
        raise reader.unsupported(node, f"{count} steps of {step} from {start} along axis {axis} of shape {shape}")
    whole = _part(reader, node, x, axis, first, count * step)
    pairs = reader.view(node, whole, (*shape[:axis], count, step, *shape[axis + 1 :]))
    one = _part(reader, node, pairs, axis + 1, start - first, 1)
    return reader.view(node, one, (*shape[:axis], count, *shape[axis + 1 :]), output)


def _split(reader, node, x: Tensor, shape: tuple[int, ...]) -> None:
    a = reader.attributes(node, axis=0, split=None, num_outputs=None)
    axis = a["axis"] % len(shape)
    sizes = reader.constant(node, 1, a["split"])
    if sizes is None:
        share = -(-shape[axis] // len(node.output))
        sizes = [min(share, shape[axis] - k * share) for k in range(len(node.output))]
    if len(sizes) != len(node.output) or sum(int(n) for n in sizes) != shape[axis]:
        raise reader.unsupported(node, f"parts {[int(n) for n in sizes]} of an axis of {shape[axis]}")
    starts = np.cumsum([0, *sizes])
    for start, size, output in zip(starts, sizes, node.output, strict=False):
        if output:
            _part(reader, node, x, axis, int(start), int(size), output)


def _gather(reader, node, x: Tensor, shape: tuple[int, ...]) -> None:
    axis = reader.attributes(node, axis=0)["axis"] % len(shape)
    index = np.asarray(reader.constant(node, 1))
    places = [int(place) for place in index.reshape(-1)]
    if not places or not all(-shape[axis] <= place < shape[axis] for place in places):
        raise reader.unsupported(
            node, f"indices of shape {index.shape} that are not all places of an axis of {shape[axis]}"
        )
    found = _runs([place % shape[axis] for place in places])
    if len(found) > MOST_RUNS or (len(found) > 1 and reader.is_rows(x)):
        raise reader.unsupported(
            node, f"{len(places)} indices in {len(found)} runs; up to {MOST_RUNS} runs are supported"
        )
    parts = [_part(reader, node, x, axis, start, size) for start, size in found]
    inner = parts[0]
    if len(parts) > 1:
        joined = (*shape[:axis], len(places), *shape[axis + 1 :])
        same = Concat(axis, (None,) * len(parts))
        inner = reader.add_hidden("concat", node, parts, joined, x.quantization, same)
    reader.view(node, inner, (*shape[:axis], *index.shape, *shape[axis + 1 :]), node.output[0])


def _runs(places: list[int]) -> list[tuple[int, int]]:
    """Places as (first, how many) of those that follow one another."""
    found: list[tuple[int, int]] = []
    for place in places:
        start, size = found[-1] if found else (0, 0)
        if size and place == start + size:
            found[-1] = (start, size + 1)
        else:
            found.append((place, 1))
    return found


def _part(reader, node, x: Tensor, axis: int, start: int, size: int, output: str | None = None) -> Tensor:
    """Places of an axis in the file; `output`: the ONNX tensor that this is, if it is one."""
    shape, rows = reader.shape_of(x), reader.is_rows(x)
    if size < 1:
        raise reader.unsupported(node, "an empty slice")
    part = (*shape[:axis], size, *shape[axis + 1 :])
    if part == shape:
        return reader.view(node, x, shape, output)
    if axis == 0 and not rows:
        raise reader.unsupported(node, "a slice of the batch; any other axis is supported")
    if output is not None and not rows:
        return reader.add("slice", node, [x], part, x.quantization, Slice(axis, start), output)
    inside = (1, *part) if rows else part
    inner = reader.add_hidden("slice", node, [x], inside, x.quantization, Slice(axis + rows, start))
    return inner if output is None else reader.view(node, inner, part, output)


def runs(graph: Graph, node: Node) -> tuple[int, int, int, int]:
    """(runs, bytes from one to the next in the input, bytes before the first, bytes of each)."""
    x, y, axis = graph.tensors[node.inputs[0]], graph.tensors[node.output], node.attributes.axis
    inner = prod(x.shape[axis + 1 :])
    return prod(x.shape[:axis]), x.shape[axis] * inner, node.attributes.start * inner, y.shape[axis] * inner


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    a: Slice = node.attributes
    return inputs[0].narrow(a.axis, a.start, graph.tensors[node.output].shape[a.axis])


def sample(draw) -> Graph:
    """A random slice."""
    shape = (1, *(draw.integer(1, 6) for _ in range(draw.choice([1, 2, 3]))))
    axis = draw.integer(1, len(shape) - 1)
    start = draw.integer(0, shape[axis] - 1)
    x = draw.tensor("x", shape)
    part = (*shape[:axis], draw.integer(1, shape[axis] - start), *shape[axis + 1 :])
    return sampling.graph("slice", [x], Tensor("y", part, x.quantization), Slice(axis, start))


def details(graph: Graph, node: Node) -> str:
    """Places and axis."""
    a: Slice = node.attributes
    return f"{a.start} to {a.start + graph.tensors[node.output].shape[a.axis]} of axis {a.axis}"


OPERATOR = Operator(
    name="slice",
    title="slice, split, constant places of an axis (Gather)",
    onnx=("Slice", "Split", "Gather"),
    read=read,
    reference=reference,
    sample=sample,
    keeps_quantization=True,
    details=details,
)
