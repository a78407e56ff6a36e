"""What lam_conv2d_pairs, lam_conv2d_columns and lam_conv2d_bytes share: convolution with multiplications, a run of
neighbouring pixels at a time, from a band of the input that lies in scratch (runtime_c/include/lam_conv2d_mac.h)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node
from lamella.codegen.kernels import conv2d_mac_work, conv2d_shape
from lamella.codegen.kernels.conv2d_mac_work import CHUNK
from lamella.codegen.operators.conv2d import Conv2d, conv_size
from lamella.codegen.operators.windows import Window

SLACK = 7  # LAM_MAC_SLACK


@dataclass(frozen=True)
class Layout:
    """An element of the band: its bytes, and how many channels or columns of the kernel it holds (lam_mac_layout)."""

    function: str
    bytes: int
    deep: int
    wide: int
    even: bool = False  # odd elements are reached by way of a second copy


@dataclass(frozen=True)
class Tile:
    """A function of the inner loop: output channels computed together, taps of a line, pixels of its tiles."""

    function: str
    together: int
    taps: int
    pixels: tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """lam_mac_band of runtime_c/src/lam_conv2d_mac.c, once more because the generator plans memory without running C;
    a test holds the two together."""

    planes: int
    row_step: int
    phases: int
    pitch: int
    copies: int
    elements: int  # of a band
    lines: int  # of the stream
    bands: tuple[int, ...]  # rows of the convolution in each; what follows is of all bands
    runs: Counter[int]  # pixels of a row, or of rows that lie one behind the other -> how many for an output channel
    scratch_bytes: int


def geometry(
    graph: Graph, node: Node, layout: Layout, tile: Tile, band_rows: int, in_place: bool, stream: int | None = None
) -> Geometry:
    """What a convolution keeps in scratch, and how its work is cut up. stream: its words, where it is not of lines."""
    a: Conv2d = node.attributes
    w, pool = a.window, a.pool.window if a.pool else Window((1, 1))
    rows, cols = graph.tensors[node.output].shape[2:]
    planes, columns = -(-a.levels.shape[1] // layout.deep), -(-w.kernel[1] // layout.wide)
    out_w = (cols - 1) * pool.stride[1] + pool.kernel[1]
    row_step, phases = min(w.stride[0], w.reach(0)), min(w.stride[1], w.reach(1))
    pitch = out_w + (w.reach(1) - 1) // w.stride[1]
    pitch += pitch % 2 if layout.even else 0
    copies = 2 if layout.even and w.reach(1) > w.stride[1] else 1
    pooled = [min(band_rows, rows - first) for first in range(0, rows, band_rows)]
    bands = tuple((n - 1) * pool.stride[0] + pool.kernel[0] for n in pooled)
    elements = copies * planes * ((bands[0] - 1) * row_step + w.reach(0)) * phases * pitch
    band_bytes = (elements + SLACK) * layout.bytes + 3 & ~3
    if in_place:
        row_step, pitch, elements, band_bytes = w.stride[0], graph.tensors[node.inputs[0]].shape[3], 0, 0
    lines = planes * w.kernel[0] * columns // tile.taps
    if stream is None:
        stream = lines * (1 + tile.taps * tile.together) + 1 + tile.together
    flat = a.pool is None and row_step * phases * pitch == out_w
    accumulators = tile.together * ((out_w + 7 & ~7) + cols if a.pool else CHUNK)
    return Geometry(
        planes=planes,
        row_step=row_step,
        phases=phases,
        pitch=pitch,
        copies=copies,
        elements=elements,
        lines=lines,
        bands=bands,
        runs=Counter(n * out_w for n in bands) if flat else Counter({out_w: rows * pool.kernel[0]}),
        scratch_bytes=4 * (stream + accumulators + columns) + band_bytes + 2 * a.levels[0].size,
    )


def inside(graph: Graph, node: Node) -> bool:
    """Whether the kernel can read its input where it is: no window leaves it, and there is room for a tile."""
    a: Conv2d = node.attributes
    w, (rows, cols) = a.window, conv_size(graph, node)
    _, _, in_h, in_w = graph.tensors[node.inputs[0]].shape
    _, _, out_h, out_w = graph.tensors[node.output].shape
    if a.pool:
        out_w = (out_w - 1) * a.pool.window.stride[1] + a.pool.window.kernel[1]
    flat = a.pool is None and w.stride[0] == 1 and in_w == out_w
    return (
        w.pads[:2] == (0, 0)
        and w.stride[1] == 1
        and (rows - 1) * w.stride[0] + w.reach(0) <= in_h
        and cols - 1 + w.reach(1) <= in_w
        and (out_h * out_w if flat else out_w) >= 4
    )


def band_rows_of(rows: int) -> list[int]:
    """Every number of rows that cuts an image into bands of about equal size, ascending."""
    return sorted({-(-rows // bands) for bands in range(1, rows + 1)})


def options(graph: Graph, node: Node, layout: Layout, tile: Tile, in_place: bool = False) -> Iterator[Choice]:
    """Every format that unpacks with every height of the band; or without a band, from the input as it lies."""
    a: Conv2d = node.attributes
    rows = graph.tensors[node.output].shape[2]
    packed = [p for p in weights.candidates(a.levels) if p.format.c_unpack is not None]
    for band_rows in [rows] if in_place else band_rows_of(rows):
        g = geometry(graph, node, layout, tile, band_rows, in_place)
        if not in_place and g.phases * g.pitch > 65535:  # places of taps have 16 bits
            continue
        parameters = {"band_rows": band_rows, "in_place": int(in_place), "together": tile.together, "taps": tile.taps}
        work = conv2d_mac_work.of_lines(graph, node, layout, tile, g, in_place)
        for p in packed:
            decoding = weights.unpack_work(p, a.levels, times=len(g.bands), calls=len(g.bands) * a.levels.shape[0])
            yield Choice(
                layout.function,
                p.format.name,
                parameters,
                g.scratch_bytes,
                p.bytes,
                {**work, **decoding},
                overwrites=not in_place and a.pixel_by_pixel,  # the band is copied before results are written
            )


def taps(graph: Graph, node: Node, able: tuple[int, ...]) -> int:
    """The largest number of taps of the kernel's row, of those that a tile is made for, that can be a line of the stream."""
    w = node.attributes.window
    neighbours = w.stride[1] == 1 and w.dilation[1] == 1
    return max(n for n in able if n == 1 or (neighbours and w.kernel[1] % n == 0))


def describe(graph: Graph, node: Node, tile: Tile) -> Struct:
    """lam_conv2d_mac_desc of a node."""
    record, chosen = formats.get(node.choice.format), node.choice.parameters
    return Struct(
        "lam_conv2d_mac_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
            "tile": Symbol(tile.function),
            "together": tile.together,
            "taps": tile.taps,
            "in_place": chosen["in_place"],
            "band_rows": chosen["band_rows"],
            "capacity": chosen.get("capacity", 0),
        },
    )


def tile(name: str, together: int, taps: int, pixels: tuple[int, ...]) -> Tile:
    """The inner loop of that name that takes so many taps from a line."""
    return Tile(name if taps == 1 else f"{name}_by{taps}", together, taps, pixels)
