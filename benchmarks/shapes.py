"""Layers to measure: graphs of one node with random weights and inputs, each from a fixed seed."""

from dataclasses import dataclass

import numpy as np

from lamella.codegen import operators
from lamella.codegen.ir import Graph, Quantization, Requant, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.conv2d import Conv2d, Pool
from lamella.codegen.operators.dense import Dense
from lamella.codegen.operators.windows import Window

LEVELS = {"int8": (-127, 127), "int4": (-8, 7), "int2": (-2, 1), "ternary": (-1, 1), "binary": (-1, 1)}


@dataclass(frozen=True)
class Layer:
    """A named layer and its multiply-accumulates."""

    name: str
    graph: Graph
    inputs: dict[str, np.ndarray]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, padding counted."""
        (node,) = self.graph.nodes
        return operators.get(node.op).macs(self.graph, node)


def levels(rng: np.random.Generator, shape: tuple[int, ...], kind: str, density: float = 1.0) -> np.ndarray:
    """int16 levels: "ternary" of a density, or uniform over the range of "int8", "int4", "int2"; "binary" has no zeros."""
    if kind in ("ternary", "binary"):
        signs = rng.choice(np.array([-1, 1], np.int16), shape)
        return signs if kind == "binary" else (signs * (rng.random(shape) < density)).astype(np.int16)
    low, high = LEVELS[kind]
    return rng.integers(low, high, shape, endpoint=True).astype(np.int16)


def _requant(rng: np.random.Generator, rows: int, reach: float) -> Requant:
    """Multipliers that spread sums of a typical size over the range of y; as after a ReLU, zero point 0."""
    scale = rng.uniform(0.5, 1.0, rows) * 60 / max(reach, 1.0)
    multiplier = np.minimum(np.round(scale * 2.0**32), 2**31 - 1).astype(np.int64)
    return Requant(multiplier, np.full(rows, 32), 0, 0, 255)


def conv(
    name: str,
    in_c: int,
    out_c: int,
    kernel: tuple[int, int] = (3, 3),
    size: tuple[int, int] = (16, 16),
    kind: str = "int8",
    density: float = 1.0,
    pad: int | None = None,
    stride: int = 1,
    groups: int = 1,
    pool: int = 0,
    seed: int = 0,
) -> Layer:
    """A convolution, padded to "same" unless `pad` says otherwise, with maximum pooling of `pool` pixels behind it."""
    rng = np.random.default_rng(seed)
    pads = tuple((k - 1) // 2 if pad is None else pad for k in kernel) * 2
    window = Window(kernel, (stride, stride), (1, 1), pads)
    w = levels(rng, (out_c, in_c // groups, *kernel), kind, density)
    x = Tensor("x", (1, in_c, *size), Quantization(0.05, 0))
    reach = 75 * np.sqrt(float((w[0].astype(float) ** 2).sum()))
    q = _requant(rng, out_c, reach)
    out = window.out_size(size)
    fused = Pool("max", Window((pool, pool), (pool, pool))) if pool else None
    y = Tensor("y", (1, out_c, *(fused.window.out_size(out) if fused else out)), Quantization(0.05, 0))
    bias = rng.integers(-100, 100, out_c)
    attributes = Conv2d(w, np.ones(1, np.float32), bias, window, groups, q, fused)
    return Layer(name, sampling.graph("conv2d", [x], y, attributes), _inputs(rng, x))


def dense(name: str, cols: int, rows: int, kind: str = "int8", density: float = 1.0, seed: int = 0) -> Layer:
    """A dense layer of one vector."""
    rng = np.random.default_rng(seed)
    w = levels(rng, (rows, cols), kind, density)
    x, y = Tensor("x", (1, cols), Quantization(0.05, 0)), Tensor("y", (1, rows), Quantization(0.05, 0))
    q = _requant(rng, rows, 75 * np.sqrt(float((w[0].astype(float) ** 2).sum())))
    return Layer(
        name,
        sampling.graph("dense", [x], y, Dense(w, np.ones(1, np.float32), rng.integers(-100, 100, rows), q)),
        _inputs(rng, x),
    )


def _inputs(rng: np.random.Generator, x: Tensor) -> dict[str, np.ndarray]:
    """Activations as after a ReLU: half of them zero."""
    values = np.maximum(rng.normal(0, 60, x.shape), 0).clip(0, 255).astype(np.uint8)
    return {x.name: values}


def standard() -> list[Layer]:
    """The layers that peers are compared on."""
    found = []
    for density in (0.1, 0.3, 0.5):
        found.append(conv(f"3x3 ternary {density}", 32, 32, kind="ternary", density=density))
    for density in (0.1, 0.3, 0.5):
        found.append(conv(f"1x1 ternary {density}", 32, 32, (1, 1), kind="ternary", density=density))
    for kind in ("int8", "int4", "int2"):
        found.append(conv(f"3x3 {kind}", 32, 32, kind=kind))
    for kind in ("int8", "int4", "int2"):
        found.append(conv(f"1x1 {kind}", 32, 32, (1, 1), kind=kind))
    found.append(conv("depthwise 3x3 int8", 32, 32, groups=32))
    found.append(conv("depthwise 3x3 ternary", 32, 32, groups=32, kind="ternary", density=0.6))
    found.append(conv("depthwise 3x3 int8 25x5", 64, 64, size=(25, 5), groups=64))
    found.append(conv("depthwise 3x3 int8 stride 2", 32, 32, groups=32, stride=2))
    for kind in ("int8", "int4", "int2"):
        found.append(dense(f"dense {kind}", 256, 64, kind))
    found.append(dense("dense ternary 0.5", 256, 64, "ternary", 0.5))
    found.append(dense("dense ternary 0.1", 256, 64, "ternary", 0.1))
    return found
