"""Other sizes for images: between four pixels (bilinear), or the nearest one; by whole factors that is operator expand."""

from dataclasses import dataclass, replace
from math import floor

import numpy as np

from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import expand, sampling, windows
from lamella.codegen.operators.record import Operator
from lamella.requant import AWAY

#: Weights of the two pixels along an axis add up to this.
ONE = 1 << 10
#: Which pixel is the nearest.
ROUNDING = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    "round_prefer_floor": lambda v: np.ceil(v - 0.5),
}


@dataclass(frozen=True)
class Resize:
    """For each row (column) of the result: the first of two rows of the input, and the weight of the second of ONE."""

    rows: np.ndarray
    row_weights: np.ndarray
    cols: np.ndarray
    col_weights: np.ndarray
    requant: Requant


def read(reader, node) -> None:
    """ONNX Resize and Upsample of images, nearest or linear."""
    a = reader.attributes(
        node, mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor",
        cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, antialias=0, axes=None, scales=None,
        keep_aspect_ratio_policy="stretch",
    )  # fmt: skip
    x = windows.image(reader, node)
    rank = len(reader.activation(node, 0).shape)
    sizes, factors = _sizes(reader, node, a, x, rank)
    way = "asymmetric" if node.op_type == "Upsample" else a["coordinate_transformation_mode"]
    if a["mode"] not in ("nearest", "linear") or a["antialias"] or a["exclude_outside"]:
        raise reader.unsupported(node, f"mode {a['mode']!r} or antialias; nearest and linear are supported")
    if way not in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"):
        raise reader.unsupported(node, f"coordinate_transformation_mode {way!r}; half_pixel is supported")
    places = [_places(n, m, f, way) for n, m, f in zip(x.shape[2:], sizes, factors, strict=True)]
    if a["mode"] == "nearest":
        rounding = ROUNDING.get("floor" if node.op_type == "Upsample" else a["nearest_mode"])
        if rounding is None:
            raise reader.unsupported(node, f"nearest_mode {a['nearest_mode']!r}; {', '.join(ROUNDING)} are supported")
        places = [np.clip(rounding(at), 0, n - 1) for at, n in zip(places, x.shape[2:], strict=True)]
        if all(
            m % n == 0 and np.array_equal(at, np.arange(m) // (m // n))
            for at, n, m in zip(places, x.shape[2:], sizes, strict=True)
        ):
            _repeat(reader, node, x, sizes)
            return
    sink = reader.sink(node)
    requant = reader.requant(node, x.quantization.scale, np.float32(1 / ONE**2), sink)
    if reader.as_tflite and a["mode"] == "linear" and x.quantization == sink.quantization:
        places = [_places_as_tflite(n, m, way) for n, m in zip(x.shape[2:], sizes, strict=True)]
        requant = replace(requant, multiplier=np.array([ONE**2]), shift=np.array([AWAY]))
    taps = [_taps(at, n) for at, n in zip(places, x.shape[2:], strict=True)]
    shape = (1, x.shape[1], *sizes)
    windows.add(reader, "resize", node, x, shape, sink.quantization, Resize(*taps[0], *taps[1], requant))


def _sizes(reader, node, a: dict, x: Tensor, rank: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Rows and columns of the result, and the factors that the file says or that follow."""
    at = {"Upsample": (1, None)}.get(node.op_type, (2, 3))
    scales = reader.constant(node, at[0], a["scales"])
    wanted = None if at[1] is None else reader.constant(node, at[1])
    axes = [int(v) % rank for v in a["axes"]] if a["axes"] else list(range(rank))
    given = scales if wanted is None else wanted
    if given is None or len(given) != len(axes):
        raise reader.unsupported(node, "sizes or scales that are not constant")
    old = dict(enumerate(reader.activation(node, 0).shape))
    table = {axis: float(v) for axis, v in zip(axes, given, strict=True)}
    neutral = {k: float(old[k]) if wanted is not None else 1.0 for k in (0, 1)}
    if any(table.get(k, neutral[k]) != neutral[k] for k in (0, 1)):
        raise reader.unsupported(node, "another batch or number of channels; rows and columns can be resized")
    found, factors = [1] * (2 - len(range(2, rank))), [1.0] * (2 - len(range(2, rank)))
    for k in range(2, rank):
        value = table.get(k, float(old[k]) if wanted is not None else 1.0)
        found.append(int(value) if wanted is not None else floor(old[k] * value))
        factors.append(found[-1] / old[k] if wanted is not None else value)
    if min(found) < 1 or max(found) > 65535:
        raise reader.unsupported(node, f"a result of {found} rows and columns")
    return tuple(found), tuple(factors)


def _places(n: int, m: int, factor: float, way: str) -> np.ndarray:
    """Where each place of the result lies in the input (ONNX, operator Resize)."""
    at = np.arange(m, dtype=np.float64)
    if way == "align_corners":
        return at * (n - 1) / (m - 1) if m > 1 else at * 0
    if way == "pytorch_half_pixel" and m == 1:
        return at * 0
    return at / factor if way == "asymmetric" else (at + 0.5) / factor - 0.5


def _places_as_tflite(n: int, m: int, way: str) -> np.ndarray:
    """The same as TensorFlow Lite Micro has it: a step of ONE parts, rounded, and its multiples."""
    ends = 1 if way == "align_corners" and m > 1 else 0
    step = (ONE * (n - ends) + (m - ends) // 2) // (m - ends)
    first = step // 2 - ONE // 2 if way == "half_pixel" else 0
    return (np.arange(m) * step + first) / ONE


def _repeat(reader, node, x: Tensor, sizes) -> None:
    """Nearest by whole factors: every pixel repeats."""
    (rows, cols), (high, wide) = x.shape[2:], sizes
    spread = reader.view(node, x, (1, x.shape[1], rows, 1, cols, 1))
    big = expand.add(reader, node, spread, (1, x.shape[1], rows, high // rows, cols, wide // cols))
    rank = len(reader.activation(node, 0).shape)
    reader.view(node, big, (1, x.shape[1], *sizes)[:2] + sizes[4 - rank :], node.output[0])


def _taps(at: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel, and weight of the one behind it; both within the image."""
    at = np.clip(at, 0, n - 1)
    first = np.minimum(np.floor(at).astype(np.int64), max(n - 2, 0))
    return first, np.floor((at - first) * ONE + 0.5).astype(np.int64)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    from lamella.codegen import exact

    a: Resize = node.attributes
    x = inputs[0].to(torch.int64) - graph.tensors[node.inputs[0]].quantization.zero

    def between(values, axis: int, first: np.ndarray, weights: np.ndarray):
        n = values.shape[axis]
        one = values.index_select(axis, torch.from_numpy(first))
        two = values.index_select(axis, torch.from_numpy(np.minimum(first + 1, n - 1)))
        w = torch.from_numpy(weights).reshape([-1 if k == axis else 1 for k in range(values.dim())])
        return one * (ONE - w) + two * w

    return exact.requantize(between(between(x, 3, a.cols, a.col_weights), 2, a.rows, a.row_weights), a.requant)


def sample(draw) -> Graph:
    """A random size."""
    x = draw.tensor("x", (1, draw.integer(1, 3), draw.integer(1, 5), draw.integer(1, 6)))
    sizes = tuple(draw.integer(1, 11) for _ in range(2))
    taps = [_taps(_places(n, m, m / n, "half_pixel"), n) for n, m in zip(x.shape[2:], sizes, strict=True)]
    quantization = draw.quantization(x.quantization.scale)
    requant = draw.requant(x.quantization.scale, np.array([1 / ONE**2], np.float32), quantization)
    y = Tensor("y", (1, x.shape[1], *sizes), quantization)
    return sampling.graph("resize", [x], y, Resize(*taps[0], *taps[1], requant))


OPERATOR = Operator(
    name="resize",
    title="resizing of images: bilinear or nearest",
    onnx=("Resize", "Upsample"),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
)
