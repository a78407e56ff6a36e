"""Convolution of images, in float32; of sequences as images of one row."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.windows import Window


@dataclass(frozen=True)
class FloatConv2d:
    """shape: (images, channels, rows, columns) of one sample; weights_shape: (filters, channels / groups, rows, columns).
    weights, bias: None where they are inputs; there is a bias if has_bias."""

    shape: tuple[int, ...]
    weights_shape: tuple[int, ...]
    window: Window
    groups: int
    has_bias: bool
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Of the result, for one sample."""
        return (self.shape[0], self.weights_shape[0], *self.window.out_size(self.shape[2:]))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C: one product after the other, padding left out."""
    import torch

    n: FloatConv2d = node.attributes
    waiting = iter(inputs)
    samples = len(inputs[0])
    x = next(waiting).numpy().reshape(-1, *n.shape[1:])
    parts = [x[k * n.shape[0] : (k + 1) * n.shape[0]] for k in range(samples)]
    weights = [n.weights] * samples if n.weights is not None else next(waiting).numpy().reshape(samples, -1)
    bias = [n.bias] * samples
    if n.has_bias and n.bias is None:
        bias = next(waiting).numpy().reshape(samples, -1)
    together = n.weights is not None and (n.bias is not None or not n.has_bias)
    if together:
        parts, weights, bias = [x], weights[:1], bias[:1]
    found = [_convolved(n, *one) for one in zip(parts, weights, bias, strict=True)]
    return torch.from_numpy(np.concatenate(found).reshape(samples, *graph.tensors[node.output].shape[1:]))


def _convolved(n: FloatConv2d, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    w, rows, cols = n.window, *n.window.out_size(n.shape[2:])
    weights = weights.reshape(n.weights_shape)
    filters, per_group = n.weights_shape[:2]
    group = np.arange(filters) // (filters // n.groups)
    start = np.zeros(filters, np.float32) if bias is None else bias
    total = np.broadcast_to(start.reshape(1, -1, 1, 1), (len(x), filters, rows, cols)).astype(np.float32)
    with np.errstate(all="ignore"):
        for c in range(per_group):
            planes = x[:, group * per_group + c]
            for u in range(w.kernel[0]):
                i = np.arange(rows) * w.stride[0] + u * w.dilation[0] - w.pads[0]
                for v in range(w.kernel[1]):
                    j = np.arange(cols) * w.stride[1] + v * w.dilation[1] - w.pads[1]
                    inside = ((i >= 0) & (i < x.shape[2]))[:, None] & ((j >= 0) & (j < x.shape[3]))
                    picked = planes[:, :, i.clip(0, x.shape[2] - 1)][:, :, :, j.clip(0, x.shape[3] - 1)]
                    more = total + picked * weights[:, c, u, v].reshape(1, -1, 1, 1)
                    total = np.where(inside, more, total)
    return total


def sample(draw) -> Graph:
    """A random convolution whose weights are constant or not."""
    window = sampling.window(draw, pads=True)
    groups, per_in, per_out = draw.choice([1, 1, 2]), draw.integer(1, 3), draw.integer(1, 3)
    shape = (draw.integer(1, 2), groups * per_in, *sampling.image_size(draw, window))
    weights_shape = (groups * per_out, per_in, *window.kernel)
    has_bias, constant = draw.choice([True, False]), draw.choice([True, True, False])
    n = FloatConv2d(
        shape,
        weights_shape,
        window,
        groups,
        has_bias,
        draw.floats(weights_shape) if constant else None,
        draw.floats((groups * per_out,)) if constant and has_bias else None,
    )
    inputs = [Tensor("x", (1, *shape), None)]
    if not constant:
        inputs.append(Tensor("w", (1, *weights_shape), None))
        inputs += [Tensor("b", (1, weights_shape[0]), None)] if has_bias else []
    return sampling.graph("float_conv2d", inputs, Tensor("y", (1, *n.out_shape), None), n)


OPERATOR = Operator(
    name="float_conv2d",
    title="convolution in one or two dimensions with groups and dilation, in float32",
    reference=reference,
    sample=sample,
    macs=lambda graph, node: prod(node.attributes.out_shape) * prod(node.attributes.weights_shape[1:]),
    details=lambda graph, node: "x".join(map(str, node.attributes.window.kernel)),
)
