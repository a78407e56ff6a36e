"""Product of two activations as matrices (attention)."""

from dataclasses import dataclass
from math import prod

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import expand, sampling
from lamella.codegen.operators.record import Operator

#: The longest sum of products of 8 bits that 32 bits hold.
DEEPEST = (2**31 - 1) // 255**2


@dataclass(frozen=True)
class MatMul:
    """y = requant((a - zero of a) (b - zero of b)) of matrices; transposed: b lies as (batch, columns, depth)."""

    requant: Requant
    transposed: bool = False


def read(reader, node) -> None:
    """ONNX MatMul of two quantised activations; leading axes broadcast."""
    reader.attributes(node)
    a, b = reader.activation(node, 0), reader.activation(node, 1)
    if len(a.shape) < 3 or len(b.shape) < 3 or a.shape[-1] != b.shape[-2]:
        raise reader.unsupported(node, f"shapes {a.shape} and {b.shape}; matrices behind the batch axis are supported")
    leading = expand.broadcast(reader, node, a.shape[:-2], b.shape[:-2])
    a, b = (x if x.shape[:-2] == leading else expand.add(reader, node, x, (*leading, *x.shape[-2:])) for x in (a, b))
    if a.shape[-1] > DEEPEST or max(a.shape[-2], b.shape[-1], prod(leading)) > 65535:
        raise reader.unsupported(node, f"sums of {a.shape[-1]} products, or more than 65535 rows")
    sink = reader.sink(node)
    requant = reader.requant(node, a.quantization.scale, b.quantization.scale, sink)
    reader.add("matmul", node, [a, b], (*leading, a.shape[-2], b.shape[-1]), sink.quantization, MatMul(requant))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result: every sum is exact in float64."""
    import torch

    from lamella.codegen import exact

    a, b = (
        x.to(torch.float64) - graph.tensors[name].quantization.zero for x, name in zip(inputs, node.inputs, strict=True)
    )
    if node.attributes.transposed:
        b = b.transpose(-1, -2)
    return exact.requantize((a @ b).round().to(torch.int64), node.attributes.requant)


def sizes(graph: Graph, node: Node) -> tuple[int, int, int, int]:
    """(matrices, rows of a, depth, columns of b)."""
    a, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    return prod(a.shape[:-2]), a.shape[-2], a.shape[-1], y.shape[-1]


def sample(draw) -> Graph:
    """A random product, of a matrix and itself transposed too."""
    batch, rows, depth, cols = draw.integer(1, 3), draw.integer(1, 6), draw.integer(1, 20), draw.integer(1, 6)
    transposed = draw.choice([False, True])
    a = draw.tensor("a", (1, batch, rows, depth))
    b = draw.tensor("b", (1, batch, cols, depth) if transposed else (1, batch, depth, cols))
    if transposed and draw.choice([False, True]):
        b, cols = a, rows
    y = draw.quantization(a.quantization.scale * b.quantization.scale * draw.choice([10, 100]))
    requant = draw.requant(a.quantization.scale, b.quantization.scale, y)
    return sampling.graph("matmul", [a, b], Tensor("y", (1, batch, rows, cols), y), MatMul(requant, transposed))


OPERATOR = Operator(
    name="matmul",
    title="product of two activations as matrices",
    onnx=(),  # MatMul is read by the dense layer, which hands on what has no constant
    read=read,
    reference=reference,
    macs=lambda graph, node: prod(sizes(graph, node)),
    sample=sample,
    short_sizes=True,
    details=lambda graph, node: "{} x {}x{} by {}".format(*sizes(graph, node)),
)
