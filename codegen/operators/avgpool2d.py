"""Average pooling, global pooling, and means and sums over axes."""

from dataclasses import dataclass, replace

import numpy as np

from lamella import requant as requant_rule
from lamella.codegen.ir import Graph, Node, Requant, Sink, Tensor
from lamella.codegen.operators import sampling, windows
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.windows import Window
from lamella.requant import AWAY

#: Pixels of a window whose sum is sure to leave room in 32 bits.
LARGEST_WINDOW = 1 << 22


@dataclass(frozen=True)
class AvgPool2d:
    """by_count: requant has one multiplier per number of pixels inside the image (1, 2, ...); else one for all."""

    window: Window
    by_count: bool
    requant: Requant


def read(reader, node) -> None:
    """ONNX AveragePool, GlobalAveragePool, ReduceMean and ReduceSum."""
    if node.op_type in ("ReduceMean", "ReduceSum"):
        x, window, shape = windows.reduced(reader, node)
        sink = reader.sink(node)
        requant = _of_all(reader, node, x.quantization.scale, sink, window.kernel[0] * window.kernel[1])
        inner = (1, x.shape[1], *window.out_size(x.shape[2:]))
        y = reader.add_hidden("avgpool2d", node, [x], inner, sink.quantization, AvgPool2d(window, False, requant))
        reader.view(node, y, shape, node.output[0])
        return
    x = windows.image(reader, node)
    ceil_mode, include_pad = False, True
    if node.op_type == "AveragePool":
        a = reader.attributes(
            node,
            kernel_shape=None,
            strides=None,
            dilations=None,
            pads=None,
            auto_pad="NOTSET",
            ceil_mode=0,
            count_include_pad=0,
        )
        window = windows.read_window(reader, node, a, tuple(a["kernel_shape"]), x.shape[2:])
        ceil_mode, include_pad = bool(a["ceil_mode"]), bool(a["count_include_pad"])
    else:
        window = Window(x.shape[2:])
    if window.pads[0] >= window.reach(0) or window.pads[1] >= window.reach(1):
        raise reader.unsupported(node, "padding as large as the window")
    out = window.out_size(x.shape[2:], ceil_mode)
    area = window.kernel[0] * window.kernel[1]
    _refuse_large(reader, node, area)
    overhang = any(
        (out[i] - 1) * window.stride[i] + window.reach(i)
        > window.pads[i] + x.shape[2 + i] + (window.pads[i + 2] if include_pad else 0)
        for i in (0, 1)
    )
    if include_pad and overhang:
        raise reader.unsupported(node, "ceil_mode together with count_include_pad; set one of them to 0")
    by_count = not include_pad and (any(window.pads) or overhang)
    sink = reader.sink(node)
    counts = np.arange(1, area + 1) if by_count else np.array([area])
    requant = reader.requant(node, x.quantization.scale, 1.0 / counts, sink)
    if reader.as_tflite and x.quantization == sink.quantization:
        requant = replace(requant, multiplier=counts.astype(np.int64), shift=np.full(counts.size, AWAY, np.int64))
    attributes = AvgPool2d(window, by_count, requant)
    shape = (1, x.shape[1], *out)
    windows.add(reader, "avgpool2d", node, x, shape, sink.quantization, attributes)


def _of_all(reader, node, x_scale: float, sink: Sink, count: int) -> Requant:
    """For the mean, or the sum, of `count` values."""
    _refuse_large(reader, node, count)
    is_mean = node.op_type == "ReduceMean"
    requant = reader.requant(node, x_scale, 1.0 / np.array([count if is_mean else 1]), sink)
    if not reader.as_tflite:
        return requant
    factor = requant_rule.effective_scale(x_scale, 1.0, sink.quantization.scale)
    multiplier, shift = requant_rule.quantize_mean_twice(factor, count if is_mean else 1)
    return replace(requant, multiplier=np.array([multiplier]), shift=np.array([shift]))


def _refuse_large(reader, node, pixels: int) -> None:
    if pixels > LARGEST_WINDOW:
        raise reader.unsupported(node, f"the mean or sum of {pixels:,} values; up to {LARGEST_WINDOW:,} are supported")


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch
    import torch.nn.functional as F

    from lamella.codegen import exact

    a: AvgPool2d = node.attributes
    w = a.window
    x = inputs[0].to(torch.float64) - graph.tensors[node.inputs[0]].quantization.zero
    shape = graph.tensors[node.output].shape
    rows, cols = shape[2:] if len(shape) == 4 else (1, 1)
    bottom = (rows - 1) * w.stride[0] + w.reach(0) - x.shape[2] - w.pads[0]
    right = (cols - 1) * w.stride[1] + w.reach(1) - x.shape[3] - w.pads[1]
    kernel = torch.ones((x.shape[1], 1, *w.kernel), dtype=torch.float64)

    def window_sum(v):
        padded = F.pad(v, (w.pads[1], right, w.pads[0], bottom))
        return F.conv2d(padded, kernel, None, w.stride, 0, w.dilation, v.shape[1]).round().to(torch.int64)

    acc, q = window_sum(x), a.requant
    if a.by_count:
        counts = window_sum(torch.ones_like(x[:1])) - 1
        m, s = torch.from_numpy(q.multiplier)[counts], torch.from_numpy(q.shift)[counts]
        y = exact.requantize_by(acc, m, s, q)
    else:
        y = exact.requantize(acc, q)
    return y.reshape(y.shape[0], *shape[1:])


def sample(draw) -> Graph:
    """A random pooling, padding counted or not."""
    window = sampling.window(draw, pads=True)
    size = sampling.image_size(draw, window)
    x = draw.tensor("x", (1, draw.integer(1, 4), *size))
    by_count = draw.choice([False, True])
    area = window.kernel[0] * window.kernel[1]
    if by_count:
        # A dilated window may hold no pixel of a small image at all; ONNX leaves that mean undefined.
        window = Window(
            window.kernel,
            window.stride,
            (1, 1),
            tuple(min(p, k - 1) for p, k in zip(window.pads, window.kernel * 2, strict=True)),
        )
    quantization = draw.quantization(x.quantization.scale)
    counts = np.arange(1, area + 1) if by_count else np.array([area])
    requant = draw.requant(x.quantization.scale, 1.0 / counts, quantization)
    y = Tensor("y", (1, x.shape[1], *window.out_size(size)), quantization)
    return sampling.graph("avgpool2d", [x], y, AvgPool2d(window, by_count, requant))


OPERATOR = Operator(
    name="avgpool2d",
    title="average pooling, also global; means and sums over axes",
    onnx=("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
    details=lambda graph, node: "{}x{}".format(*node.attributes.window.kernel),
)
