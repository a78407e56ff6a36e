"""lam_conv2d_mve: any convolution with multiplications, for cores with vectors of integers."""

from collections import Counter
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
MOST_BANDS = 32  # of pixels; weights are brought in for each
LARGEST_STRIDE = 17  # 16 pixels of a row are gathered by offsets of 8 bits


@dataclass(frozen=True)
class Geometry:
    """lam_mve_band of runtime_c/src/lam_conv2d_mve.c, once more because the generator plans memory without running C."""

    shape: tuple[int, int, int, int]  # in_h, in_w, out_h, out_w of the image as the kernel sees it
    lanes: int
    deep: int
    phases: int
    pitch: int
    rows: int
    row: int  # cells from row to row
    out_w: int
    run: int  # pixels that lie side by side
    at_once: int  # accumulators that are kept for an output channel
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
    """What a convolution keeps in scratch. Where a pixel alone decides, each is a row of its own, and a band any number."""
    a: Conv2d = node.attributes
    w, pool = a.window, a.pool.window if a.pool else Window((1, 1))
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    shape = (*x.shape[2:], *y.shape[2:])
    if pointwise(graph, node):
        shape = (x.shape[2] * x.shape[3], 1, y.shape[2] * y.shape[3], 1)
    out_w = (shape[3] - 1) * pool.stride[1] + pool.kernel[1]
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
    pixels = out_w if a.pool else out_rows * out_w
    joined = flat and not a.pool
    at_once = min(pixels, CHUNK) if joined else max(min(pixels, CHUNK), out_w)
    scratch = 8 * (at_once + 1 + pooled) + stream + (rows * deep * phases * pitch + 1) * CELL
    return Geometry(
        shape=shape,
        lanes=lanes,
        deep=deep,
        phases=phases,
        pitch=pitch,
        rows=rows,
        row=pitch if flat else deep * phases * pitch,
        out_w=out_w,
        run=pixels if joined else out_w,
        at_once=at_once,
        steps=steps,
        lines=by_lines,
        scratch_bytes=scratch,
    )


