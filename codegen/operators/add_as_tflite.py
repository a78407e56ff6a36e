"""Sum or difference as TensorFlow Lite Micro rounds it: each addend, moved up by 20 bits, and then their sum are scaled with
two roundings each (its kernels add.h and sub.h). One of the addends may be constant."""

from dataclasses import dataclass, replace

import numpy as np

from lamella import requant
from lamella.codegen.ir import Graph, Node, Quantization, Sink, Tensor
from lamella.codegen.operators import broadcast, expand, sampling
from lamella.codegen.operators.record import Operator

#: Bits that addends are moved up by.
UP = 20


@dataclass(frozen=True)
class AddAsTflite:
    """addends: multiplier and shift of each activation (lamella.requant); total: those of the sum; signs: 1 or -1 for each.
    constants: what the constant addend is in the sum, int64 (k,), each for `inner` values in turn, all of them `times` times;
    empty if there is none."""

    addends: tuple[tuple[int, int], ...]
    signs: tuple[int, ...]
    total: tuple[int, int]
    constants: np.ndarray
    inner: int
    times: int
    zero: int
    low: int
    high: int


def read(reader, node) -> bool:
    """ONNX Add and Sub of two quantised activations, or of one and constants; False if those are no integers of 8 bits, which
    is all that runtime knows."""
    reader.attributes(node)
    signs = (1, -1 if node.op_type == "Sub" else 1)
    k = next((k for k, name in enumerate(node.input) if reader.is_constant(name)), None)
    if k is None:
        inputs = broadcast.activations(reader, node)
        sink = reader.sink(node)
        scales = [x.quantization.scale for x in inputs]
        attributes = _attributes(reader, node, sink, scales, signs)
        reader.add("add_as_tflite", node, list(inputs), inputs[0].shape, sink.quantization, attributes)
        return True
    exact = reader.integers_of(node.input[k])
    if exact is None or np.abs(exact[0]).max(initial=0) > 255:
        return False
    levels, scale = exact
    x = reader.activation(node, 1 - k)
    shape = expand.broadcast(reader, node, x.shape, levels.shape)
    if shape != x.shape:
        x = expand.add(reader, node, x, shape)
    sink = reader.sink(node)
    scales = [x.quantization.scale, float(scale.reshape(()))]
    times, inner, spread = broadcast.pattern(reader, node, shape, levels.shape)
    attributes = _attributes(
        reader, node, sink, scales[:: -1 if k == 0 else 1], signs, k, spread(levels).astype(np.int64), inner, times
    )
    reader.add("add_as_tflite", node, [x], shape, sink.quantization, attributes)
    return True


def _attributes(reader, node, sink: Sink, scales, signs, constant: int | None = None, levels=(), *repeat: int):
    try:
        return attributes_of(node.op_type == "Sub", sink, scales, signs, constant, levels, *repeat)
    except ValueError as error:
        raise reader.unsupported(node, f"{error}: the scales of inputs and output do not fit together") from None


def attributes_of(
    single: bool, sink: Sink, scales, signs, constant: int | None = None, levels=(), inner: int = 1, times: int = 1
) -> AddAsTflite:
    """From the scales of both addends; `constant`: which of them has the levels given. single: as differences, whose factors
    TensorFlow Lite computes in float32."""
    kind = np.float32 if single else np.float64
    scales = [kind(np.float32(s)) for s in scales]
    twice_the_largest = kind(2) * max(scales)
    factors = [requant.quantize_multiplier_twice(float(s / twice_the_largest)) for s in scales]
    whole = float(twice_the_largest / kind(kind(1 << UP) * kind(np.float32(sink.quantization.scale))))
    if not whole < 1:
        raise ValueError(f"the output's scale is {whole:g} times smaller than it may be")
    total = requant.quantize_multiplier_twice(whole)
    constants = np.zeros(0, np.int64)
    if constant is not None:
        constants = signs[constant] * requant.scale_by(np.asarray(levels, np.int64) << UP, *factors.pop(constant))
        signs = (signs[1 - constant],)
    return AddAsTflite(
        tuple(factors), tuple(signs), total, constants, inner, times, sink.quantization.zero, sink.low, sink.high
    )


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    a: AddAsTflite = node.attributes
    total = 0
    for x, name, factor, sign in zip(inputs, node.inputs, a.addends, a.signs, strict=True):
        value = (x.to(torch.int64) - graph.tensors[name].quantization.zero).numpy() << UP
        total = total + sign * requant.scale_by(value, *factor)
    if a.constants.size:
        total = total + np.tile(np.repeat(a.constants, a.inner), a.times).reshape(graph.tensors[node.output].shape)
    return torch.from_numpy(requant.requantize(total, *a.total, a.zero, a.low, a.high))


def sample(draw) -> Graph:
    """A random sum or difference of two activations, or of one and constants; sometimes of scales that make ties."""
    x = draw.tensor("a", (1, draw.integer(1, 6), draw.integer(1, 9)))
    quantization = draw.quantization(x.quantization.scale)
    ties = draw.choice([False, True])
    if ties:
        quantization = replace(quantization, scale=2 * x.quantization.scale)
    low, high = draw.range()
    sink, signs = Sink(quantization, low, high), (1, draw.choice([1, -1]))
    y = Tensor("y", x.shape, quantization)
    if draw.choice([False, True]):
        b = x if draw.choice([False, False, True]) else draw.tensor("b", x.shape)
        b = replace(b, quantization=replace(b.quantization, scale=x.quantization.scale)) if ties else b
        scales = [x.quantization.scale, b.quantization.scale]
        attributes = attributes_of(signs[1] < 0, sink, scales, signs)
        return sampling.graph("add_as_tflite", [x, b], y, attributes)
    other: Quantization = draw.quantization(x.quantization.scale)
    constant = draw.integer(0, 1)
    scales = [x.quantization.scale, x.quantization.scale if ties else other.scale][:: 1 if constant else -1]
    count, inner, times = draw.choice([(*x.shape[1:], 1), (x.shape[2], 1, x.shape[1])])
    levels = [draw.integer(-255, 255) for _ in range(count)]
    attributes = attributes_of(signs[1] < 0, sink, scales, signs, constant, levels, inner, times)
    return sampling.graph("add_as_tflite", [x], y, attributes)


OPERATOR = Operator(
    name="add_as_tflite",
    title="sum and difference as TensorFlow Lite Micro rounds them",
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: "difference" if min(node.attributes.signs) < 0 else "",
)
