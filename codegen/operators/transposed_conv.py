"""Transposed convolution as a convolution: each of the s x s places of an enlarged pixel is a channel of its own, and the
channels are then laid side by side. No product with an inserted zero is ever computed."""

from math import prod

import numpy as np

from lamella.codegen import weights
from lamella.codegen.ir import Node, Tensor
from lamella.codegen.operators import transpose, windows
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.slice import Slice
from lamella.codegen.operators.windows import Window


def read(reader, node: Node) -> None:
    """ONNX ConvTranspose of images and sequences, no dilation."""
    a = reader.attributes(
        node, kernel_shape=None, strides=None, dilations=None, pads=None, output_padding=None, output_shape=None,
        auto_pad="NOTSET", group=1,
    )  # fmt: skip
    x = windows.image(reader, node)
    rank = len(reader.activation(node, 0).shape)
    w = reader.weights(node, 1)
    groups = a["group"]
    if w.levels.ndim != rank or w.levels.shape[0] != x.shape[1] or groups < 1 or x.shape[1] % groups:
        raise reader.unsupported(node, f"weights of shape {w.levels.shape}, {groups} groups, for an input {x.shape}")
    if w.scales.size > 1 and (w.axis != 1 or groups > 1):
        raise reader.unsupported(node, "weight scales along another axis than the output channel, or with groups")
    levels = w.levels if rank == 4 else w.levels[:, :, None]
    size = _sizes(reader, node, a, x, levels.shape[2:], rank)
    parts = [_phases(*numbers) for numbers in zip(levels.shape[2:], *size[:2], strict=True)]
    if any(left < 0 for _, left in parts):
        raise reader.unsupported(node, "pads larger than the kernel")
    stride, out_c = list(size[0]), w.levels.shape[1] * groups
    spread = _channels(levels, groups, parts)
    many = prod(stride)
    scales = np.repeat(w.scales, many) if w.scales.size > 1 else w.scales
    bias = reader.bias(node, 2, out_c, x.quantization.scale, w.scales)
    spread_bias = np.repeat(bias, many)
    weights.refuse_overflow(reader, node, spread, spread_bias, x.quantization.zero)
    sink = reader.sink(node)
    counts = [-(-out // s) for out, s in zip(size[2], stride, strict=True)]
    pads = [left for _, left in parts]
    pads += [
        (count - 1) + taps.shape[1] - n - left
        for count, (taps, left), n in zip(counts, parts, x.shape[2:], strict=True)
    ]
    if min(pads) < 0 or max(pads) > 65535:
        raise reader.unsupported(node, f"pads and sizes that leave rows of the input unused ({pads})")
    requant = reader.requant(node, x.quantization.scale, scales, sink)
    attributes = Conv2d(spread, scales, spread_bias, Window(spread.shape[2:], pads=tuple(pads)), groups, requant)
    y = reader.add_hidden("conv2d", node, [x], (1, out_c * many, *counts), sink.quantization, attributes)
    _side_by_side(reader, node, y, out_c, stride, counts, size[2], rank)


def _sizes(reader, node, a: dict, x: Tensor, kernel: tuple[int, ...], rank: int):
    """(strides, pads in front, sizes of the result), each for rows and columns."""
    flat = rank == 3
    stride, dilation, more = (
        ([empty] if flat else []) + [int(v) for v in a[name] or [empty] * (rank - 2)]
        for name, empty in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    if any(d != 1 for d in dilation) or min(stride) < 1 or max(stride) > 16:
        raise reader.unsupported(node, "dilation, or a stride above 16")
    if a["auto_pad"] not in ("NOTSET", "VALID") or a["output_shape"]:
        raise reader.unsupported(node, "auto_pad or output_shape; give pads and output_padding")
    pads = [int(v) for v in a["pads"] or [0] * (2 * (rank - 2))]
    pads = [0, pads[0], 0, pads[1]] if flat else pads
    out = [
        (n - 1) * s + k + m - p - q
        for n, s, k, m, p, q in zip(x.shape[2:], stride, kernel, more, pads[:2], pads[2:], strict=True)
    ]
    if min(pads) < 0 or min(out) < 1 or max(out) > 65535:
        raise reader.unsupported(node, f"pads {pads} for a result of {out} rows and columns")
    return stride, pads[:2], out


def _phases(kernel: int, stride: int, pad: int) -> tuple[np.ndarray, int]:
    """Along one axis: which tap of the kernel each phase applies at each place of a shared window (-1: none), and how far
    in front of the pixel that window begins."""
    taps: dict[tuple[int, int], int] = {}
    for phase in range(stride):
        for k in range(kernel):
            if (phase + pad - k) % stride == 0:
                taps[phase, (phase + pad - k) // stride] = k
    first, last = min((at for _, at in taps), default=0), max((at for _, at in taps), default=0)
    first = min(first, 0)
    table = np.full((stride, last - first + 1), -1)
    for (phase, at), k in taps.items():
        table[phase, at - first] = k
    return table, -first


def _channels(levels: np.ndarray, groups: int, parts) -> np.ndarray:
    """Weights (out * rows * columns of a pixel, in / groups, window) from (in, out / groups, kernel)."""
    in_c, out_g = levels.shape[:2]
    rows, cols = (table for table, _ in parts)
    padded = np.pad(levels, ((0, 0), (0, 0), (0, 1), (0, 1)))  # place -1 is zero
    spread = padded[:, :, rows][:, :, :, :, cols]  # in, out, row phase, row tap, column phase, column tap
    spread = spread.reshape(groups, in_c // groups, out_g, *spread.shape[2:]).transpose(0, 2, 3, 5, 1, 4, 6)
    return np.ascontiguousarray(spread.reshape(-1, in_c // groups, rows.shape[1], cols.shape[1]))


def _side_by_side(reader, node, y: Tensor, out_c: int, stride, counts, out, rank: int) -> None:
    """Channels (out, row phase, column phase) of rows x columns become images of `out` pixels."""
    seen = (1, out_c, *stride, *counts)
    whole = (1, out_c, counts[0] * stride[0], counts[1] * stride[1])
    final = (1, out_c, *out) if rank == 4 else (1, out_c, out[1])
    if tuple(out) == whole[2:]:
        transpose.permuted(reader, node, y, seen, [0, 1, 4, 2, 5, 3], final, node.output[0])
        return
    y = transpose.permuted(reader, node, y, seen, [0, 1, 4, 2, 5, 3], whole, None)
    for axis in (2, 3):
        if y.shape[axis] != out[axis - 2]:
            part = (*y.shape[:axis], out[axis - 2], *y.shape[axis + 1 :])
            y = reader.add_hidden("slice", node, [y], part, y.quantization, Slice(axis, 0))
    reader.view(node, y, final, node.output[0])
