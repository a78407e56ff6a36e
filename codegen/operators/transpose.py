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
    """ONNX Transpose that keeps the batch and swaps two neighbouring groups of axes."""
    x = reader.activation(node, 0)
    rank = len(x.shape)
    perm = reader.attributes(node, perm=None)["perm"]
    perm = [int(axis) for axis in perm] if perm else list(reversed(range(rank)))
    if sorted(perm) != list(range(rank)) or (perm[0] != 0 and x.shape[perm[0]] != 1):
        raise reader.unsupported(node, f"perm {perm}; the batch must stay the first axis")
    shape = tuple(x.shape[axis] for axis in perm)
    groups = _groups(x.shape, perm)
    if len(groups) == 1:
        reader.view(node, x, shape, node.output[0])
        return
    order = sorted(groups)
    at = next(k for k, group in enumerate(order) if group != groups[k])
    if groups[: at + 2] != [*order[:at], order[at + 1], order[at]] or groups[at + 2 :] != order[at + 2 :]:
        raise reader.unsupported(node, f"perm {perm} of shape {x.shape}; only two groups of axes may change places")
    sizes = [prod(x.shape[axis] for axis in group) for group in order]
    attributes = Transpose(prod(sizes[:at]), sizes[at], sizes[at + 1], prod(sizes[at + 2 :]))
    reader.add("transpose", node, [x], shape, x.quantization, attributes)


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
    title="exchange of two neighbouring groups of axes",
    onnx=("Transpose",),
    read=read,
    reference=reference,
    sample=sample,
    keeps_quantization=True,
    details=lambda graph, node: f"{node.attributes.rows}x{node.attributes.cols}",
)
