"""PRelu: values below the zero point times a constant slope, one for each channel."""

from dataclasses import dataclass

import numpy as np

from lamella import requant
from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import broadcast, expand, sampling, table
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class PRelu:
    """y = requant(x) from the zero point of x on, else below(x * slope). slopes: int16 (k,), each for `inner` values in turn,
    all of them `times` times; multipliers of `below` for each slope, or one for all."""

    slopes: np.ndarray
    inner: int
    times: int
    requant: Requant
    below: Requant


def read(reader, node) -> None:
    """ONNX PRelu with constant slopes of any shape that broadcasts; with one slope it is a function of one value."""
    reader.attributes(node)
    real = np.asarray(reader.constant(node, 1), np.float64)
    if not reader.as_tflite and real.size and (real == real.reshape(-1)[0]).all():
        table.read_slope(reader, node, float(real.reshape(-1)[0]))
        return
    x = reader.activation(node, 0)
    exact = reader.integers_of(node.input[1])
    shape = expand.broadcast(reader, node, x.shape, real.shape)
    if shape != x.shape:
        raise reader.unsupported(node, f"slopes of shape {real.shape} for an input of shape {x.shape}")
    times, inner, spread = broadcast.pattern(reader, node, shape, real.shape)
    # Slopes that the file does not quantise: a sign, and a multiplier for each.
    slopes, scales = exact or (np.sign(real), spread(np.where(real == 0, 1.0, np.abs(real))).astype(np.float32))
    sink = reader.sink(node)
    same, below = (reader.requant(node, x.quantization.scale, by, sink) for by in (np.ones(1), scales))
    attributes = PRelu(spread(slopes).astype(np.int16), inner, times, same, below)
    reader.add("prelu", node, [x], shape, sink.quantization, attributes)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    a: PRelu = node.attributes
    shape = graph.tensors[node.output].shape
    acc = inputs[0].numpy().astype(np.int64) - graph.tensors[node.inputs[0]].quantization.zero

    def spread(values: np.ndarray) -> np.ndarray:
        return np.tile(np.repeat(np.broadcast_to(values, a.slopes.shape), a.inner), a.times).reshape(shape)

    q, below = a.requant, a.below
    above = requant.requantize(acc, q.multiplier, q.shift, q.zero, q.low, q.high)
    scaled = acc * spread(a.slopes.astype(np.int64))
    low = requant.requantize(scaled, spread(below.multiplier), spread(below.shift), q.zero, q.low, q.high)
    return torch.from_numpy(np.where(acc < 0, low, above))


def sample(draw) -> Graph:
    """Random slopes, of one scale or of one each."""
    x = draw.tensor("x", (1, draw.integer(1, 6), draw.integer(1, 9)))
    quantization = draw.quantization(x.quantization.scale)
    count, inner, times = draw.choice([(*x.shape[1:], 1), (x.shape[2], 1, x.shape[1])])
    slopes = np.array([draw.integer(-300, 300) for _ in range(count)], np.int16)
    scales = np.array([draw.choice([0.001, 0.01]) for _ in range(draw.choice([1, count]))], np.float32)
    same = draw.requant(x.quantization.scale, np.ones(1), quantization)
    below = draw.requant(x.quantization.scale, scales, quantization)
    below = Requant(below.multiplier, below.shift, same.zero, same.low, same.high)
    return sampling.graph("prelu", [x], Tensor("y", x.shape, quantization), PRelu(slopes, inner, times, same, below))


OPERATOR = Operator(
    name="prelu",
    title="ReLU with a constant slope for each channel",
    onnx=("PRelu",),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
)
