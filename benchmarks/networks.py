"""Whole networks with random weights, as graphs: the topologies that the field compares tools on.

ResNet-8 and DS-CNN are those of MLPerf Tiny (Banbury et al., MLPerf Tiny Benchmark, 2021). Weights are random with
the spread of trained ones; how long a network takes depends on its shapes, formats and densities only.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import shapes

from lamella import requant
from lamella.codegen.ir import Graph, Node, Port, Quantization, Requant, Tensor
from lamella.codegen.operators.add import Add, multipliers_of
from lamella.codegen.operators.avgpool2d import AvgPool2d
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.dense import Dense
from lamella.codegen.operators.reshape import Reshape
from lamella.codegen.operators.softmax import Softmax, table
from lamella.codegen.operators.transpose import Transpose
from lamella.codegen.operators.windows import Window

Q = Quantization(0.05, 0)


@dataclass
class Builder:
    """A graph in the making; every method adds a node behind `at` and returns the new tensor's name."""

    name: str
    shape: tuple[int, ...]
    kind: str
    density: float
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.tensors["x"] = Tensor("x", (1, *self.shape), Q)

    def _add(self, op: str, name: str, inputs: list[str], shape: tuple[int, ...], attributes: object) -> str:
        self.tensors[name] = Tensor(name, shape, Q)
        self.nodes.append(Node(op, name, tuple(inputs), name, attributes))
        return name

    def _requant(self, w: np.ndarray) -> Requant:
        reach = 75 * np.sqrt(float((w[0].astype(float) ** 2).sum()) or 1.0)
        scale = self.rng.uniform(0.5, 1.0, len(w)) * 60 / max(reach, 130.0)
        return Requant(np.round(scale * 2.0**32).astype(np.int64), np.full(len(w), 32), 0, 0, 255)

    def _levels(self, shape: tuple[int, ...], kind: str | None) -> np.ndarray:
        return shapes.levels(self.rng, shape, kind or self.kind, self.density)

    def conv(self, name, at, out_c, kernel=(3, 3), stride=(1, 1), pads=None, depthwise=False, kind=None) -> str:
        """A convolution; `pads` as ONNX gives them, else half the kernel on each side."""
        x = self.tensors[at].shape
        pads = pads or tuple((k - 1) // 2 for k in kernel) * 2
        window = Window(kernel, stride, (1, 1), pads)
        w = self._levels((out_c, 1 if depthwise else x[1], *kernel), kind)
        bias = self.rng.integers(-100, 100, out_c)
        groups = x[1] if depthwise else 1
        attributes = Conv2d(w, np.ones(1, np.float32), bias, window, groups, self._requant(w))
        return self._add("conv2d", name, [at], (1, out_c, *window.out_size(x[2:])), attributes)

    def add(self, name: str, a: str, b: str) -> str:
        """The sum of two tensors, at a larger scale."""
        multipliers, shift = multipliers_of(Q.scale, Q.scale, 1.5 * Q.scale)
        return self._add("add", name, [a, b], self.tensors[a].shape, Add(multipliers, shift, 0, 0, 255))

    def channels_first(self, name: str, at: str) -> str:
        """(1, rows, columns, channels), as TFLite files have their input, to (1, channels, rows, columns)."""
        _, rows, cols, channels = self.tensors[at].shape
        shape = (1, channels, rows, cols)
        return self._add("transpose", name, [at], shape, Transpose(1, rows * cols, channels, 1))

    def dense(self, name: str, at: str, outputs: int) -> str:
        """A fully connected layer."""
        w = self._levels((outputs, self.tensors[at].shape[1]), None)
        bias = self.rng.integers(-100, 100, outputs)
        return self._add("dense", name, [at], (1, outputs), Dense(w, np.ones(1, np.float32), bias, self._requant(w)))

    def done(self, out: str) -> Graph:
        """The graph that gives this tensor."""
        ports = Port("x", "x", "uint8", "uint8"), Port(out, out, "uint8", "uint8")
        return Graph(self.name, (ports[0],), (ports[1],), self.tensors, tuple(self.nodes))

    def mean(self, name: str, at: str) -> str:
        """The mean of each channel."""
        _, channels, rows, cols = self.tensors[at].shape
        multiplier, shift = requant.quantize_multiplier(1.0 / (rows * cols))
        q = Requant(np.array([multiplier]), np.array([shift]), 0, 0, 255)
        return self._add("avgpool2d", name, [at], (1, channels, 1, 1), AvgPool2d(Window((rows, cols)), False, q))

    def classify(self, at: str, classes: int) -> Graph:
        """The graph with a dense layer and softmax at its end."""
        cols = int(np.prod(self.tensors[at].shape))
        flat = self._add("reshape", "flat", [at], (1, cols), Reshape())
        logits = self.dense("fc", flat, classes)
        out = self._add("softmax", "softmax", [logits], (1, classes), Softmax(table(Q.scale), 256))
        self.tensors[out] = replace(self.tensors[out], quantization=Quantization(1 / 256, 0))
        return self.done(out)


def resnet8(kind: str = "int8", density: float = 1.0) -> Graph:
    """ResNet-8 for 32x32 images: 12.5 M multiply-accumulates, 78 k weights. The first layer always has 8-bit weights."""
    b = Builder("resnet8", (3, 32, 32), kind, density)
    at = b.conv("conv0", "x", 16, kind="int8")
    for k, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
        pads = (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
        y = b.conv(f"block{k}_a", at, channels, stride=(stride, stride), pads=pads)
        y = b.conv(f"block{k}_b", y, channels)
        skip = at if stride == 1 else b.conv(f"block{k}_skip", at, channels, (1, 1), (2, 2))
        at = b.add(f"block{k}_sum", y, skip)
    return b.classify(b.mean("mean", at), 10)


def dscnn(kind: str = "int8", density: float = 1.0) -> Graph:
    """DS-CNN for keywords, 49x10 features: 2.7 M multiply-accumulates, 23 k weights. Depthwise and first layers 8 bit."""
    b = Builder("dscnn", (1, 49, 10), kind, density)
    at = b.conv("conv0", "x", 64, (10, 4), (2, 2), (4, 1, 5, 1), kind="int8")
    for k in range(1, 5):
        at = b.conv(f"depthwise{k}", at, 64, depthwise=True, kind="int8")
        at = b.conv(f"pointwise{k}", at, 64, (1, 1))
    return b.classify(b.mean("mean", at), 12)


def mobilenet(kind: str = "int8", density: float = 1.0) -> Graph:
    """MobileNetV1 of a quarter of the width for 96x96 images, visual wake words: 7.5 M multiply-accumulates, 0.2 M weights."""
    b = Builder("mobilenet", (96, 96, 3), kind, density)
    at = b.conv("conv0", b.channels_first("planes", "x"), 8, (3, 3), (2, 2), (0, 0, 1, 1))
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    widths = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    for k, (stride, width) in enumerate(zip(strides, widths, strict=True), 1):
        pads = (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
        at = b.conv(f"depthwise{k}", at, b.tensors[at].shape[1], stride=(stride, stride), pads=pads, depthwise=True)
        at = b.conv(f"pointwise{k}", at, width, (1, 1))
    return b.classify(b.mean("mean", at), 2)


def autoencoder(kind: str = "int8", density: float = 1.0) -> Graph:
    """The dense autoencoder for anomalies in machine sounds: 0.26 M multiply-accumulates and weights."""
    b = Builder("autoencoder", (640,), kind, density)
    at = "x"
    for k, width in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128, 640)):
        at = b.dense(f"dense{k}", at, width)
    return b.done(at)


def networks() -> dict[str, Graph]:
    """All of them by name."""
    return {
        "resnet8 int8": resnet8(),
        "resnet8 ternary 0.3": resnet8("ternary", 0.3),
        "dscnn int8": dscnn(),
        "dscnn ternary 0.3": dscnn("ternary", 0.3),
    }
