"""lam_conv2d: any convolution with any format that unpacks. Plain C; it judges the others."""

from collections.abc import Iterator

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d, conv_size


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    out_c, channels = a.levels.shape[:2]
    rows, cols = (_taps(graph, node, axis) for axis in (0, 1))
    lines = out_c * rows.sum() * cols.size * channels
    if a.window.kernel == (1, 1):
        lines = out_c * rows.sum() * cols.sum()  # a run through the channels
    work = {
        "lam_conv2d.call": 1,
        "lam_conv2d.channel": out_c,
        "lam_conv2d.level": a.levels.size,
        "lam_conv2d.pixel": out_c * rows.size * cols.size,
        "lam_conv2d.plane": 0 if a.window.kernel == (1, 1) else out_c * rows.size * cols.size * channels,
        "lam_conv2d.line": int(lines),
        "lam_conv2d.mac": int(out_c * channels * rows.sum() * cols.sum()),
        "lam_conv2d.stored": out_c * graph.tensors[node.output].shape[2] * graph.tensors[node.output].shape[3],
    }
    for packed in weights.candidates(a.levels):
        if packed.format.c_unpack is not None:
            decoding = weights.unpack_work(packed, a.levels, times=1, calls=out_c)
            yield Choice("lam_conv2d", packed.format.name, {}, 2 * a.levels[0].size, packed.bytes, {**work, **decoding})


def _taps(graph: Graph, node: Node, axis: int) -> np.ndarray:
    """Taps inside the image, along one axis, for each place of the window that is computed."""
    a: Conv2d = node.attributes
    w, size = a.window, graph.tensors[node.inputs[0]].shape[2 + axis]
    places = np.arange(conv_size(graph, node)[axis])
    if a.pool:  # pixels between two pooling windows are left out
        pooled, pool = graph.tensors[node.output].shape[2 + axis], a.pool.window
        places = (np.arange(pooled)[:, None] * pool.stride[axis] + np.arange(pool.kernel[axis])).ravel()
    at = places[:, None] * w.stride[axis] - w.pads[axis] + np.arange(w.kernel[axis]) * w.dilation[axis]
    return ((at >= 0) & (at < size)).sum(1)


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
        },
    )


KERNEL = Kernel(
    function="lam_conv2d",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=("src/lam_conv2d.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
