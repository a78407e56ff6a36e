"""Two neighbouring groups of axes change places: (1, length, channels) to (1, channels, length), and the like."""

from dataclasses import dataclass
from math import prod

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Transpose:
    """The input as (outer, rows, cols, inner) becomes (outer, cols, rows, inner)."""

    outer: int
    rows: int
    cols: int
    inner: int


def read(reader, node) -> None:
    """ONNX Transpose, DepthToSpace and SpaceToDepth."""
    _blocks(reader, node) if node.op_type != "Transpose" else _transpose(reader, node)


def _blocks(reader, node) -> None:
    """Channels to places within blocks of pixels, and back."""
    a = reader.attributes(node, blocksize=None, mode="DCR")
    x, b = reader.activation(node, 0), a["blocksize"]
    if len(x.shape) != 4 or not b or b < 1:
        raise reader.unsupported(node, f"blocks of {b} for an input of shape {x.shape}; images are supported")
    _, c, rows, cols = x.shape
    if node.op_type == "SpaceToDepth":
        if rows % b or cols % b:
            raise reader.unsupported(node, f"blocks of {b} for an input of shape {x.shape}")
        seen, perm = (1, c, rows // b, b, cols // b, b), [0, 3, 5, 1, 2, 4]
        shape = (1, c * b * b, rows // b, cols // b)
    else:
        if c % (b * b):
            raise reader.unsupported(node, f"blocks of {b} for an input of shape {x.shape}")
        column_first = a["mode"] == "CRD"
        seen = (1, c // b**2, b, b, rows, cols) if column_first else (1, b, b, c // b**2, rows, cols)
        perm = [0, 1, 4, 2, 5, 3] if column_first else [0, 3, 4, 1, 5, 2]
        shape = (1, c // b**2, rows * b, cols * b)
    permuted(reader, node, x, seen, perm, shape, node.output[0])


def _transpose(reader, node) -> None:
    """ONNX Transpose in any order, as exchanges of neighbouring groups of axes."""
    x = reader.activation(node, 0, rows=True)
    seen = reader.shape_of(x)
    perm = reader.attributes(node, perm=None)["perm"]
    perm = [int(axis) for axis in perm] if perm else list(reversed(range(len(seen))))
    if sorted(perm) != list(range(len(seen))):
        raise reader.unsupported(node, f"perm {perm} for an input of shape {seen}")
    shape = tuple(seen[axis] for axis in perm)
    if (not reader.is_rows(x) and shape[0] == 1) or len(_groups(seen, perm)) == 1:
        permuted(reader, node, x, seen, perm, shape, node.output[0])
    else:
        reader.view(node, permuted(reader, node, x, seen, perm, (1, *shape), None), shape, node.output[0])


def permuted(reader, node, x: Tensor, seen: tuple[int, ...], perm: list[int], shape, output: str | None) -> Tensor:
    """x, seen as a tensor of that shape, with its axes in another order and then of shape `shape`; `output`: the ONNX
    tensor that this is, if it is one."""
    groups = _groups(seen, perm)
    if len(groups) == 1:
        return reader.view(node, x, shape, output)
    swaps = _swaps([prod(seen[axis] for axis in group) for group in groups], groups)
    for swap in swaps[:-1]:
        part = (1, swap.outer, swap.cols, swap.rows, swap.inner)
        x = reader.add_hidden("transpose", node, [x], part, x.quantization, swap)
    if output is None:
        return reader.add_hidden("transpose", node, [x], shape, x.quantization, swaps[-1])
    return reader.add("transpose", node, [x], shape, x.quantization, swaps[-1], output)


def _swaps(sizes: list[int], groups: list[list[int]]) -> list[Transpose]:
    """Exchanges of neighbours that bring groups of these sizes into this order: each puts one into its place, from the
    side where fewer are needed."""
    wanted = [sorted(groups).index(group) for group in groups]
    size = dict(zip(wanted, sizes, strict=True))
    found = []
    for last in (False, True):
        now, swaps = sorted(wanted), []
        for step in range(len(now)):
            place = len(now) - 1 - step if last else step
            at = now.index(wanted[place])
            if at == place:
                continue
            # The group, and all that stands between it and its place, change places.
            start, middle, end = (at, at + 1, place + 1) if last else (place, at, at + 1)
            parts = now[:start], now[start:middle], now[middle:end], now[end:]
            swaps.append(Transpose(*(prod(size[group] for group in part) for part in parts)))
            now = [*parts[0], *parts[2], *parts[1], *parts[3]]
        found.append(swaps)
    return min(found, key=len)


def _groups(shape: tuple[int, ...], perm: list[int]) -> list[list[int]]:
    """Axes in their new order, those that stay neighbours together, axes of one place left out."""
    left = [axis for axis in range(len(shape)) if shape[axis] != 1]
    groups: list[list[int]] = []
    for axis in (axis for axis in perm if axis in left):
        if groups and left.index(groups[-1][-1]) + 1 == left.index(axis):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups or [[0]]


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same values."""
    a: Transpose = node.attributes
    x = inputs[0].reshape(-1, a.outer, a.rows, a.cols, a.inner)
    return x.transpose(2, 3).reshape(-1, *graph.tensors[node.output].shape[1:])


def sample(draw) -> Graph:
    """A random exchange."""
    outer, rows, cols, inner = (draw.integer(1, n) for n in (3, 6, 6, 3))
    x = draw.tensor("x", (1, outer, rows, cols, inner))
    y = Tensor("y", (1, outer, cols, rows, inner), x.quantization)
    return sampling.graph("transpose", [x], y, Transpose(outer, rows, cols, inner))


OPERATOR = Operator(
    name="transpose",
    title="axes in any order, as exchanges of neighbouring groups",
    onnx=("Transpose", "DepthToSpace", "SpaceToDepth"),
    read=read,
    reference=reference,
    sample=sample,
    keeps_quantization=True,
    details=lambda graph, node: f"{node.attributes.rows}x{node.attributes.cols}",
)