def _heights(graph: Graph, node: Node) -> list[int]:
    """Rows of a band to choose from; pixels where each is a row: whole tiles of four."""
    rows = graph.tensors[node.output].shape[2]
    if not pointwise(graph, node):
        return band_rows_of(rows)
    pixels = rows * graph.tensors[node.output].shape[3]
    return sorted({min(pixels, -(-pixels // (4 * bands)) * 4) for bands in range(1, MOST_BANDS + 1)})


def _in_place(a: Conv2d, format_name: str, flat: bool) -> bool:
    """Whether the levels are read where they are: those of 16 channels are gathered by offsets of 8 bits."""
    return format_name == "int8" and (flat or a.levels[0, 0].size <= LARGEST_STRIDE)


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    if a.levels.min() < -128 or a.levels.max() > 127 or a.window.stride[1] > LARGEST_STRIDE:
        return
    packed = [p for p in weights.candidates(a.levels) if p.format.c_unpack is not None]
    for band_rows in _heights(graph, node):
        for flat, g in _ways(graph, node, band_rows):
            if max(g.shape) > 65535:
                continue
            bands = -(-g.shape[2] // band_rows)
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


def _ways(graph: Graph, node: Node, band_rows: int) -> Iterator[tuple[bool, Geometry]]:
    """With the window laid out for each pixel where that is all of it, or makes fewer steps."""
    flat = geometry(graph, node, band_rows, flat=True)
    if pointwise(graph, node):
        yield True, flat
        return
    whole = geometry(graph, node, band_rows, flat=False)
    yield False, whole
    if flat.steps < whole.steps:
        yield True, flat


def _inside(start: int, step: int, n: int, size: int) -> int:
    """How many of start, start + step, .. (n of them) lie in 0 .. size - 1."""
    first = max(0, -(start // step))
    return max(0, min(n, -(-(size - start) // step)) - first)


def _laying(graph: Graph, node: Node, g: Geometry, heights: list[int], flat: bool) -> dict[str, int]:
    """What bringing the input into cells takes, for heights of the bands in rows of the convolution."""
    a: Conv2d = node.attributes
    w, step = a.window, a.pool.window.stride[0] if a.pool else 1
    in_h, in_w = g.shape[:2]
    kept = (heights[0] - (a.pool.window.kernel[0] if a.pool else 1)) // step + 1
    channels = a.groups * a.levels.shape[1]
    done = Counter()
    for band, height in enumerate(heights):
        top = band * kept * step * w.stride[0] - w.pads[0]
        if flat:
            row_step = w.stride[0]
            places = [(u * w.dilation[0], v * w.dilation[1]) for u in range(w.kernel[0]) for v in range(w.kernel[1])]
            rows_of = [(_inside(top + u, row_step, height, in_h), v) for u, v in places]
        else:
            row_step = 1
            n_rows = (height - 1) * w.stride[0] + w.reach(0)
            rows_of = [(_inside(top, 1, n_rows, in_h), phase) for phase in range(g.phases)]
        for rows, left in rows_of:
            cols = _inside(left - w.pads[1], w.stride[1], g.pitch, in_w) if rows else 0
            if w.stride[1] == 1 and cols == row_step * in_w == g.row:
                rows, cols = 1, rows * cols
            alone = cols // 16 if rows == 1 else 0
            groups = -(-cols // 16) - alone
            done.update({"plane": channels, "plane_group": channels * groups})
            done.update({"plane_row": channels * groups * rows, "plane_16": channels * alone})
        done["patch"] += a.groups * len(rows_of)
    return done


def _storing(runs: list[int], at_once: int, whole: bool) -> Counter:
    """How the accumulators of an output channel are requantised: calls, sixteen and four at a time. runs: of one band
    or pooled row, pixels side by side that are kept together as far as they fit."""
    done, kept = Counter(), 0
    for n in [*runs, at_once + 1]:
        if kept + n > at_once:
            done["store"] += 1
            done["stored_16"] += kept // 16 if whole else 0
            done["stored_4"] += -(-(kept % 16 if whole else kept) // 4)
            kept = 0
        kept += n
    return done


def _runs(g: Geometry, height: int) -> list[int]:
    """Pixels that lam_mve_row does at once, over a band of so many rows of the convolution, without pooling."""
    if g.run == g.out_w <= g.at_once:
        return [g.out_w] * height
    pixels = height * g.out_w
    return [min(g.at_once, pixels - at) for at in range(0, pixels, g.at_once)]


def _weaving(a: Conv2d, g: Geometry, flat: bool, in_place: bool) -> Counter:
    """How the levels of one output channel get into the order of the steps."""
    if not in_place:
        return Counter({"woven_16": g.steps})
    taps = (1, 1) if flat else a.window.kernel
    if taps == (1, 1):
        return Counter({"woven_one": g.deep})
    if taps[1] == 3:
        return Counter({"woven_three": taps[0] * g.deep, "woven_line": taps[0]})
    return Counter({"woven_8": g.steps})


def _work(graph: Graph, node: Node, g: Geometry, band_rows: int, flat: bool, in_place: bool) -> dict[str, float]:
    a: Conv2d = node.attributes
    y = graph.tensors[node.output]
    out_c, out_rows = a.levels.shape[0], g.shape[2]
    pool = a.pool.window if a.pool else Window((1, 1))
    pooled = [min(band_rows, out_rows - first) for first in range(0, out_rows, band_rows)]
    heights = [(n - 1) * pool.stride[0] + pool.kernel[0] for n in pooled]
    bands = len(heights)
    pairs = a.groups * -(-(out_c // a.groups) // 2)
    average = a.pool is not None and a.pool.kind == "average"
    q = a.pool.requant if average else a.requant
    wide, whole = bool((q.shift != 32).any()), (q.low, q.high) == (0, 255)
    kind, steps = ("line", g.steps // 3) if g.lines else ("step", g.steps)
    work = Counter({"call": 1, "laid": bands * a.groups, "channel": bands * out_c})
    work["cell"] = bands * a.groups * (g.rows * g.deep * g.phases * g.pitch + 1)
    for name, count in _weaving(a, g, flat, in_place).items():
        work[name] = bands * out_c * count
    work.update(_laying(graph, node, g, heights, flat))
    if a.pool:
        runs = [[g.out_w] * pool.kernel[0]] * sum(pooled)
        work["pooled_line"] = pairs * sum(pooled)
        stored = [[y.shape[3]]] * sum(pooled)
    else:
        runs = stored = [_runs(g, height) for height in heights]
        work["plain"] = pairs * bands
    for n, times in Counter(n for part in runs for n in part).items():
        fours, twos = n // 4, -(-(n % 4) // 2)
        work.update({"row": pairs * times, "row_fours": pairs * times * (fours > 0)})
        work.update({"four": pairs * times * fours, "two": pairs * times * twos})
        work.update({f"four_{kind}": pairs * times * fours * steps, f"two_{kind}": pairs * times * twos * steps})
    if wide:
        work["wide"] = out_c * y.shape[2] * y.shape[3]
    else:
        for part in stored:
            for name, count in _storing(part, max(g.at_once, *part), whole).items():
                work[name] += out_c * count
    if a.pool:
        quick = (
            y.shape[3] // 4 if not average and pool.kernel[1] == pool.stride[1] == 2 else 0
        )  # four windows at a time
        rows = pool.kernel[0] * sum(pooled)
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
    if pointwise(graph, node):
        in_h, in_w, out_h, out_w = geometry(graph, node, chosen["band_rows"], flat=True).shape
        pool = replace(fields["pool"], fields=dict(fields["pool"].fields) | {"out_h": out_h, "out_w": out_w})
        fields |= {"in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w, "pool": pool}
    return Struct(
        "lam_conv2d_mve_desc",
        {
            "shape": replace(shape, fields=fields),
            "unpack": None if _in_place(a, record.name, bool(chosen["flat"])) else Symbol(record.c_unpack),
            "weights": weights.array(a.levels, record.name),
            "flat": chosen["flat"],
            "band_rows": chosen["band_rows"],
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
