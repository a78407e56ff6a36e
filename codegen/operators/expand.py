"""Repetition along axes: broadcasting made explicit, Expand, and enlarging images by whole factors (nearest)."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Expand:
    """The input as (outer, middle, inner) becomes (outer, times, middle, copies, inner)."""

    outer: int
    times: int
    middle: int
    copies: int
    inner: int


def read(reader, node) -> None:
    """ONNX Expand and Tile; the batch stays one."""
    x = reader.activation(node, 0)
    wanted = [int(d) for d in reader.constant(node, 1)]
    reader.attributes(node)
    if node.op_type == "Tile":
        if len(wanted) != len(x.shape) or any(n > 1 and d > 1 for n, d in zip(wanted, x.shape, strict=True)):
            raise reader.unsupported(node, f"repeats {wanted} of shape {x.shape}; axes of one place can be repeated")
        shape = tuple(n * d for n, d in zip(wanted, x.shape, strict=True))
    else:
        shape = broadcast(reader, node, x.shape, tuple(wanted))
    add(reader, node, x, shape, node.output[0])


def broadcast(reader, node, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that numpy's rules give."""
    try:
        return tuple(int(d) for d in np.broadcast_shapes(*shapes))
    except ValueError:
        listed = " and ".join(str(s) for s in shapes)
        raise reader.unsupported(node, f"shapes {listed} do not broadcast; reshape one of them") from None


def add(reader, node, x: Tensor, shape: tuple[int, ...], output: str | None = None) -> Tensor:
    """The tensor repeated to a larger shape, by as many operators as it takes; `output`: the ONNX tensor that this is."""
    small = (1,) * (len(shape) - len(x.shape)) + x.shape
    steps = list(_steps(small, shape))
    for k, (attributes, part) in enumerate(steps):
        last = output is not None and k == len(steps) - 1
        append = reader.add if last else reader.add_hidden
        x = append("expand", node, [x], part, x.quantization, attributes)
    if not steps and (output is not None or x.shape != shape):
        x = reader.view(node, x, shape, output)
    return x


def _steps(small: tuple[int, ...], shape: tuple[int, ...]):
    """(attributes, shape so far): two runs of repeated axes at once, the last ones first."""
    now = list(small)
    while now != list(shape):
        repeated = [a for a in range(len(shape)) if now[a] != shape[a]]
        second = _run(now, shape, repeated[-1])
        before = [a for a in repeated if a < second[0]]
        first = _run(now, shape, before[-1]) if before else (second[0], second[0])
        attributes = Expand(
            prod(now[: first[0]]),
            prod(shape[first[0] : first[1]]),
            prod(now[first[1] : second[0]]),
            prod(shape[second[0] : second[1]]),
            prod(now[second[1] :]),
        )
        for start, end in (first, second):
            now[start:end] = shape[start:end]
        yield attributes, tuple(now)


def _run(now: list[int], shape: tuple[int, ...], last: int) -> tuple[int, int]:
    """The axes of one place up to `last`, as far as they stand side by side: (first, behind the last)."""
    first = last
    while first > 0 and now[first - 1] == 1:
        first -= 1
    return first, last + 1


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    a: Expand = node.attributes
    x = inputs[0].reshape(-1, a.outer, 1, a.middle, 1, a.inner)
    return x.expand(-1, -1, a.times, -1, a.copies, -1).reshape(len(inputs[0]), *graph.tensors[node.output].shape[1:])


def sample(draw) -> Graph:
    """A random repetition."""
    a = Expand(*(draw.integer(1, n) for n in (3, 3, 5, 4, 3)))
    x = draw.tensor("x", (1, a.outer, a.middle, a.inner))
    y = Tensor("y", (1, a.outer, a.times, a.middle, a.copies, a.inner), x.quantization)
    return sampling.graph("expand", [x], y, a)


OPERATOR = Operator(
    name="expand",
    title="repetition along axes: broadcasting, Expand, Tile",
    onnx=("Expand", "Tile"),
    read=read,
    reference=reference,
    sample=sample,
    keeps_quantization=True,
    details=lambda graph, node: f"{node.attributes.times} x {node.attributes.copies} times",
)
