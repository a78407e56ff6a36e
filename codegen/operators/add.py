"""Sum or difference of two activations of the same shape (residual connections, recurrent cells)."""

from dataclasses import dataclass

from lamella import requant
from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import broadcast, sampling, table
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Add:
    """Both multipliers on one shift (lamella.requant.quantize_multipliers_shared); a difference has a negative one."""

    multipliers: tuple[int, int]
    shift: int
    zero: int
    low: int
    high: int


def read(reader, node) -> None:
    """ONNX Add and Sub of two quantised activations, or of one and constants."""
    if table.read_with_number(reader, node) or broadcast.read_with_array(reader, node):
        return
    reader.attributes(node)
    a, b = broadcast.activations(reader, node)
    sink = reader.sink(node)
    y = sink.quantization
    try:
        multipliers, shift = multipliers_of(a.quantization.scale, b.quantization.scale, y.scale)
    except ValueError as error:
        raise reader.unsupported(node, f"{error}: the scales of inputs and output do not fit together") from None
    if node.op_type == "Sub":
        multipliers = (multipliers[0], -multipliers[1])
    reader.add("add", node, [a, b], a.shape, y, Add(multipliers, shift, y.zero, sink.low, sink.high))


def multipliers_of(a_scale: float, b_scale: float, y_scale: float) -> tuple[tuple[int, int], int]:
    """((a, b), shift) from the scales."""
    scales = [requant.effective_scale(s, 1.0, y_scale) for s in (a_scale, b_scale)]
    (a, b), shift = requant.quantize_multipliers_shared(scales)
    return (a, b), shift


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result: one rounding of the exact sum."""
    import torch

    a: Add = node.attributes
    total = sum(
        (x.to(torch.int64) - graph.tensors[name].quantization.zero) * m
        for x, name, m in zip(inputs, node.inputs, a.multipliers, strict=True)
    )
    return (((total + (1 << (a.shift - 1))) >> a.shift) + a.zero).clamp(a.low, a.high).to(torch.uint8)


def sample(draw) -> Graph:
    """A random addition or subtraction, sometimes of a tensor and itself."""
    a = draw.tensor("a", (1, draw.integer(1, 60)))
    b = a if draw.choice([False, False, True]) else draw.tensor("b", a.shape)
    y = draw.quantization(max(a.quantization.scale, b.quantization.scale))
    multipliers, shift = multipliers_of(a.quantization.scale, b.quantization.scale, y.scale)
    low, high = draw.range()
    if draw.choice([False, False, True]):
        multipliers = (multipliers[0], -multipliers[1])
    return sampling.graph("add", [a, b], Tensor("y", a.shape, y), Add(multipliers, shift, y.zero, low, high))


OPERATOR = Operator(
    name="add",
    title="sum and difference of two activations, or of one and constants",
    onnx=("Add", "Sub"),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: "difference" if min(node.attributes.multipliers) < 0 else "",
)
