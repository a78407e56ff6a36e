"""Constant padding of rows and columns. Padding in front of a convolution is folded into it (passes.fold_pads)."""

from dataclasses import dataclass
from math import floor

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling, windows
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Pad2d:
    """pads as (top, left, bottom, right); value as a quantised level."""

    pads: tuple[int, int, int, int]
    value: int


def read(reader, node) -> None:
    """ONNX Pad, mode constant, all axes behind the channels."""
    a = reader.attributes(node, mode="constant", pads=None, value=0.0)
    x = windows.image(reader, node)
    if a["mode"] != "constant":
        raise reader.unsupported(node, f"mode {a['mode']!r}; constant is supported")
    pads = [int(p) for p in reader.constant(node, 1, a["pads"])]
    axes = reader.constant(node, 3)
    rank = len(reader.activation(node, 0).shape)
    axes = [int(v) % rank for v in axes] if axes is not None else list(range(rank))
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0 or max(pads, default=0) > 65535:
        raise reader.unsupported(node, f"pads {pads} for axes {axes}; they must not be negative")
    first, last = dict(zip(axes, pads, strict=False)), dict(zip(axes, pads[len(axes) :], strict=True))
    if any(table.get(axis, 0) for table in (first, last) for axis in (0, 1)):
        raise reader.unsupported(node, "padding of batch or channels; rows and columns are supported")
    value = reader.constant(node, 2, a["value"])
    q = x.quantization
    level = q.zero + floor(float(value.reshape(-1)[0] if hasattr(value, "reshape") else value) / q.scale + 0.5)
    rows, columns = 2 if rank == 4 else None, rank - 1
    amounts = tuple(table.get(axis, 0) for table in (first, last) for axis in (rows, columns))
    shape = (1, x.shape[1], x.shape[2] + amounts[0] + amounts[2], x.shape[3] + amounts[1] + amounts[3])
    windows.add(reader, "pad2d", node, x, shape, q, Pad2d(amounts, min(255, max(0, level))))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch.nn.functional as F

    top, left, bottom, right = node.attributes.pads
    return F.pad(inputs[0], (left, right, top, bottom), value=node.attributes.value)


def sample(draw) -> Graph:
    """A random padding."""
    x = draw.tensor("x", (1, draw.integer(1, 4), draw.integer(1, 8), draw.integer(1, 8)))
    top, left, bottom, right = pads = tuple(draw.integer(0, 3) for _ in range(4))
    y = Tensor("y", (1, x.shape[1], x.shape[2] + top + bottom, x.shape[3] + left + right), x.quantization)
    return sampling.graph("pad2d", [x], y, Pad2d(pads, draw.integer(0, 255)))


OPERATOR = Operator(
    name="pad2d",
    title="constant padding of rows and columns",
    onnx=("Pad",),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
    keeps_quantization=True,
)
