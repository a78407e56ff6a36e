"""The place of the largest (or smallest) value along an axis: a class as the model's result, one byte."""

from dataclasses import dataclass
from math import prod

from lamella.codegen.ir import Graph, Node, Quantization, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator

#: What a place is as an activation: itself.
PLACES = Quantization(1.0, 0)


@dataclass(frozen=True)
class ArgMax:
    """Along `axis`; of equal values the first place, or the last."""

    axis: int
    smallest: bool = False
    last: bool = False


def read(reader, node) -> None:
    """ONNX ArgMax and ArgMin of at most 256 values; a Cast of the place changes nothing here."""
    if node.op_type == "Cast":
        reader.attributes(node, to=None, saturate=1, round_mode="up")
        x = reader.integer(node, 0)
        if x.quantization != PLACES:
            raise reader.unsupported(node, "a Cast of what is no index; use QuantizeLinear and DequantizeLinear")
        reader.integers[node.output[0]] = x.name
        return
    a = reader.attributes(node, axis=0, keepdims=1, select_last_index=0)
    x = reader.activation(node, 0)
    axis = a["axis"] % len(x.shape)
    if axis == 0 or x.shape[axis] > 256:
        raise reader.unsupported(
            node, f"axis {axis} of shape {x.shape}; at most 256 values behind the batch are supported"
        )
    kept = (1,) if a["keepdims"] else ()
    shape = (*x.shape[:axis], *kept, *x.shape[axis + 1 :])
    attributes = ArgMax(axis, node.op_type == "ArgMin", bool(a["select_last_index"]))
    reader.add_integer("argmax", node, [x], shape, PLACES, attributes, node.output[0])


def sizes(graph: Graph, node: Node) -> tuple[int, int, int]:
    """(columns side by side in blocks, values of a column, distance between them)."""
    shape, axis = graph.tensors[node.inputs[0]].shape, node.attributes.axis
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    a: ArgMax = node.attributes
    n = inputs[0].shape[a.axis]
    x = inputs[0].to(torch.int64)
    places = torch.arange(n).reshape([-1 if k == a.axis else 1 for k in range(x.dim())])
    # Values apart, and of equal ones the wanted place a little above the others.
    key = (255 - x if a.smallest else x) * n + (places if a.last else n - 1 - places)
    found = key.argmax(a.axis)
    return found.to(torch.uint8).reshape(x.shape[0], *graph.tensors[node.output].shape[1:])


def sample(draw) -> Graph:
    """A random search."""
    shape = (1, draw.integer(1, 4), draw.integer(1, 9), draw.integer(1, 4))
    axis = draw.integer(1, 3)
    x = draw.tensor("x", shape)
    y = Tensor("y", (*shape[:axis], 1, *shape[axis + 1 :]), PLACES)
    attributes = ArgMax(axis, draw.choice([False, True]), draw.choice([False, True]))
    return sampling.graph("argmax", [x], y, attributes)


OPERATOR = Operator(
    name="argmax",
    title="place of the largest or smallest value, uint8",
    onnx=("ArgMax", "ArgMin", "Cast"),
    read=read,
    reference=reference,
    sample=sample,
    details=lambda graph, node: "of {1}".format(*sizes(graph, node)),
)
