"""Constant padding of rows and columns, or of any axis seen as rows. Padding in front of a convolution is folded into it
(passes.fold_pads)."""

from dataclasses import dataclass
from math import floor, prod

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling, windows
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Pad2d:
    """pads as (top, left, bottom, right); value as a quantised level."""

    pads: tuple[int, int, int, int]
    value: int


def read(reader, node) -> None:
    """ONNX Pad, mode constant, all axes but the batch: rows and columns at once, others one after the other."""
    a = reader.attributes(node, mode="constant", pads=None, value=0.0)
    x = reader.activation(node, 0)
    if a["mode"] != "constant":
        raise reader.unsupported(node, f"mode {a['mode']!r}; constant is supported")
    pads = [int(p) for p in reader.constant(node, 1, a["pads"])]
    axes = reader.constant(node, 3)
    rank = len(x.shape)
    axes = [int(v) % rank for v in axes] if axes is not None else list(range(rank))
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0 or max(pads, default=0) > 65535:
        raise reader.unsupported(node, f"pads {pads} for axes {axes}; they must not be negative")
    value = reader.constant(node, 2, a["value"])
    q = x.quantization
    level = q.zero + floor(float(value.reshape(-1)[0] if hasattr(value, "reshape") else value) / q.scale + 0.5)
    level = min(255, max(0, level))
    amounts = {axis: (n, m) for axis, n, m in zip(axes, pads, pads[len(axes) :], strict=False) if n or m}
    if 0 in amounts:
        raise reader.unsupported(node, "padding of the batch; any other axis is supported")
    if rank in (3, 4) and 1 not in amounts:
        (top, bottom), (left, right) = (amounts.get(axis, (0, 0)) for axis in (2 if rank == 4 else None, rank - 1))
        x = windows.image(reader, node)
        shape = (1, x.shape[1], x.shape[2] + top + bottom, x.shape[3] + left + right)
        windows.add(reader, "pad2d", node, x, shape, q, Pad2d((top, left, bottom, right), level))
        return
    for axis in sorted(amounts, reverse=True):
        x = _padded(reader, node, x, axis, *amounts[axis], level)
    reader.view(node, x, x.shape, node.output[0])


def _padded(reader, node, x: Tensor, axis: int, before: int, after: int, level: int) -> Tensor:
    """One axis, as the rows of an image."""
    outer, size, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    size += before + after
    image = reader.view(node, x, (1, outer, x.shape[axis], inner))
    pads = Pad2d((before, 0, after, 0), level)
    image = reader.add_hidden("pad2d", node, [image], (1, outer, size, inner), x.quantization, pads)
    return reader.view(node, image, (*x.shape[:axis], size, *x.shape[axis + 1 :]))


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
    title="constant padding",
    onnx=("Pad",),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
    keeps_quantization=True,
)
