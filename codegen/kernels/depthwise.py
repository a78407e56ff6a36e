"""What the depthwise kernels share: groups of one input channel each, no pooling."""

from collections.abc import Callable, Iterator

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d, conv_size

TILE = 4  # LAM_DEPTHWISE_TILE


def kernel(function: str, suits: Callable[[Conv2d], bool], sources: tuple[str, ...] = ()) -> Kernel:
    """The record of a depthwise kernel: for convolutions that it suits, with C files besides the driver's."""

    def options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
        a: Conv2d = node.attributes
        if a.levels.shape[1] != 1 or a.pool is not None or not suits(a):
            return
        for packed in weights.candidates(a.levels):
            if packed.format.c_unpack is None:
                continue
            for band_rows in _bands(conv_size(graph, node)[0]):
                work = _work(function, graph, node, band_rows) | weights.unpack_work(
                    packed, a.levels, times=1, calls=graph.tensors[node.inputs[0]].shape[1]
                )
                scratch = scratch_bytes(graph, node, band_rows)
                parameters = {"band_rows": band_rows}
                yield Choice(
                    function,
                    packed.format.name,
                    parameters,
                    scratch,
                    packed.bytes,
                    work,
                    overwrites=reaches_done_channels(graph, node, band_rows),
                )

    return Kernel(
        function=function,
        operator="conv2d",
        header="lam_conv2d.h",
        sources=("src/lam_conv2d_depthwise.c", *sources),
        options=options,
        describe=_describe,
        takes_scratch=True,
    )


def scratch_bytes(graph: Graph, node: Node, band_rows: int) -> int:
    """Scratch of every depthwise kernel: lam_conv2d_depthwise_scratch in C, which a test holds together with this."""
    a: Conv2d = node.attributes
    line, pitch, rows = _band(graph, node, band_rows)
    taps = a.levels[0].size
    multiplier = a.levels.shape[0] // a.groups
    return 4 * (line + taps + 3) + 2 * pitch * rows + 2 * multiplier * taps


def _band(graph: Graph, node: Node, band_rows: int) -> tuple[int, int, int]:
    """Accumulators of a row in whole tiles; pixels of a row of the band; its rows."""
    w = node.attributes.window
    line = -(-conv_size(graph, node)[1] // TILE) * TILE
    pitch = (line - 1) * w.stride[1] + w.reach(1)
    return line, pitch + pitch % 2, (band_rows - 1) * w.stride[0] + w.reach(0)


def reaches_done_channels(graph: Graph, node: Node, band_rows: int) -> bool:
    """Whether a channel's result may be written where the channel was: it is in scratch as a whole, and a result that is
    smaller only reaches channels that are done with."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    return x.shape[1] == y.shape[1] and y.bytes <= x.bytes and band_rows >= y.shape[2]


def _bands(rows: int) -> list[int]:
    """Heights of a band: the whole image, and about one half, one quarter .. of it."""
    heights = {-(-rows // parts) for parts in (1, 2, 4, 8, 16)}
    return sorted(heights, reverse=True)


def _rows_of_bands(graph: Graph, node: Node, band_rows: int) -> tuple[int, int]:
    """Rows of the image, and of padding, that one channel's bands hold together."""
    w, in_h = node.attributes.window, graph.tensors[node.inputs[0]].shape[2]
    height = _band(graph, node, band_rows)[2]
    image = padding = 0
    for first in range(0, conv_size(graph, node)[0], band_rows):
        top = first * w.stride[0] - w.pads[0]
        inside = max(0, min(top + height, in_h) - max(top, 0))
        image, padding = image + inside, padding + height - inside
    return image, padding


def _work(function: str, graph: Graph, node: Node, band_rows: int) -> dict[str, float]:
    a: Conv2d = node.attributes
    _, in_c, _, in_w = graph.tensors[node.inputs[0]].shape
    rows, cols = conv_size(graph, node)
    channels, taps = a.levels.shape[0], a.levels[0].size
    bands = -(-rows // band_rows)
    _, pitch, height = _band(graph, node, band_rows)
    loaded, padding = _rows_of_bands(graph, node, band_rows)
    width = max(0, min(in_w, pitch - a.window.pads[1]))
    by_tiles = function == "lam_conv2d_depthwise"  # even a single pixel at the end of a row
    alone = 0 if by_tiles else int(cols % TILE == 1)
    tiles = channels * rows * (cols // TILE if alone else -(-cols // TILE))
    unfinished = 0 if by_tiles else (cols % TILE if cols % TILE > 1 else 0)  # pixels of a tile that is cut off
    stride = f"_stride{a.window.stride[1]}" if not by_tiles else ""
    counts = {
        "call": 1,
        "band": in_c * bands,
        "band_row": in_c * loaded,
        "band_4": in_c * loaded * (width // 4),
        "band_1": in_c * loaded * (width % 4),
        "filled": pitch * (height + (in_c * padding if bands > 1 else 0)),
        "channel": channels * bands,
        "level": channels * bands * taps,
        "row": channels * rows,
        f"tile{stride}": tiles,
        "alone": channels * rows * alone,
        "unfinished_row": channels * rows * int(unfinished > 0),
        "unfinished_pixel": channels * rows * unfinished,
    }
    if by_tiles:
        counts["tile_row"] = tiles * a.levels.shape[2]
        counts["tile_tap"] = tiles * taps
        counts["pixel"] = channels * rows * cols
    return {f"{function}.{name}": count for name, count in counts.items()}


def split(graph: Graph, node: Node) -> int:
    """lam_conv2d_depthwise_desc.split: how many low bits of each multiplier are multiplied apart; 0 where none will do."""
    a: Conv2d = node.attributes
    x_zero = graph.tensors[node.inputs[0]].quantization.zero
    bias = weights.folded_bias(a.levels, a.bias, x_zero)
    rows = weights.matrix(a.levels).astype(np.int64)
    least = 255 * np.minimum(rows, 0).sum(axis=1)
    most = 255 * np.maximum(rows, 0).sum(axis=1)
    bound = np.maximum(np.abs(bias + least), np.abs(bias + most))
    bits = 16
    while bits and int(bound.max()) * ((1 << bits) - 1) >= 1 << 31:
        bits -= 1
    rest = 32 - bits
    products = bound * ((a.requant.multiplier >> bits) + 1) + (a.requant.zero << rest) + (1 << (rest - 1))
    if bits == 0 or (a.requant.shift != 32).any() or (products >= 1 << 31).any():
        return 0
    return bits


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_depthwise_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
            "band_rows": node.choice.parameters["band_rows"],
            "split": split(graph, node),
        },
    )
