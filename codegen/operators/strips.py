"""A loop over strips of an image: the first layers of a network, rows by rows (lamella.codegen.stream makes it)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Quantization, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class Strips:
    """body: inputs are windows, the number of the step (1, 2), the strip of the image; outputs the windows again, the
    number, and the strip of the result: when it is made for time k, its first row is number k * rows - delay.

    periods: of a node of the body, by name, how many steps make it run once, at the last of them; 1 where it is not named.
    whole: the layers as they were, over whole images: what the loop must give. image: planes, rows and bytes of a row of the
    input. by_row: the caller hands over one row after the other, and the input lies nowhere; `flip` is added to its bytes.
    instructions_whole: an estimate for the model without the loop.
    """

    body: Graph
    steps: int
    delay: int
    periods: Mapping[str, int]
    whole: Graph
    image: tuple[int, int, int]
    by_row: bool = False
    flip: int = 0
    instructions_whole: float = 0.0


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result: that of the whole images."""
    from lamella.codegen import operators

    whole: Graph = node.attributes.whole
    values = {whole.inputs[0].tensor: inputs[0]}
    for inner in whole.nodes:
        values[inner.output] = operators.get(inner.op).reference(whole, inner, [values[name] for name in inner.inputs])
    return values[whole.outputs[0].tensor]


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates for one sample: those of the whole images."""
    from lamella.codegen import operators

    whole: Graph = node.attributes.whole
    return sum(operators.get(n.op).macs(whole, n) for n in whole.nodes)


def sample(draw) -> Graph:
    """A convolution by strips of one row."""
    from lamella.codegen import stream
    from lamella.codegen.operators.conv2d import Conv2d
    from lamella.codegen.operators.windows import Window

    k = draw.integer(1, 3)
    window = Window((k, k), pads=(k // 2,) * 4)
    x = draw.tensor("x", (1, draw.integer(1, 3), draw.integer(3, 9), draw.integer(3, 9)))
    levels = draw.levels((draw.integer(1, 4), x.shape[1], k, k))
    scales = np.array([0.01], np.float32)
    y = Quantization(float(np.float32(0.02 * x.quantization.scale * 40)), draw.integer(0, 255))
    requant = draw.requant(x.quantization.scale, scales, y)
    bias = draw.integers((len(levels),), -3000, 3000)
    result = Tensor("y", (1, len(levels), *window.out_size(x.shape[2:])), y)
    graph = sampling.graph("conv2d", [x], result, Conv2d(levels, scales, bias, window, 1, requant))
    return stream.streamed(graph, 1, 1)


OPERATOR = Operator(
    name="strips",
    title="loop over strips of an image: the first layers rows by rows, for less RAM",
    reference=reference,
    macs=macs,
    sample=sample,
    details=lambda graph, node: f"{node.attributes.steps} steps",
)
