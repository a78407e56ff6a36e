"""lam_conv2d_sparse_pointwise: ternary 1 x 1 convolution over the positions of its non-zero levels."""

from collections.abc import Iterator
from dataclasses import replace
from math import erf, sqrt

import numpy as np

from lamella import formats
from lamella.codegen import narrow_requant, weights
from lamella.codegen.cdata import Struct, StructArray, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.conv2d_mve import pointwise
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.narrow_requant import NarrowRequant
from lamella.codegen.operators.conv2d import Conv2d

FUNCTION = "lam_conv2d_sparse_pointwise"
STEPS = 8  # LAM_POINTWISE_STEPS
#: How many groups of output channels are worth trying: more of them, less scratch.
PARTS = (1, 2, 4, 8, 16)
#: Of pixels as after a ReLU: half of them 0, the others half a bell of deviation 60.
INPUT_MEAN, INPUT_DEVIATION = 23.9, 35.0


def scale_of(graph: Graph, node: Node, is_short: bool) -> NarrowRequant | None:
    """The layer's requantisation from sums of raw inputs, bias and all in it; None where the kernel has none."""
    a: Conv2d = node.attributes
    q = a.requant
    if (q.low, q.high) != (0, 255) or (q.shift != 32).any():
        return None
    rows = weights.matrix(a.levels).astype(np.int64)
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors[node.inputs[0]].quantization.zero)
    lowest, highest = bias + 255 * np.minimum(rows, 0).sum(1), bias + 255 * np.maximum(rows, 0).sum(1)
    if (highest - lowest >= 2**16).any():
        return None
    find = narrow_requant.find_short if is_short else narrow_requant.find_long
    found = find(q.multiplier, q.zero, lowest, highest)
    if found is None:
        return None
    offset = found.offset + bias
    return replace(found, offset=offset) if (np.abs(offset + 0.5) < 2**15).all() else None


def list_words(levels: np.ndarray, together: int, is_short: bool) -> int:
    """lam_conv2d_sparse_pointwise_desc.list_words."""
    rows = weights.matrix(levels)
    counts = np.full(len(rows), 7 if is_short else 6)
    for sign in (-1, 1):
        n = np.count_nonzero(rows == sign, axis=1)
        counts += n + -(-n // STEPS)
    return int(max(counts[first : first + together].sum() for first in range(0, len(counts), together))) + 1


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    if a.groups != 1 or not pointwise(graph, node) or "mve" in target.features:
        return
    packings = [packed for packed in weights.candidates(a.levels) if packed.format.c_positions]
    tile = 32 if target.core.startswith("rv32") else 16  # registers for sixteen words of sums, or for eight
    is_short = "long_multiply" not in target.features and tile == 16
    scale = scale_of(graph, node, is_short) if packings else None
    if scale is None:
        return
    out_c, in_c = a.levels.shape[:2]
    _, _, height, width = graph.tensors[node.inputs[0]].shape
    pixels = height * width
    copies = pixels < tile or (pixels % 4 != 0 and not target.unaligned)
    for together in sorted({-(-out_c // parts) for parts in PARTS}, reverse=True):
        scratch = 2 * tile * in_c + 4 * list_words(a.levels, together, is_short) + (tile * together if copies else 0)
        work = _work(graph, node, tile, together, copies)
        work[f"{FUNCTION}.positive"] = -(-pixels // tile) * tile * _positive(a.levels, scale.offset)
        parameters = {"tile": tile, "together": together, "short": int(is_short)}
        for packed in packings:
            done = {**work, **weights.positions_work(packed, a.levels, times=1)}
            yield Choice(FUNCTION, packed.format.name, parameters, scratch, packed.bytes, done)


def _work(graph: Graph, node: Node, tile: int, together: int, copies: bool) -> dict[str, float]:
    """How often what happens, reading of the weights left out (Choice.work)."""
    a: Conv2d = node.attributes
    out_c, in_c = a.levels.shape[:2]
    _, _, height, width = graph.tensors[node.inputs[0]].shape
    pixels, parts = height * width, -(-out_c // together)
    tiles = -(-pixels // tile)
    taken = min(pixels, tile)  # pixels of each tile that are brought
    rows = weights.matrix(a.levels)
    minus, plus = np.count_nonzero(rows < 0, axis=1), np.count_nonzero(rows > 0, axis=1)
    negated = int((minus > 0).sum())
    widened = "widened_byte_channel" if copies else "widened" if pixels % 4 == 0 else "widened_anywhere"
    work = {
        "call": 1,
        "part": parts,
        "channel": out_c,
        "nonzero": int((minus + plus).sum()),
        "list": int((-(-minus // STEPS) - (-plus // STEPS)).sum()),
        "tile": parts * tiles,
        widened: parts * tiles * in_c,
        "widened_byte": parts * tiles * in_c * taken if copies else 0,
        "copied_channel": tiles * out_c if copies else 0,
        "copied": tiles * out_c * taken if copies else 0,
        "channel_tile": tiles * out_c,
        "negated_tile": tiles * negated,
        "list_tile": tiles * int((-(-np.maximum(minus - 1, 0) // STEPS) - (-plus // STEPS)).sum()),
        "nonzero_tile": tiles * (int((minus + plus).sum()) - negated),
    }
    return {f"{FUNCTION}.{name}": n for name, n in work.items() if n}


def _positive(levels: np.ndarray, offset: np.ndarray) -> float:
    """Output channels times the part of their sums that is not below the range of y, where some cores do nothing."""
    rows = weights.matrix(levels).astype(np.int64)
    mean = INPUT_MEAN * rows.sum(axis=1) + offset + 0.5
    deviation = np.maximum(INPUT_DEVIATION * np.sqrt(np.abs(rows).sum(axis=1)), 1e-3)
    return sum(0.5 * (1 + erf(z / sqrt(2))) for z in (mean / deviation).tolist())


def _describe(graph: Graph, node: Node) -> Struct:
    a: Conv2d = node.attributes
    record = formats.get(node.choice.format)
    p = node.choice.parameters
    scale = scale_of(graph, node, bool(p["short"]))
    multiplier = scale.multiplier + (scale.shift << 24 if p["short"] else 0)
    items = tuple(
        Struct("lam_pointwise_scale", {"multiplier": m, "fraction": f, "offset": o})
        for m, f, o in zip(multiplier.tolist(), scale.fraction.tolist(), scale.offset.tolist(), strict=True)
    )
    _, _, height, width = graph.tensors[node.inputs[0]].shape
    return Struct(
        "lam_conv2d_sparse_pointwise_desc",
        {
            "positions": Symbol(record.c_positions),
            "weights": weights.array(a.levels, record.name),
            "scale": StructArray("scale", "lam_pointwise_scale", items),
            "tile": Symbol(f"lam_pointwise_tile_{p['tile']}" + ("_short" if p["short"] else "")),
            "pixels": height * width,
            "in_c": a.levels.shape[1],
            "out_c": a.levels.shape[0],
            "together": p["together"],
            "tile_pixels": p["tile"],
            "is_short": p["short"],
            "list_words": list_words(a.levels, p["together"], p["short"]),
        },
    )


KERNEL = Kernel(
    function=FUNCTION,
    operator="conv2d",
    header="lam_conv2d_sparse_pointwise.h",
    sources=(
        "src/lam_conv2d_sparse_pointwise.c",
        "src/lam_conv2d_sparse_pointwise_16.c",
        "src/lam_conv2d_sparse_pointwise_16_short.c",
        "src/lam_conv2d_sparse_pointwise_32.c",
    ),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
