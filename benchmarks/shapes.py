"""Layers to measure: graphs of one node with random weights and inputs, each from a fixed seed."""

import random
from dataclasses import dataclass, replace

import numpy as np

from lamella import requant, tables
from lamella.codegen import operators, passes, stream
from lamella.codegen.ir import Graph, Node, Port, Quantization, Requant, Target, Tensor
from lamella.codegen.operators import (
    add,
    avgpool2d,
    concat,
    maxpool2d,
    mul,
    pad2d,
    rescale,
    sampling,
    scan,
    softmax,
    strip_window,
    table,
    transpose,
)
from lamella.codegen.operators import slice as slicing
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
    """int16 levels: "ternary" or "uneven ternary" of a density, or uniform over the range of "int8", "int4", "int2"; "binary" has no zeros."""
    if kind == "uneven ternary":
        return uneven_levels(rng, shape, density)
    if kind in ("ternary", "binary"):
        signs = rng.choice(np.array([-1, 1], np.int16), shape)
        return signs if kind == "binary" else (signs * (rng.random(shape) < density)).astype(np.int16)
    low, high = LEVELS[kind]
    return rng.integers(low, high, shape, endpoint=True).astype(np.int16)


def uneven_levels(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    """Ternary levels of a density that differs between rows and between columns, as in trained layers."""
    rows, cols = shape[0], int(np.prod(shape[1:]))
    spread = rng.lognormal(0, 1, (rows, 1)) * rng.lognormal(0, 1, (1, cols))
    kept = rng.random((rows, cols)) < np.minimum(density * spread / spread.mean(), 0.97)
    return (rng.choice(np.array([-1, 1], np.int16), (rows, cols)) * kept).astype(np.int16).reshape(shape)


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


@dataclass(frozen=True)
class Row:
    """A line of the table: a layer, and how many bits a weight may take at most in it (None: as many as it likes)."""

    layer: Layer
    bits: float | None = None

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name


def standard() -> list[Row]:
    """The layers that peers are compared on (benchmarks/peers.toml)."""
    ternary = [
        Row(conv(f"3x3 ternary {density}", 32, 32, kind="ternary", density=density)) for density in (0.1, 0.3, 0.5)
    ] + [
        Row(conv(f"1x1 ternary {density}", 32, 32, (1, 1), kind="ternary", density=density))
        for density in (0.1, 0.3, 0.5)
    ]
    bits = {"int8": 8.2, "int4": 4.2, "int2": 2.2}
    convolutions = [
        Row(conv(f"{k}x{k} {kind}", 32, 32, (k, k), kind=kind), bits[kind]) for k in (3, 1) for kind in bits
    ]
    depthwise = [
        Row(conv("depthwise 3x3 int8", 32, 32, groups=32)),
        Row(conv("depthwise 3x3 ternary", 32, 32, groups=32, kind="ternary", density=0.6)),
        Row(conv("depthwise 3x3 int8, 64 channels 25x5", 64, 64, size=(25, 5), groups=64)),
        Row(conv("depthwise 3x3 int8, stride 2", 32, 32, groups=32, stride=2)),
    ]
    dense_layers = [Row(dense(f"dense {kind}", 256, 64, kind), bits[kind]) for kind in bits] + [
        Row(dense("dense ternary, 2 bits a weight", 256, 64, "ternary", 0.66), 2.05),
        Row(dense("dense ternary, 1.6 bits a weight", 256, 64, "ternary", 0.66), 1.65),
        Row(dense("dense ternary 0.1", 256, 64, "ternary", 0.1)),
    ]
    return ternary + convolutions + depthwise + dense_layers


def varied(rng: random.Random, seed: int) -> Layer:
    """A layer of any operator, of the sizes that networks for microcontrollers have."""
    import float_shapes  # which takes its pieces from here

    if rng.random() < 0.15:
        return float_shapes.varied(rng, seed)
    draw = rng.random()
    if draw < 0.5:
        return _varied_conv(rng, seed)
    if draw < 0.62:
        return _varied_conv(rng, seed, depthwise=True)
    if draw < 0.85:
        kind, density = _varied_levels(rng)
        cols = rng.choice([16, 30, 64, 84, 100, 128, 200, 256, 300, 500, 784, 1024])
        layer = dense("dense", cols, rng.choice([2, 5, 10, 32, 64, 100, 384, 500]), kind, density, seed)
        return _other_range(layer) if seed % 6 == 0 else _large_scales(layer) if seed % 6 == 1 else layer
    others = [_add, _rescale, _concat, _pad, _softmax, _pooling, _pooling, _pooling]
    from more_shapes import MORE  # which takes its pieces from here

    return rng.choice([*others, _mul, _table, _slice, _transpose, _scan, _strip_window, _strips, *MORE])(rng, seed)


def _other_range(layer: Layer) -> Layer:
    """The same layer with an activation function that ends within the range of y, as ReLU6 does."""
    return _with_requant(layer, low=3, high=240)


def _large_scales(layer: Layer) -> Layer:
    """The same layer with scales of one half and more."""
    old = layer.graph.nodes[0].attributes.requant.multiplier
    return _with_requant(layer, multiplier=np.full_like(old, 3 << 29), shift=np.full_like(old, 31))


def _with_requant(layer: Layer, **changes: object) -> Layer:
    (node,) = layer.graph.nodes
    attributes = replace(node.attributes, requant=replace(node.attributes.requant, **changes))
    return replace(layer, graph=replace(layer.graph, nodes=(replace(node, attributes=attributes),)))


def _varied_levels(rng: random.Random) -> tuple[str, float]:
    kinds = ["int8", "int4", "int2", "binary", "ternary", "ternary", "uneven ternary", "uneven ternary"]
    kind = rng.choice(kinds)
    return kind, rng.choice([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65])


def _varied_conv(rng: random.Random, seed: int, depthwise: bool = False) -> Layer:
    kind, density = _varied_levels(rng)
    while True:
        kernel = rng.choice([(1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (3, 1), (10, 4)])
        size = (rng.choice([1, 2, 4, 5, 7, 8, 12, 16, 25, 28, 32]), rng.choice([1, 2, 4, 5, 6, 8, 10, 12, 16, 24, 28]))
        in_c = rng.choice([1, 3, 4, 8, 12, 16, 20, 32, 50, 64])
        out_c = in_c if depthwise else rng.choice([4, 6, 8, 16, 20, 32, 50, 64])
        pad, stride = rng.choice([None, None, 0]), rng.choice([1, 1, 1, 2])
        pool = rng.choice([0, 0, 0, 2])
        if rng.random() < 0.1 and not depthwise:  # sums that leave 16 bits
            kind, density, in_c, kernel, size = (
                "ternary",
                0.95,
                64,
                (3, 3),
                (rng.choice([4, 6, 8]), rng.choice([4, 7, 9])),
            )
        pads = [(k - 1) // 2 if pad is None else pad for k in kernel]
        out = [(n + 2 * p - k) // stride + 1 for n, p, k in zip(size, pads, kernel, strict=True)]
        macs = out_c * (1 if depthwise else in_c) * kernel[0] * kernel[1] * out[0] * out[1]
        if min(out) >= max(1, pool) and 1000 <= macs <= 1_500_000 and in_c * size[0] * size[1] <= 20_000:
            groups = in_c if depthwise else 1
            return conv("conv", in_c, out_c, kernel, size, kind, density, pad, stride, groups, pool, seed)


def _image(rng: random.Random, name: str = "x") -> Tensor:
    shape = (1, rng.choice([4, 8, 16, 32]), rng.choice([4, 7, 8, 12, 16]), rng.choice([4, 5, 8, 12, 16]))
    return Tensor(name, shape, Quantization(0.05, 0))


def _one(op: str, inputs: list[Tensor], y: Tensor, attributes: object, seed: int) -> Layer:
    random_values = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {}
    for x in inputs:
        values |= _inputs(random_values, x)
    return Layer(op, sampling.graph(op, inputs, y, attributes), values)


def _add(rng: random.Random, seed: int) -> Layer:
    a = _image(rng, "a")
    b = replace(a, name="b")
    multipliers, shift = add.multipliers_of(0.05, 0.05, rng.choice([0.07, 0.07, 0.04]))
    multipliers = (multipliers[0], rng.choice([1, 1, -1]) * multipliers[1])
    y = Tensor("y", a.shape, Quantization(0.07, 0))
    return _one("add", [a, b], y, add.Add(multipliers, shift, 0, 0, 255), seed)


def _single(scale: float) -> Requant:
    multiplier, shift = requant.quantize_multiplier(scale)
    return Requant(np.array([multiplier]), np.array([shift]), 0, 0, 255)


def _rescale(rng: random.Random, seed: int) -> Layer:
    x = _image(rng)
    scale = rng.choice([0.3, 0.45, 0.9])
    return _one("rescale", [x], Tensor("y", x.shape, Quantization(0.1, 0)), rescale.Rescale(_single(scale)), seed)


def _concat(rng: random.Random, seed: int) -> Layer:
    a, axis = _image(rng, "a"), rng.choice([1, 1, 3])
    b = replace(a, name="b")
    shape = tuple(2 * n if k == axis else n for k, n in enumerate(a.shape))
    requants = (None, rng.choice([None, _single(0.4)]))
    return _one("concat", [a, b], Tensor("y", shape, a.quantization), concat.Concat(axis, requants), seed)


def _pad(rng: random.Random, seed: int) -> Layer:
    x, n = _image(rng), rng.choice([1, 2])
    shape = (*x.shape[:2], x.shape[2] + 2 * n, x.shape[3] + 2 * n)
    return _one("pad2d", [x], Tensor("y", shape, x.quantization), pad2d.Pad2d((n, n, n, n), 0), seed)


def _softmax(rng: random.Random, seed: int) -> Layer:
    x = Tensor("x", (1, rng.choice([2, 10, 12, 100])), Quantization(0.1, 128))
    y = Tensor("y", x.shape, Quantization(1 / 256, 0))
    return _one("softmax", [x], y, softmax.Softmax(softmax.table(0.1), 256), seed)


def _pooling(rng: random.Random, seed: int) -> Layer:
    x = _image(rng)
    k = rng.choice([2, 2, 3, 4, x.shape[2]])
    window = Window((k, min(k, x.shape[3])), (min(k, 2), min(k, 2)))
    y = Tensor("y", (*x.shape[:2], *window.out_size(x.shape[2:])), x.quantization)
    if rng.random() < 0.5:
        return _one("maxpool2d", [x], y, maxpool2d.MaxPool2d(window), seed)
    mean = _single(1.0 / (window.kernel[0] * window.kernel[1]))
    return _one("avgpool2d", [x], y, avgpool2d.AvgPool2d(window, False, mean), seed)


def _vector(rng: random.Random, name: str = "x") -> Tensor:
    return Tensor(name, (1, rng.choice([8, 16, 32, 64, 100, 192])), Quantization(1 / 128, 128))


def _mul(rng: random.Random, seed: int) -> Layer:
    a = _vector(rng, "a")
    q = _single(rng.choice([0.0078, 0.03, 0.9]))
    q = rng.choice([q, replace(q, low=128)])
    return _one("mul", [a, replace(a, name="b")], replace(a, name="y"), mul.Mul(q), seed)


def _table(rng: random.Random, seed: int) -> Layer:
    x = _vector(rng)
    values = tables.tabulate(np.tanh, 1 / 32, 128, 1 / 128, 128)
    return _one("table", [x], replace(x, name="y"), table.Table(values, "tanh"), seed)


def _slice(rng: random.Random, seed: int) -> Layer:
    x, axis = _image(rng), rng.choice([1, 2, 3])
    shape = tuple(n // 2 if k == axis else n for k, n in enumerate(x.shape))
    return _one("slice", [x], Tensor("y", shape, x.quantization), slicing.Slice(axis, rng.choice([0, 1])), seed)


def _transpose(rng: random.Random, seed: int) -> Layer:
    x = _image(rng)
    _, outer, rows, cols = x.shape
    if rng.random() < 0.5:
        y, way = (1, outer, cols, rows), transpose.Transpose(outer, rows, cols, 1)
    else:
        y, way = (1, rows, outer, cols), transpose.Transpose(1, outer, rows, cols)
    return _one("transpose", [x], Tensor("y", y, x.quantization), way, seed)


def _scan(rng: random.Random, seed: int) -> Layer:
    """The cheapest of steps, so that what the loop itself takes is most of it: the state is the input's tanh."""
    width, steps, sequence = rng.choice([4, 8, 32, 100]), rng.choice([1, 5, 20, 50]), rng.choice([True, False])
    q = Quantization(1 / 128, 128)
    before, x, after = (Tensor(name, (1, width), q) for name in ("h", "step", "next"))
    tanh = table.Table(tables.tabulate(np.tanh, 1 / 128, 128, 1 / 128, 128), "tanh")
    ports = [Port(t.name, t.name, "uint8", "uint8") for t in (before, x, after, after)]
    tensors = {t.name: t for t in (before, x, after)}
    body = Graph("body", tuple(ports[:2]), tuple(ports[2:]), tensors, (Node("table", "tanh", ("step",), "next", tanh),))
    loop = scan.Scan(body, steps, (np.full((1, width), 128, np.uint8),), (False,), (scan.Result(1, sequence),))
    y = Tensor("y", (1, steps, width) if sequence else (1, width), q)
    layer = _one("scan", [Tensor("x", (1, steps, width), q)], y, loop, seed)
    return replace(layer, graph=passes.lower(layer.graph, Target("any"), "speed"))


def _strip_window(rng: random.Random, seed: int) -> Layer:
    """New rows in the middle of an image, and sometimes at its edge."""
    x = _image(rng, "rows")
    rows = replace(x, shape=(1, x.shape[1], rng.choice([1, 1, 2, 4]), x.shape[3]))
    window = replace(x, name="window", shape=(1, x.shape[1], rows.shape[2] + rng.choice([0, 2, 2, 4]), x.shape[3]))
    step, way = Tensor("step", (1, 2), Quantization(1.0, 0)), strip_window.StripWindow(2, 300, 0)
    y = replace(window, name="y")
    layer = _one("strip_window", [window, rows, step], y, way, seed)
    return replace(layer, inputs={**layer.inputs, "step": np.array([[rng.choice([0, 2, 9, 30]), 0]], np.uint8)})


def _strips(rng: random.Random, seed: int) -> Layer:
    """The cheapest of steps, as in _scan."""
    x = _image(rng)
    tanh = table.Table(tables.tabulate(np.tanh, 0.05, 0, 1 / 128, 128), "tanh")
    layer = _one("table", [x], Tensor("y", x.shape, Quantization(1 / 128, 128)), tanh, seed)
    loop = stream.streamed(layer.graph, 1, rng.choice([1, 1, 2, 4]))
    return replace(layer, graph=passes.lower(loop, Target("any"), "speed"))
