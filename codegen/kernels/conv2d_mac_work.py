"""How often each event happens in the convolutions with multiplications (Choice.work)."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from lamella.codegen.ir import Graph, Node
from lamella.codegen.operators.conv2d import Conv2d, conv_size

if TYPE_CHECKING:
    from lamella.codegen.kernels.conv2d_mac import Geometry, Layout, Tile

CHUNK = 64  # LAM_MAC_CHUNK


def parts(run: int, pooled: bool) -> list[int]:
    """The pixels from one requantisation to the next, as lam_mac_plain cuts them."""
    found = []
    while run > CHUNK and not pooled:
        found.append(CHUNK if run >= CHUNK + 8 else CHUNK - 8)
        run -= found[-1]
    return [*found, run]


def tiles(n: int, pixels: tuple[int, ...]) -> dict[int, int]:
    """How many tiles of which size n pixels take."""
    if len(pixels) == 1:
        return {pixels[0]: -(-n // pixels[0])}
    large, small = pixels
    whole, rest = divmod(n, large)
    return {large: whole + (rest > small), small: int(0 < rest <= small)}


def of_lines(
    graph: Graph, node: Node, layout: "Layout", tile: "Tile", g: "Geometry", in_place: bool
) -> dict[str, float]:
    """All work but the decoding of weights, where the stream is one of lines."""
    a: Conv2d = node.attributes
    together = a.groups * -(-(a.levels.shape[0] // a.groups) // tile.together)
    work = common(graph, node, layout, tile, g, in_place)
    for pixels, number in tiles_of(graph, node, tile, g).items():
        work[f"{tile.function}.tile{pixels}"] = together * number
        work[f"{tile.function}.line{pixels}"] = together * number * g.lines
    window = a.levels[0, 0].size
    way = "lines" if tile.taps > 1 else "pixel" if window == 1 else "strided" if g.phases > 1 else "level"
    work[f"{layout.function}.woven_{way}"] = len(g.bands) * a.levels.size
    work[f"{layout.function}.woven_plane"] = 0 if way == "pixel" else len(g.bands) * a.levels.shape[0] * g.planes
    work["lam_conv2d_mac.line"] = g.lines
    return {name: count for name, count in work.items() if count}


def common(graph: Graph, node: Node, layout: "Layout", tile: "Tile", g: "Geometry", in_place: bool) -> dict[str, float]:
    """What happens outside the tiles and the stream."""
    a: Conv2d = node.attributes
    y = graph.tensors[node.output]
    out_c = a.levels.shape[0]
    runs = sum(count * len(parts(run, a.pool is not None)) for run, count in g.runs.items())
    window = a.pool.window.kernel[0] * a.pool.window.kernel[1] if a.pool else 0
    pixels = out_c * y.shape[2] * y.shape[3]
    full = (a.requant.shift == 32).all() and (a.requant.low, a.requant.high) == (0, 255)
    # Any other requantisation is a call for each pixel, which takes about three times as long; so does an average's.
    stored = pixels if full else 3 * pixels
    if a.pool and a.pool.kind == "average":
        stored += 3 * pixels * window
    work = {
        "lam_conv2d_mac.call": 1,
        "lam_conv2d_mac.channel": len(g.bands) * out_c,
        "lam_conv2d_mac.run": a.groups * -(-(out_c // a.groups) // tile.together) * runs,
        "lam_conv2d_mac.store": out_c * (y.shape[2] if a.pool else runs),
        "lam_conv2d_mac.stored": stored,
        "lam_conv2d_mac.pooled_row": out_c * y.shape[2] * a.pool.window.kernel[0] if a.pool else 0,
        "lam_conv2d_mac.pooled": pixels * window,
    }
    work |= {} if in_place else _loading(graph, node, layout, g)
    return {name: count for name, count in work.items() if count}


def tiles_of(graph: Graph, node: Node, tile: "Tile", g: "Geometry") -> Counter[int]:
    """For each size of tile, how many there are for each output channel (or two together), in all bands."""
    found: Counter[int] = Counter()
    for run, count in g.runs.items():
        for n in parts(run, node.attributes.pool is not None):
            for pixels, number in tiles(n, tile.pixels).items():
                found[pixels] += count * number
    return found


def _loading(graph: Graph, node: Node, layout: "Layout", g: "Geometry") -> dict[str, float]:
    """What it takes to bring the input into the bands: lam_mac_pad and lam_mac_copy."""
    a: Conv2d = node.attributes
    w = a.window
    _, channels, in_h, in_w = graph.tensors[node.inputs[0]].shape
    rows, cols = conv_size(graph, node)
    padded = (
        w.pads[:2] != (0, 0)
        or (rows - 1) * w.stride[0] + w.reach(0) > in_h
        or (cols - 1) * w.stride[1] + w.reach(1) > in_w
    )
    per_group = channels // a.groups
    zipped = a.groups * (per_group // 2) if layout.deep == 2 and w.stride[1] == 1 else 0  # passes through two channels
    single = channels - 2 * zipped
    columns = 0
    for skipped in (0, w.dilation[1]) if layout.wide == 2 else (0, w.stride[1])[: g.copies]:
        at = skipped + np.arange(g.phases)[:, None] + np.arange(g.pitch) * w.stride[1] - w.pads[1]
        columns += int(((at >= 0) & (at < in_w)).sum())
    lines = layout.wide * g.copies * g.phases
    merged = w.pads[0] == 0 and w.stride == (1, 1) and columns == g.pitch * lines == in_w * lines
    out_rows = np.array(g.bands)
    steps = out_rows if a.pool is None else out_rows - a.pool.window.kernel[0] + a.pool.window.stride[0]
    first = np.cumsum(steps) - steps  # row of the convolution that each band begins with
    sizes = (out_rows - 1) * g.row_step + w.reach(0)
    at = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row = (np.repeat(first, sizes) + at // g.row_step) * w.stride[0] + at % g.row_step - w.pads[0]
    copied = int(((row >= 0) & (row < in_h)).sum())
    kept, calls = (len(g.bands), len(g.bands)) if merged else (at.size, copied)
    name, step = layout.function, "copied" if w.stride[1] == 1 else "strided"
    work = {
        "lam_conv2d_mac.pass": (zipped + single) * lines * len(g.bands),
        "lam_conv2d_mac.row": (zipped + single) * lines * kept,
        f"{name}.{step}_row": single * lines * calls,
        f"{name}.{step}": single * columns * copied,
        "lam_conv2d_mac.padded": a.groups * len(g.bands) * g.elements * layout.bytes // 4 if padded else 0,
    }
    if layout.deep == 2:
        work[f"{name}.zipped_row"] = zipped * lines * calls
        work[f"{name}.zipped"] = zipped * columns * copied
        work[f"{name}.odd"] = per_group % 2 * a.groups * len(g.bands) * g.elements // g.planes
    return work
