"""lam_conv2d_sparse: ternary convolution over the positions of its non-zero levels, a run of output pixels at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d, conv_size
from lamella.codegen.operators.windows import Window


@dataclass(frozen=True)
class Band:
    """What lam_conv2d_sparse keeps in scratch for `band_rows` output rows: 16-bit elements of one copy, and all bytes.

    The arithmetic of lam_band_of and lam_conv2d_sparse_scratch in runtime_c/src/lam_conv2d_sparse.c, once more because
    the generator plans memory without running C; a test holds the two together.
    """

    elements: int
    scratch_bytes: int


def band(graph: Graph, node: Node, band_rows: int, copies: int) -> Band:
    """The band of a sparse convolution."""
    a: Conv2d = node.attributes
    w, pool = a.window, a.pool.window if a.pool else Window((1, 1))
    out_w = (graph.tensors[node.output].shape[3] - 1) * pool.stride[1] + pool.kernel[1]
    out_rows = (band_rows - 1) * pool.stride[0] + pool.kernel[0]
    rows = (out_rows - 1) * min(w.stride[0], w.reach(0)) + w.reach(0)
    pitch = _even(out_w + (w.reach(1) - 1) // w.stride[1])
    elements = a.levels.shape[1] * rows * min(w.stride[1], w.reach(1)) * pitch
    lines = 4 * (4 if out_w <= 4 else 2) * (_even(out_w) + 4)
    pooled = 4 * graph.tensors[node.output].shape[3] if a.pool else 0
    tables = 2 * (a.levels[0].size + weights.largest_row(a.levels))
    return Band(elements, 2 * (copies * elements + _BAND_SLACK) + lines + pooled + tables)


_BAND_SLACK = 6


def _even(n: int) -> int:
    return n + n % 2


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    rows, cols = conv_size(graph, node)
    pooled_rows = graph.tensors[node.output].shape[2]
    if a.levels[0].size > 65535:
        return
    nonzero = np.count_nonzero(a.levels)
    copies = 1 if target.unaligned else 2
    x = graph.tensors[node.inputs[0]]
    for packed in weights.candidates(a.levels):
        if packed.format.c_positions is None:
            continue
        bands = pooled_rows
        tried = set()
        for bands in range(1, pooled_rows + 1):
            band_rows = -(-pooled_rows // bands)
            if band_rows in tried:
                continue
            tried.add(band_rows)
            bands = -(-pooled_rows // band_rows)
            need = band(graph, node, band_rows, copies)
            if copies * need.elements > 65535:  # offsets into the band have 16 bits
                continue
            work = {
                "lam_conv2d_sparse.call": 1,
                "lam_conv2d_sparse.band_channel": bands * a.levels.shape[0],
                "lam_conv2d_sparse.row": a.levels.shape[0] * rows,
                "lam_conv2d_sparse.pixel": a.levels.shape[0] * rows * cols,
                "lam_conv2d_sparse.nonzero": bands * nonzero,
                "lam_conv2d_sparse.nonzero_row": nonzero * rows,
                "lam_conv2d_sparse.nonzero_pixel": nonzero * rows * cols,
                "lam_conv2d_sparse.widened": x.bytes * copies,
                **weights.positions_work(packed, a.levels, times=bands),
            }
            parameters = {"band_rows": band_rows, "copies": copies}
            yield Choice("lam_conv2d_sparse", packed.format.name, parameters, need.scratch_bytes, packed.bytes, work)


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_sparse_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "positions": Symbol(record.c_positions),
            "weights": weights.array(node.attributes.levels, record.name),
            "capacity": weights.largest_row(node.attributes.levels),
            "band_rows": node.choice.parameters["band_rows"],
            "copies": node.choice.parameters["copies"],
        },
    )


KERNEL = Kernel(
    function="lam_conv2d_sparse",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=("src/lam_conv2d_sparse.c", "src/lam_conv2d_sparse_band.c", "src/lam_conv2d_sparse_tile.c"),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
