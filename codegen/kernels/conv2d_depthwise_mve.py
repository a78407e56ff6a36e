"""lam_conv2d_depthwise_mve: depthwise convolution of any kernel, for cores with vectors of integers."""

from collections.abc import Iterator

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.kernels.conv2d_mac import band_rows_of
from lamella.codegen.kernels.depthwise import reaches_done_channels
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d, conv_size

TILE = 8  # LAM_TILE
KEPT = 96  # LAM_KEPT


def _band(graph: Graph, node: Node, band_rows: int) -> tuple[int, int, int]:
    """Accumulators of a row; pixels of a row of the band, and its rows: lam_depthwise_band_of in C."""
    w = node.attributes.window
    line = -(-conv_size(graph, node)[1] // TILE) * TILE
    rows = band_rows + band_rows % 2
    return line, (line - 1) * w.stride[1] + w.reach(1), (rows - 1) * w.stride[0] + w.reach(0)


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    if a.levels.shape[1] != 1 or a.pool is not None:
        return
    rows, in_c = conv_size(graph, node)[0], graph.tensors[node.inputs[0]].shape[1]
    for band_rows in band_rows_of(rows):
        line, pitch, band = _band(graph, node, band_rows)
        taps = a.levels[0].size
        joined = line in (TILE, conv_size(graph, node)[1])
        capacity = max(2 * line, KEPT) + TILE if joined else 2 * line
        scratch = 8 * taps + 4 * capacity + (pitch * band + 15) // 16 * 16 + 2 * (a.levels.shape[0] // in_c) * taps
        work = _work(graph, node, band_rows)
        for p in weights.candidates(a.levels):
            if p.format.c_unpack is not None:
                decoding = weights.unpack_work(p, a.levels, times=1, calls=in_c)
                yield Choice(
                    "lam_conv2d_depthwise_mve",
                    p.format.name,
                    {"band_rows": band_rows},
                    scratch,
                    p.bytes,
                    {**work, **decoding},
                    overwrites=reaches_done_channels(graph, node, band_rows),
                )


def _work(graph: Graph, node: Node, band_rows: int) -> dict[str, float]:
    a: Conv2d = node.attributes
    w = a.window
    x = graph.tensors[node.inputs[0]]
    rows, cols = conv_size(graph, node)
    out_c, taps = a.levels.shape[0], a.levels[0].size
    bands = -(-rows // band_rows)
    line, pitch, band = _band(graph, node, band_rows)
    heights = [min(band_rows, rows - k * band_rows) for k in range(bands)]
    copied = x.shape[1] * sum((n - 1) * w.stride[0] + w.reach(0) for n in heights)
    wide = bool((a.requant.shift != 32).any())
    whole = (a.requant.low, a.requant.high) == (0, 255)
    joined = line in (TILE, cols)
    at_once = max(1, (max(2 * line, KEPT) - 2 * line) // cols + 1) if joined else 1
    by_two = w.kernel == (3, 3) and w.dilation == (1, 1) and w.stride in ((1, 1), (2, 2))
    if joined and by_two:
        at_once += at_once % 2
    runs = [min(at_once, n - first) * cols for n in heights for first in range(0, n, at_once)]
    work = {
        "call": 1,
        "channel": x.shape[1],
        "band": x.shape[1] * bands,
        "fill": (x.shape[1] * bands if bands > 1 else 1) * -(-pitch * band // 16),
        "copy_16": copied * -(-min(x.shape[3], pitch) // 16),
        "out": out_c * bands,
        "tap": out_c * bands * taps,
        "wide": out_c * rows * cols * wide,
        "store": out_c * len(runs),
        "stored_16": out_c * sum(n // 16 for n in runs) * (whole and not wide),
        "stored_4": out_c * sum(-(-(n % 16 if whole else n) // 4) for n in runs) * (not wide),
    }
    if by_two:
        pairs = out_c * sum(-(-n // 2) for n in heights)
        kind = "pair" if w.stride == (1, 1) else "apart"
        work |= {"run": out_c * len(runs) if joined else pairs, kind: pairs, f"{kind}_8": pairs * line // 8}
    else:
        tiles = out_c * rows * -(-cols // TILE)
        work |= {"one": out_c * rows, "tile": tiles, "tile_tap": tiles * taps}
    return {f"lam_conv2d_depthwise_mve.{name}": count for name, count in work.items() if count}


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_depthwise_mve_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
            "band_rows": node.choice.parameters["band_rows"],
        },
    )


KERNEL = Kernel(
    function="lam_conv2d_depthwise_mve",
    operator="conv2d",
    header="lam_conv2d_depthwise_mve.h",
    sources=("src/lam_conv2d_depthwise_mve.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    requires=frozenset({"mve"}),
)
