"""Largest value or average of windows, in float32."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.windows import Window


@dataclass(frozen=True)
class FloatPool:
    """shape: (planes, rows, columns) of one sample, out: rows and columns of the result."""

    average: bool
    count_pads: bool
    shape: tuple[int, int, int]
    window: Window
    out: tuple[int, int]


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same float32 operations as in C: one value after the other."""
    import torch

    n: FloatPool = node.attributes
    w = n.window
    x = inputs[0].numpy().reshape(-1, *n.shape[1:])
    found = np.zeros((len(x), *n.out), np.float32)
    inside_so_far, counted = np.zeros(n.out, np.int64), np.zeros(n.out, np.int64)
    for u in range(w.kernel[0]):
        i = np.arange(n.out[0]) * w.stride[0] + u * w.dilation[0] - w.pads[0]
        for v in range(w.kernel[1]):
            j = np.arange(n.out[1]) * w.stride[1] + v * w.dilation[1] - w.pads[1]
            inside = ((i >= 0) & (i < n.shape[1]))[:, None] & ((j >= 0) & (j < n.shape[2]))
            counted += (i < n.shape[1] + w.pads[2])[:, None] & (j < n.shape[2] + w.pads[3])
            picked = x[:, i.clip(0, n.shape[1] - 1)][:, :, j.clip(0, n.shape[2] - 1)]
            with np.errstate(all="ignore"):
                more = found + picked if n.average else np.where(found < picked, picked, found)
            found = np.where(inside, np.where(inside_so_far == 0, picked, more), found)
            inside_so_far += inside
    if n.average:
        with np.errstate(all="ignore"):
            found = found / (counted if n.count_pads else inside_so_far).astype(np.float32)
    return torch.from_numpy(found.reshape(len(inputs[0]), *graph.tensors[node.output].shape[1:]))


def sample(draw) -> Graph:
    """A random pooling."""
    window = sampling.window(draw, pads=True)
    shape = (draw.integer(1, 4), *sampling.image_size(draw, window))
    out = window.out_size(shape[1:])
    n = FloatPool(draw.choice([True, False]), draw.choice([True, False]), shape, window, out)
    return sampling.graph("float_pool", [Tensor("x", (1, *shape), None)], Tensor("y", (1, shape[0], *out), None), n)


OPERATOR = Operator(
    name="float_pool",
    title="largest value or average of windows, in float32",
    reference=reference,
    sample=sample,
    details=lambda graph, node: (
        ("average " if node.attributes.average else "largest ") + "x".join(map(str, node.attributes.window.kernel))
    ),
)
