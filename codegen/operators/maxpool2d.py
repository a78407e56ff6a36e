"""Maximum pooling of images and sequences."""

from dataclasses import dataclass

from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling, windows
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.windows import Window


@dataclass(frozen=True)
class MaxPool2d:
    """The window that slides over each channel."""

    window: Window


def read(reader, node) -> None:
    """ONNX MaxPool, one output; GlobalMaxPool; ReduceMax over axes side by side."""
    if node.op_type == "ReduceMax":
        x, window, shape = windows.reduced(reader, node)
        inner = (1, x.shape[1], *window.out_size(x.shape[2:]))
        y = reader.add_hidden("maxpool2d", node, [x], inner, x.quantization, MaxPool2d(window))
        reader.view(node, y, shape, node.output[0])
        return
    x = windows.image(reader, node)
    if node.op_type == "GlobalMaxPool":
        window, ceil_mode = Window(x.shape[2:]), False
    else:
        a = reader.attributes(
            node,
            kernel_shape=None,
            strides=None,
            dilations=None,
            pads=None,
            auto_pad="NOTSET",
            ceil_mode=0,
            storage_order=0,
        )
        if len(node.output) > 1 and node.output[1]:
            raise reader.unsupported(node, "the indices of the maxima")
        window, ceil_mode = (
            windows.read_window(reader, node, a, tuple(a["kernel_shape"]), x.shape[2:]),
            bool(a["ceil_mode"]),
        )
    if window.pads[0] >= window.reach(0) or window.pads[1] >= window.reach(1):
        raise reader.unsupported(node, "padding as large as the window")
    out = window.out_size(x.shape[2:], ceil_mode)
    windows.add(reader, "maxpool2d", node, x, (1, x.shape[1], *out), x.quantization, MaxPool2d(window))


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result: padding never wins."""
    import torch
    import torch.nn.functional as F

    w = node.attributes.window
    x = inputs[0].to(torch.float32)
    rows, cols = graph.tensors[node.output].shape[2:]
    # Padded to just what the windows read; ceil_mode may ask for more than pads say, or less.
    bottom = (rows - 1) * w.stride[0] + w.reach(0) - x.shape[2] - w.pads[0]
    right = (cols - 1) * w.stride[1] + w.reach(1) - x.shape[3] - w.pads[1]
    x = F.pad(x, (w.pads[1], right, w.pads[0], bottom), value=-1.0)
    return F.max_pool2d(x, w.kernel, w.stride, 0, w.dilation).to(torch.uint8)


def sample(draw) -> Graph:
    """A random pooling."""
    window = sampling.window(draw, pads=True)
    size = sampling.image_size(draw, window)
    x = draw.tensor("x", (1, draw.integer(1, 4), *size))
    out = window.out_size(size, draw.choice([False, True]))
    y = Tensor("y", (1, x.shape[1], *out), x.quantization)
    return sampling.graph("maxpool2d", [x], y, MaxPool2d(window))


OPERATOR = Operator(
    name="maxpool2d",
    title="maximum pooling, also global",
    onnx=("MaxPool", "GlobalMaxPool", "ReduceMax"),
    read=read,
    reference=reference,
    sample=sample,
    short_sizes=True,
    keeps_quantization=True,
    details=lambda graph, node: "{}x{}".format(*node.attributes.window.kernel),
)
