"""lam_conv2d_lanes: convolution of levels of few bits, two pixels in one multiplication, for cores without DSP
instructions. A level that is zero costs nothing."""

from collections.abc import Iterator

import numpy as np

from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_mac, conv2d_mac_work
from lamella.codegen.kernels.record import Kernel

_LAYOUT = conv2d_mac.Layout("lam_conv2d_lanes", bytes=2, deep=1, wide=1, even=True)
_TILE = conv2d_mac.Tile("lam_mac_lanes_1x16", 1, 1, (16, 8))
_SUM = 128  # LAM_LANES_SUM: levels of one sign that 16 bits can take
_FEW = 16  # larger levels: sums are split every few taps, and lam_conv2d_bytes is faster


def parts_of(levels: np.ndarray) -> np.ndarray:
    """For each output channel the parts of its stream, as lam_lanes_weave ends them."""
    rows = weights.matrix(levels).astype(np.int64)
    plus, minus, parts = (np.zeros(len(rows), np.int64) for _ in range(3))
    parts += 1
    for column in rows.T:
        plus += np.maximum(column, 0)
        minus -= np.minimum(column, 0)
        ends = (plus > _SUM) | (minus > _SUM)
        parts += ends
        plus = np.where(ends, np.maximum(column, 0), plus)
        minus = np.where(ends, -np.minimum(column, 0), minus)
    return parts


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    levels = node.attributes.levels
    if "dsp" in target.features or np.abs(levels).max(initial=0) > _FEW:  # with DSP, lam_conv2d_pairs does as much
        return
    parts = parts_of(levels)
    nonzero = np.count_nonzero(weights.matrix(levels), axis=1)
    capacity = int(2 * (parts + nonzero).max())
    packed = [p for p in weights.candidates(levels) if p.format.c_unpack is not None]
    for band_rows in conv2d_mac.band_rows_of(graph.tensors[node.output].shape[2]):
        words = capacity + (levels[0].size + 1) // 2
        g = conv2d_mac.geometry(graph, node, _LAYOUT, _TILE, band_rows, False, words)
        if g.elements > 65535:  # offsets have 16 bits
            continue
        work = conv2d_mac_work.common(graph, node, _LAYOUT, _TILE, g, False)
        for pixels, number in conv2d_mac_work.tiles_of(graph, node, _TILE, g).items():
            work[f"{_TILE.function}.tile{pixels}"] = levels.shape[0] * number
            work[f"{_TILE.function}.part{pixels}"] = int(parts.sum()) * number
            work[f"{_TILE.function}.nonzero{pixels}"] = int(nonzero.sum()) * number
        work["lam_conv2d_lanes.offset"] = levels[0].size
        work["lam_conv2d_lanes.level"] = len(g.bands) * levels.size
        work["lam_conv2d_lanes.nonzero"] = len(g.bands) * int(nonzero.sum())
        work["lam_conv2d_lanes.part"] = len(g.bands) * int(parts.sum())
        work = {name: count for name, count in work.items() if count}
        parameters = {"band_rows": band_rows, "in_place": 0, "together": 1, "taps": 1, "capacity": capacity}
        for p in packed:
            decoding = weights.unpack_work(p, levels, times=len(g.bands), calls=len(g.bands) * levels.shape[0])
            yield Choice(
                _LAYOUT.function,
                p.format.name,
                parameters,
                g.scratch_bytes,
                p.bytes,
                {**work, **decoding},
                overwrites=node.attributes.pixel_by_pixel,
            )


def _describe(graph: Graph, node: Node) -> Struct:
    return conv2d_mac.describe(graph, node, _TILE)


KERNEL = Kernel(
    function="lam_conv2d_lanes",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=(
        "src/lam_conv2d_lanes.c",
        "src/lam_conv2d_mac.c",
        "src/lam_conv2d_mac_band.c",
        "src/lam_conv2d_mac_lanes.c",
    ),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
