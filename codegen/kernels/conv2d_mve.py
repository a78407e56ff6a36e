"""lam_conv2d_mve: any convolution with multiplications, for cores with vectors of integers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape, structs
from lamella.codegen.kernels.conv2d_mac import band_rows_of
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.windows import Window

CELL = 16  # LAM_CELL
CHUNK = 96  # LAM_CHUNK
LARGEST_STRIDE = 17  # 16 pixels of a row are gathered by offsets of 8 bits


@dataclass(frozen=True)
class Geometry:
    """lam_mve_band of runtime_c/src/lam_conv2d_mve.c, once more because the generator plans memory without running C."""

    shape: tuple[int, int, int]  # in_w, out_h, out_w of the image as the kernel sees it; rows may have become one
    lanes: int
    deep: int
    phases: int
    pitch: int
    rows: int
    out_w: int
    steps: int
    lines: bool  # the kernel's rows are three cells side by side
    scratch_bytes: int  # without unpacked levels


def pointwise(graph: Graph, node: Node) -> bool:
    """Whether output pixels depend on input pixels of the same place only: rows may be joined."""
    a: Conv2d = node.attributes
    w, plain = a.window, Window((1, 1))
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    return (
        a.pool is None
        and (w.kernel, w.stride, w.pads) == (plain.kernel, plain.stride, plain.pads)
        and (x.shape[2:] == y.shape[2:])
    )


def geometry(graph: Graph, node: Node, band_rows: int, flat: bool) -> Geometry:
    """What a convolution keeps in scratch. Where a pixel alone decides, the rows of a band are one long row."""
    a: Conv2d = node.attributes
    w, pool = a.window, a.pool.window if a.pool else Window((1, 1))
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    in_w, out_h, width = x.shape[3], y.shape[2], y.shape[3]
    if pointwise(graph, node):
        in_w, out_h, width = in_w * band_rows, out_h // band_rows, width * band_rows
        band_rows = 1
    out_w = (width - 1) * pool.stride[1] + pool.kernel[1]
    out_rows = (band_rows - 1) * pool.stride[0] + pool.kernel[0]
    channels, kernel_h, kernel_w = a.levels.shape[1:]
    if flat:
        lanes, taps, phases, pitch, rows = channels * kernel_h * kernel_w, 1, 1, out_w, out_rows
    else:
        lanes, taps, phases = channels, kernel_h * kernel_w, min(w.stride[1], w.reach(1))
        pitch = out_w + (w.reach(1) - 1) // w.stride[1]
        rows = (out_rows - 1) * w.stride[0] + w.reach(0)
    deep = -(-lanes // 16)
    steps = deep * taps
    pooled = y.shape[3] if a.pool else 0
    by_lines = not flat and kernel_w == 3 and w.stride[1] == w.dilation[1] == 1 and (w.dilation[0] == 1 or deep == 1)
    stream = (2 * CELL + 4 * (not by_lines)) * steps
    scratch = 8 * (max(out_w, CHUNK) + 1 + pooled) + stream + (rows * deep * phases * pitch + 1) * CELL
    return Geometry((in_w, out_h, width), lanes, deep, phases, pitch, rows, out_w, steps, by_lines, scratch)


def _heights(graph: Graph, node: Node) -> list[int]:
    rows = graph.tensors[node.output].shape[2]
    return [n for n in band_rows_of(rows) if not pointwise(graph, node) or rows % n == 0]


def _in_place(a: Conv2d, format_name: str, flat: bool) -> bool:
    """Whether the levels are read where they are: those of 16 channels are gathered by offsets of 8 bits."""
    return format_name == "int8" and (flat or a.levels[0, 0].size <= LARGEST_STRIDE)


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    if a.levels.min() < -128 or a.levels.max() > 127 or a.window.stride[1] > LARGEST_STRIDE:
        return
    packed = [p for p in weights.candidates(a.levels) if p.format.c_unpack is not None]
    for band_rows in _heights(graph, node):
        ways = [(flat, geometry(graph, node, band_rows, flat)) for flat in (False, True)]
        for flat, g in ways:
            if flat and g.steps >= ways[0][1].steps or max(g.shape) > 65535:
                continue
            bands = -(-graph.tensors[node.output].shape[2] // band_rows)
            for p in packed:
                in_place = _in_place(a, p.format.name, flat)
                work = _work(graph, node, g, band_rows, flat, in_place)
                decoding = {} if in_place else weights.unpack_work(p, a.levels, bands, bands * a.levels.shape[0])
                scratch = g.scratch_bytes + (0 if in_place else 2 * a.levels[0].size)
                parameters = {"band_rows": band_rows, "flat": int(flat)}
                yield Choice(
                    "lam_conv2d_mve",
                    p.format.name,
                    parameters,
                    scratch,
                    p.bytes,
                    {**work, **decoding},
                    overwrites=a.pixel_by_pixel,  # the band is copied before results are written
                )


def _inside(start: int, step: int, n: int, size: int) -> int:
    """How many of start, start + step, .. (n of them) lie in 0 .. size - 1."""
    first = max(0, -(start // step))
    return max(0, min(n, -(-(size - start) // step)) - first)


def _laying(graph: Graph, node: Node, g: Geometry, heights: list[int], flat: bool) -> dict[str, int]:
    """What bringing the input into cells takes, for heights of the bands in rows of the convolution."""
    a: Conv2d = node.attributes
    w, step = a.window, a.pool.window.stride[0] if a.pool else 1
    in_h = g.shape[1] if pointwise(graph, node) else graph.tensors[node.inputs[0]].shape[2]
    kept = (heights[0] - (a.pool.window.kernel[0] if a.pool else 1)) // step + 1
    channels = a.groups * a.levels.shape[1]
    done = {"plane": 0, "plane_group": 0, "plane_row": 0, "plane_16": 0}
    for band, height in enumerate(heights):
        top = band * kept * step * w.stride[0] - w.pads[0]
        if flat:
            places = [(u * w.dilation[0], v * w.dilation[1]) for u in range(w.kernel[0]) for v in range(w.kernel[1])]
            rows_of = [(_inside(top + u, w.stride[0], height, in_h), v) for u, v in places]
        else:
            n_rows = (height - 1) * w.stride[0] + w.reach(0)
            rows_of = [(_inside(top, 1, n_rows, in_h), phase) for phase in range(g.phases)]
        for rows, left in rows_of:
            cols = _inside(left - w.pads[1], w.stride[1], g.pitch, g.shape[0]) if rows else 0
            alone = cols // 16 if rows == 1 else 0
            groups = -(-cols // 16) - alone
            for name, count in (("", 1), ("_group", groups), ("_row", groups * rows), ("_16", alone)):
                done["plane" + name] += channels * count
    return done


def _storing(out_w: int, heights: list[int], whole: bool) -> dict[str, int]:
    """How the accumulators of an output channel are requantised: calls, sixteen and four at a time."""
    rows = max(1, max(out_w, CHUNK) // out_w)
    runs = [min(rows, height - at) * out_w for height in heights for at in range(0, height, rows)]
    sixteens = sum(n // 16 for n in runs) if whole else 0
    fours = sum(-(-(n % 16 if whole else n) // 4) for n in runs)
    return {"store": len(runs), "stored_16": sixteens, "stored_4": fours}


def _work(graph: Graph, node: Node, g: Geometry, band_rows: int, flat: bool, in_place: bool) -> dict[str, float]:
    a: Conv2d = node.attributes
    y = graph.tensors[node.output]
    out_c, out_rows = a.levels.shape[0], y.shape[2]
    if pointwise(graph, node):
        out_rows, band_rows = g.shape[1], 1
    pool = a.pool.window if a.pool else Window((1, 1))
    pooled = [min(band_rows, out_rows - first) for first in range(0, out_rows, band_rows)]
    heights = [(n - 1) * pool.stride[0] + pool.kernel[0] for n in pooled]
    bands = len(heights)
    pairs = a.groups * -(-(out_c // a.groups) // 2)
    rows = pool.kernel[0] * sum(pooled)
    fours, twos = g.out_w // 4, -(-(g.out_w % 4) // 2)
    kind, steps = ("line", g.steps // 3) if g.lines else ("step", g.steps)
    work = {
        "call": 1,
        "laid": bands * a.groups,
        "cell": bands * a.groups * g.rows * g.deep * g.phases * g.pitch,
        "woven_8" if in_place else "woven_16": bands * out_c * g.steps,
        "channel": bands * out_c,
        "row": pairs * rows,
        "row_fours": pairs * rows * (fours > 0),
        "four": pairs * rows * fours,
        "two": pairs * rows * twos,
        f"four_{kind}": pairs * rows * fours * steps,
        f"two_{kind}": pairs * rows * twos * steps,
        **_laying(graph, node, g, heights, flat),
    }
    average = a.pool is not None and a.pool.kind == "average"
    q = a.pool.requant if average else a.requant
    if (q.shift != 32).any():
        work["wide"] = out_c * y.shape[2] * y.shape[3]
    else:
        storing = (
            _storing(y.shape[3], [1] * sum(pooled), (q.low, q.high) == (0, 255))
            if a.pool
            else _storing(g.out_w, heights, (q.low, q.high) == (0, 255))
        )
        work |= {name: out_c * count for name, count in storing.items()}
    if a.pool:
        quick = y.shape[3] // 4 if not average and pool.kernel[1] == pool.stride[1] == 2 else 0  # four windows at a time
        windows = out_c * rows * (y.shape[3] - 4 * quick)
        work["pooled"] = 2 * pairs * sum(pooled) * y.shape[3]
        work[f"{a.pool.kind}_row"] = out_c * rows
        work["max_four"] = out_c * rows * quick
        work[f"{a.pool.kind}_window"] = windows
        work[f"{a.pool.kind}_pixel"] = windows * pool.kernel[1]
    return {f"lam_conv2d_mve.{name}": count for name, count in work.items() if count}


def signed_bias(graph: Graph, node: Node, shape: Struct, wide: bool = False) -> Struct:
    """The shape with the bias for inputs less 128."""
    a = node.attributes
    x_zero = graph.tensors[node.inputs[0]].quantization.zero
    fields = {name: value for name, value in shape.fields.items() if name not in ("bias", "narrow_bias")}
    bias = structs.bias(weights.folded_bias(a.levels, a.bias, x_zero - 128), wide)
    return replace(shape, fields={**bias, **fields})


def _describe(graph: Graph, node: Node) -> Struct:
    a: Conv2d = node.attributes
    record, chosen = formats.get(node.choice.format), node.choice.parameters
    shape = signed_bias(graph, node, conv2d_shape.shape(graph, node))
    fields = dict(shape.fields)
    band_rows = chosen["band_rows"]
    if pointwise(graph, node):
        in_w, out_h, out_w = geometry(graph, node, band_rows, flat=False).shape
        pool = replace(fields["pool"], fields=dict(fields["pool"].fields) | {"out_h": out_h, "out_w": out_w})
        fields |= {"in_h": out_h, "in_w": in_w, "out_h": out_h, "out_w": out_w, "pool": pool}
        band_rows = 1
    return Struct(
        "lam_conv2d_mve_desc",
        {
            "shape": replace(shape, fields=fields),
            "unpack": None if _in_place(a, record.name, bool(chosen["flat"])) else Symbol(record.c_unpack),
            "weights": weights.array(a.levels, record.name),
            "flat": chosen["flat"],
            "band_rows": band_rows,
        },
    )


KERNEL = Kernel(
    function="lam_conv2d_mve",
    operator="conv2d",
    header="lam_conv2d_mve.h",
    sources=("src/lam_conv2d_mve.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    requires=frozenset({"mve"}),
)
