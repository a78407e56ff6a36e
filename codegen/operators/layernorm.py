"""Layer normalisation over the last axes, in integers: exact sums, a square root of 31 bits, 12 bits behind the point."""

from dataclasses import dataclass
from math import floor, prod

import numpy as np

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator

#: A normalised value counts so many steps for one.
ONE = 1 << 12
#: gamma of 10 bits: with 8 bits before the point and 12 behind it a product stays below 2^30.
LARGEST_GAMMA = 1000


@dataclass(frozen=True)
class LayerNorm:
    """The last `cols` values of each row are normalised. gamma int16 and beta int32 (cols,); runtime_c/include/lam_matrix.h
    says the arithmetic."""

    cols: int
    epsilon: int
    gamma: np.ndarray
    beta: np.ndarray
    requant: Requant


def read(reader, node) -> None:
    """ONNX LayerNormalization, one output, with constant scale and bias."""
    a = reader.attributes(node, axis=-1, epsilon=1e-5, stash_type=1)
    x = reader.activation(node, 0)
    axis = a["axis"] % len(x.shape)
    if axis == 0 or any(reader.is_used(name) for name in node.output[1:] if name):
        raise reader.unsupported(node, "normalising the batch, or mean and deviation as results")
    cols, rows = prod(x.shape[axis:]), prod(x.shape[:axis])
    if cols > 4096 or rows > 65535:
        raise reader.unsupported(node, f"{rows} rows of {cols} values; 4096 values are supported")
    gamma = _vector(reader, node, 1, x.shape[axis:], np.ones(cols))
    beta = _vector(reader, node, 2, x.shape[axis:], np.zeros(cols))
    sink = reader.sink(node)
    largest = float(np.abs(gamma).max(initial=0)) or 1.0
    scale = np.float32(largest / LARGEST_GAMMA)
    levels = np.floor(gamma / float(scale) + 0.5).astype(np.int16)
    offsets = np.floor(beta / (float(scale) / ONE) + 0.5)
    epsilon = floor(a["epsilon"] * cols * cols / float(np.float32(x.quantization.scale)) ** 2 + 0.5)
    if np.abs(offsets).max(initial=0) >= 2**30 or not 0 <= epsilon < 2**60:
        raise reader.unsupported(node, "its bias or epsilon is too large for its scales")
    requant = reader.requant(node, scale, np.float32(1 / ONE), sink)
    attributes = LayerNorm(cols, epsilon, levels, offsets.astype(np.int64), requant)
    reader.add("layernorm", node, [x], x.shape, sink.quantization, attributes)


def _vector(reader, node, index: int, shape: tuple[int, ...], missing: np.ndarray) -> np.ndarray:
    found = reader.constant(node, index)
    if found is None:
        return missing
    try:
        return np.broadcast_to(np.asarray(found, np.float64), shape).reshape(-1)
    except ValueError:
        raise reader.unsupported(node, f"scale or bias of shape {found.shape} for values of shape {shape}") from None


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    a: LayerNorm = node.attributes
    x = inputs[0].to(torch.int64).reshape(-1, a.cols)
    total = x.sum(1, keepdim=True)
    w = (a.cols * (x * x).sum(1, keepdim=True) - total * total + a.epsilon).clamp(min=1)
    root, half = _roots(w.numpy())
    reciprocal = torch.from_numpy(((1 << 62) - 1) // root)
    shift = torch.from_numpy(50 - half)
    z = ((a.cols * x - total) * reciprocal + (torch.ones_like(shift) << (shift - 1))) >> shift
    acc = z * torch.from_numpy(a.gamma.astype(np.int64)) + torch.from_numpy(a.beta)
    return exact.requantize(acc, a.requant).reshape(inputs[0].shape)


def _roots(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(floor(sqrt(w * 2^e)), e / 2) with e even and w * 2^e in 2^60 .. 2^62."""
    half = np.zeros_like(w)
    w = w.copy()
    for bits in (16, 8, 4, 2, 1):
        small = w < 1 << (62 - 2 * bits)
        w[small] <<= 2 * bits
        half[small] += bits
    root = np.floor(np.sqrt(w.astype(np.float64))).astype(np.int64)
    root -= root * root > w
    root += (root + 1) * (root + 1) <= w
    return root, half


def sample(draw) -> Graph:
    """A random normalisation; often of rows of equal values."""
    rows, cols = draw.integer(1, 5), draw.integer(1, 40)
    x = draw.tensor("x", (1, rows, cols))
    y = draw.quantization(0.03)
    epsilon = draw.choice([0, 1, cols * cols // 10, 1 << 40])
    gamma = draw.integers((cols,), -1000, 1000).astype(np.int16)
    beta = draw.integers((cols,), -4000000, 4000000)
    requant = draw.requant(np.float32(0.002), np.array([1 / ONE], np.float32), y)
    attributes = LayerNorm(cols, epsilon, gamma, beta, requant)
    return sampling.graph("layernorm", [x], Tensor("y", x.shape, y), attributes)


OPERATOR = Operator(
    name="layernorm",
    title="layer normalisation over the last axes",
    onnx=("LayerNormalization",),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
    in_place=True,
    details=lambda graph, node: f"over {node.attributes.cols}",
)
