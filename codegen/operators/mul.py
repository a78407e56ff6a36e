"""Product of two activations of the same shape, element by element (gates)."""

from dataclasses import dataclass

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import broadcast, sampling, table
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Mul:
    """y = requant((a - zero point of a) * (b - zero point of b)); scale of a times scale of b as of input and weights."""

    requant: Requant


def read(reader, node) -> None:
    """ONNX Mul of two quantised activations, or of one and constants."""
    if table.read_with_number(reader, node) or broadcast.read_with_array(reader, node):
        return
    reader.attributes(node)
    a, b = broadcast.activations(reader, node)
    sink = reader.sink(node)
    requant = reader.requant(node, a.quantization.scale, b.quantization.scale, sink)
    reader.add("mul", node, [a, b], a.shape, sink.quantization, Mul(requant))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    a, b = (
        x.to(torch.int64) - graph.tensors[name].quantization.zero for x, name in zip(inputs, node.inputs, strict=True)
    )
    return exact.requantize(a * b, node.attributes.requant)


def sample(draw) -> Graph:
    """A random product, sometimes of a tensor with itself."""
    a = draw.tensor("a", (1, draw.integer(1, 60)))
    b = a if draw.choice([False, False, True]) else draw.tensor("b", a.shape)
    y = draw.quantization(a.quantization.scale * b.quantization.scale * draw.choice([0.3, 100]))
    requant = draw.requant(a.quantization.scale, b.quantization.scale, y)
    return sampling.graph("mul", [a, b], Tensor("y", a.shape, y), Mul(requant))


OPERATOR = Operator(
    name="mul",
    title="product of two activations, or of one and constants, element by element",
    onnx=("Mul",),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
)
