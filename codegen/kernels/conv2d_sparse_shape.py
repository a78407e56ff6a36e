"""What the generator knows of the sparse convolutions: their scratch memory, their work and their descriptor."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.windows import Window

TILE = 16
LARGEST = 65535


@dataclass(frozen=True)
class Band:
    """lam_sparse_band of runtime_c/include/lam_conv2d.h, which explains the fields, and the scratch memory it takes.

    The arithmetic of lam_band_plan in runtime_c/src/lam_conv2d_sparse_band.c once more, because the generator plans
    memory without running C; a test holds the two together.
    """

    channels: int
    phases_h: int
    phases_w: int
    reach_h: int
    reach_w: int
    pitch: int
    plane: int
    size: int
    out_w: int
    line: int
    kept: int
    copies: int
    is_flat: bool
    pools_sums: bool

    def scratch_bytes(self, node: Node, pixel_bytes: int) -> int:
        """What lam_conv2d_sparse_.._scratch says."""
        levels = node.attributes.levels
        tables = 4 * (weights.largest_row(levels) + 2) + 2 * levels[0].size
        return pixel_bytes * self.copies * self.size + tables + self.kept

    def tiles(self, out_rows: int) -> int:
        """Tiles of 16 pixels for so many rows of the convolution."""
        if self.is_flat:
            return -(-((out_rows - 1) * self.pitch + self.out_w) // TILE)
        return out_rows * -(-self.out_w // TILE)


@dataclass(frozen=True)
class Pixels:
    """How a kernel keeps pixels: their bytes; at multiples of how many of them its loads begin; whether it may read the
    input itself (lam_band_format)."""

    bytes: int
    word: int
    in_place: bool = False


def band(graph: Graph, node: Node, band_rows: int, kind: Pixels) -> Band:
    """The band of a sparse convolution."""
    a: Conv2d = node.attributes
    w, pool = a.window, _pool(a)
    word = kind.word
    _, _, in_h, in_w = graph.tensors[node.inputs[0]].shape
    _, _, pooled_h, pooled_w = graph.tensors[node.output].shape
    reach_h, reach_w = _reach(a)
    out_rows = (band_rows - 1) * pool.stride[0] + pool.kernel[0]
    out_w = (pooled_w - 1) * pool.stride[1] + pool.kernel[1]
    pitch = out_w + reach_w
    flat, by_row = _up_to((out_rows - 1) * pitch + out_w, TILE), _up_to(out_w, TILE)
    is_flat = reach_w == 0 or flat < out_rows * by_row
    if is_flat:
        kept = flat if a.pool or reach_w else 0
    else:
        pitch = _up_to(pitch, word)
        kept = pool.kernel[0] * by_row if a.pool else 0
    line = pitch if is_flat else by_row
    pools_sums = _is_max_2x2(a) and line % 4 == 0
    plane = _up_to((out_rows + reach_h) * pitch, word)
    phases_h, phases_w = min(w.stride[0], w.reach(0)), min(w.stride[1], w.reach(1))
    channels = a.levels.shape[1]
    size = _up_to(channels * phases_h * phases_w * plane + TILE, 4)
    if pitch % word == 0:
        copies = min(word, reach_w + 1)
    else:
        copies = word if reach_h or reach_w else 1
    plain = w.kernel == (1, 1) and w.stride == (1, 1) and (pooled_h, pooled_w) == (in_h, in_w) and not a.pool
    if kind.in_place and plain and band_rows == in_h and in_h * in_w % word == 0 and in_h * in_w >= TILE:
        copies = 0
    return Band(
        channels, phases_h, phases_w, reach_h, reach_w, pitch, plane, size, out_w, line, kept << pools_sums, copies,
        is_flat, pools_sums,
    )  # fmt: skip


def _is_max_2x2(a: Conv2d) -> bool:
    return (
        a.pool is not None and a.pool.kind == "max" and a.pool.window.kernel == (2, 2) and a.pool.window.stride[1] == 2
    )


def _up_to(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _pool(a: Conv2d) -> Window:
    return a.pool.window if a.pool else Window((1, 1))


def _reach(a: Conv2d) -> tuple[int, int]:
    """Rows and columns of a phase that a window has beyond its first."""
    h, w = ((a.window.reach(k) - 1) // a.window.stride[k] for k in (0, 1))
    return h, w


def options(function: str, graph: Graph, node: Node, kind: Pixels) -> Iterator[Choice]:
    """Every format that gives positions, and every way to cut the image into bands."""
    a: Conv2d = node.attributes
    if a.levels[0].size > LARGEST:
        return
    pooled_rows = graph.tensors[node.output].shape[2]
    heights = sorted({-(-pooled_rows // bands) for bands in range(1, pooled_rows + 1)}, reverse=True)
    packings = [packed for packed in weights.candidates(a.levels) if packed.format.c_positions]
    for band_rows in heights if packings else ():
        need = band(graph, node, band_rows, kind)
        if need.copies * need.size > LARGEST or need.size > LARGEST or need.kept > LARGEST:
            continue
        bands = -(-pooled_rows // band_rows)
        done = {
            f"{function}.{event}": times
            for event, times in _work(graph, node, need, band_rows, kind.word).items()
            if times
        }
        for packed in packings:
            work = {**done, **weights.positions_work(packed, a.levels, times=bands)}
            scratch = need.scratch_bytes(node, kind.bytes)
            yield Choice(function, packed.format.name, {"band_rows": band_rows}, scratch, packed.bytes, work)


def _work(graph: Graph, node: Node, b: Band, band_rows: int, word: int) -> dict[str, int]:
    """How often what happens, reading of the weights left out (Choice.work)."""
    a: Conv2d = node.attributes
    pool, pooled_rows = _pool(a), graph.tensors[node.output].shape[2]
    channels, nonzero = a.levels.shape[0], int(np.count_nonzero(a.levels))
    heights = [min(band_rows, pooled_rows - first) for first in range(0, pooled_rows, band_rows)]
    out_rows = [(n - 1) * pool.stride[0] + pool.kernel[0] for n in heights]
    tiles = sum(b.tiles(n) for n in out_rows)
    y_pixels = graph.tensors[node.output].bytes
    pooled = y_pixels * pool.kernel[0] * pool.kernel[1] if a.pool else 0
    work = {
        "call": 1,
        "band": len(heights) * a.groups,
        "channel": len(heights) * channels,
        "column": a.levels[0].size,
        "tile": 0 if b.pools_sums else channels * tiles,
        "tile_sums": channels * tiles if b.pools_sums else 0,
        "tile_wide": int(_is_wide(graph, node).sum()) * tiles,
        "nonzero": len(heights) * nonzero,
        "nonzero_tile": nonzero * tiles,
        "pooled": 0 if b.pools_sums else pooled,
        "pooled_2x2": pooled if b.pools_sums else 0,
    }
    if a.pool:
        work["row_pooled"] = channels * pooled_rows
    elif b.kept:
        work |= {"row_brought": channels * pooled_rows, "brought": y_pixels}
    elif b.is_flat or b.out_w == TILE:
        ends = [_end_of_run(n * b.out_w, word) for n in heights]
        work |= {"row_brought": channels * sum(e > 0 for e in ends), "brought": channels * sum(ends)}
    else:
        end = _end_of_run(b.out_w, word)
        work |= {"row": channels * pooled_rows, "brought": channels * pooled_rows * end}
    return {**work, **(_loading(graph, node, b, heights) if b.copies else {})}


def _end_of_run(n: int, word: int) -> int:
    """Pixels of a run of n that take the way by a tile of their own, and are copied from there (lam_sparse_pixels)."""
    rest = n % TILE
    return 0 if n > TILE and rest % word == 0 else rest


def _loading(graph: Graph, node: Node, b: Band, heights: list[int]) -> dict[str, int]:
    """What it takes to fill the band for each group: rows and pixels of the image, pixels of all copies."""
    a: Conv2d = node.attributes
    w, pool = a.window, _pool(a)
    _, in_c, in_h, in_w = graph.tensors[node.inputs[0]].shape
    reach_h, reach_w = _reach(a)
    cols = [
        int(_inside(phase, w.stride[1], b.out_w + reach_w, w.pads[1], in_w))
        for phase in range(min(w.stride[1], w.reach(1)))
    ]
    high = np.array(heights)
    first = (np.cumsum(high) - high) * pool.stride[0] * w.stride[0]
    taken = (high - 1) * pool.stride[0] + pool.kernel[0] + reach_h
    rows = sum(
        int(_inside(first + phase, w.stride[0], taken, w.pads[0], in_h).sum())
        for phase in range(min(w.stride[0], w.reach(0)))
    )
    pixels = in_c * rows * sum(cols)
    is_one_run = w.stride[1] == 1 and cols == [in_w] and b.pitch == in_w
    return {
        "loaded_row": in_c * (len(heights) if is_one_run else rows * len(cols)),
        "loaded": pixels if w.stride[1] == 1 else 0,
        "loaded_apart": 0 if w.stride[1] == 1 else pixels,
        "band_pixel": len(heights) * a.groups * b.copies * b.size,
    }


def _inside(at: np.ndarray | int, step: int, n: np.ndarray | int, pad: int, size: int) -> np.ndarray:
    """How many of at, at + step, .. (n of them) lie in pad .. pad + size - 1; for each `at` and `n`."""
    below = np.maximum(0, -(-(pad - at) // step))  # the first of them that is not below pad
    return np.maximum(0, np.minimum(n, -(-(pad + size - at) // step)) - below)


def _is_wide(graph: Graph, node: Node) -> np.ndarray:
    """Channels whose sums may leave 16 bits, or whose scale is one half or more: they take the long way."""
    a: Conv2d = node.attributes
    rows = weights.matrix(a.levels).astype(np.int64)
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors[node.inputs[0]].quantization.zero)
    lowest, highest = bias + 255 * np.minimum(rows, 0).sum(1), bias + 255 * np.maximum(rows, 0).sum(1)
    multiplier, shift = (np.broadcast_to(q, len(rows)) for q in (a.requant.multiplier, a.requant.shift))
    return (lowest < -(2**15)) | (highest >= 2**15) | (shift != 32) | (multiplier == 0)


def describe(graph: Graph, node: Node, kind: Pixels) -> Struct:
    """lam_conv2d_sparse_desc of a node."""
    band_rows = node.choice.parameters["band_rows"]
    planned = {key: int(value) for key, value in asdict(band(graph, node, band_rows, kind)).items()}
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_sparse_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "positions": Symbol(record.c_positions),
            "weights": weights.array(node.attributes.levels, record.name),
            "capacity": weights.largest_row(node.attributes.levels),
            "band_rows": band_rows,
            "band": Struct("", planned),
        },
    )
