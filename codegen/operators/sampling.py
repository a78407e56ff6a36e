"""Pieces of random graphs for the operators' `sample` functions. `draw` is tests/codegen/draw.py."""

from lamella.codegen.ir import Graph, Node, Port, Tensor
from lamella.codegen.operators.windows import Window


def graph(op: str, inputs: list[Tensor], output: Tensor, attributes) -> Graph:
    """A graph of one node."""
    node = Node(op, op, tuple(t.name for t in inputs), output.name, attributes)
    tensors = {t.name: t for t in (*inputs, output)}
    return Graph(
        f"one_{op}",
        tuple(port(tensors[name]) for name in dict.fromkeys(node.inputs)),
        (port(output),),
        tensors,
        (node,),
    )


def port(tensor: Tensor) -> Port:
    """A tensor as input or output of a model."""
    kind = "float32" if tensor.is_float else "uint8"
    return Port(tensor.name, tensor.name, kind, kind)


def window(draw, pads: bool) -> Window:
    """A small window; its padding is smaller than its reach, so that every window touches the image."""
    kernel = (draw.integer(1, 4), draw.integer(1, 4))
    stride = (draw.integer(1, 3), draw.integer(1, 3))
    dilation = (draw.choice([1, 1, 2]), draw.choice([1, 1, 2, 3]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    amounts = tuple(draw.integer(0, reach[i % 2] - 1) if pads else 0 for i in range(4))
    return Window(kernel, stride, dilation, amounts)


def image_size(draw, window: Window) -> tuple[int, int]:
    """Rows and columns that the window fits into."""
    return tuple(draw.integer(max(1, window.reach(a)), window.reach(a) + (7 if a == 0 else 21)) for a in (0, 1))
