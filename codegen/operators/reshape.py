"""Another shape for the same bytes: Reshape, Flatten, Squeeze, Unsqueeze. Costs nothing."""

from dataclasses import dataclass, replace
from math import prod

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Reshape:
    """The output's shape says it all."""


def read(reader, node) -> None:
    """ONNX Reshape, Flatten, Squeeze, Unsqueeze."""
    x = reader.activation(node, 0, rows=True)
    shape = _SHAPES[node.op_type](reader, node, replace(x, shape=reader.shape_of(x)))
    if prod(shape) != x.bytes or any(d < 1 for d in shape):
        raise reader.unsupported(node, f"shape {tuple(shape)} for an input of shape {x.shape}")
    reader.add("reshape", node, [x], tuple(shape), x.quantization, Reshape())


def _reshape(reader, node, x: Tensor) -> list[int]:
    keep_zero = not reader.attributes(node, allowzero=0)["allowzero"]
    wanted = [int(d) for d in reader.constant(node, 1)]
    shape = [x.shape[i] if d == 0 and keep_zero and i < len(x.shape) else d for i, d in enumerate(wanted)]
    if shape.count(-1) > 1:
        raise reader.unsupported(node, f"shape {wanted}")
    if -1 in shape:
        rest = prod(d for d in shape if d != -1)
        shape[shape.index(-1)] = x.bytes // rest if rest else 0
    return shape


def _flatten(reader, node, x: Tensor) -> list[int]:
    axis = reader.attributes(node, axis=1)["axis"]
    return [prod(x.shape[:axis]), prod(x.shape[axis:])]


def _axes(reader, node, rank: int) -> list[int] | None:
    axes = reader.constant(node, 1, reader.attributes(node, axes=None)["axes"])
    return None if axes is None else [int(a) % rank for a in axes]


def _squeeze(reader, node, x: Tensor) -> list[int]:
    axes = _axes(reader, node, len(x.shape))
    if axes is None:
        raise reader.unsupported(node, "no axes: the batch would go too; name the axes")
    return [d for i, d in enumerate(x.shape) if i not in axes]


def _unsqueeze(reader, node, x: Tensor) -> list[int]:
    raw = reader.constant(node, 1, reader.attributes(node, axes=None)["axes"])
    rank = len(x.shape) + len(raw)
    shape = list(x.shape)
    for axis in sorted(int(a) % rank for a in raw):
        shape.insert(axis, 1)
    return shape


_SHAPES = {"Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze}


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    return inputs[0].reshape(inputs[0].shape[0], *graph.tensors[node.output].shape[1:])


def sample(draw) -> Graph:
    """A random flattening."""
    x = draw.tensor("x", (1, draw.integer(1, 4), draw.integer(1, 4), draw.integer(1, 4)))
    return sampling.graph("reshape", [x], Tensor("y", (1, prod(x.shape)), x.quantization), Reshape())


OPERATOR = Operator(
    name="reshape",
    title="reshape, flatten, squeeze, unsqueeze: the same bytes",
    onnx=tuple(_SHAPES),
    read=read,
    reference=reference,
    sample=sample,
    is_view=True,
    keeps_quantization=True,
)
