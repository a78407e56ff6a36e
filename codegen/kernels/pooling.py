"""What the kernels of the pooling operators share."""

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Graph, Node


def _out(graph: Graph, node: Node) -> tuple[int, int, int]:
    """Channels, rows and columns of the output; a mean over the whole image may have lost its last two axes."""
    shape = graph.tensors[node.output].shape
    return (shape[1], 1, 1) if len(shape) == 2 else tuple(shape[1:])


def window(graph: Graph, node: Node) -> Struct:
    """lam_window of a node."""
    w, x = node.attributes.window, graph.tensors[node.inputs[0]]
    _, rows, cols = _out(graph, node)
    return Struct("", {
        "channels": x.shape[1], "in_h": x.shape[2], "in_w": x.shape[3], "out_h": rows, "out_w": cols,
        "kernel_h": w.kernel[0], "kernel_w": w.kernel[1], "stride_h": w.stride[0], "stride_w": w.stride[1],
        "dilation_h": w.dilation[0], "dilation_w": w.dilation[1], "pad_top": w.pads[0], "pad_left": w.pads[1],
    })  # fmt: skip


def work(function: str, graph: Graph, node: Node) -> dict[str, float]:
    """What a pooling kernel does: windows, their rows, and pixels (those in the padding count as read)."""
    channels, rows, cols = _out(graph, node)
    kernel_h, kernel_w = node.attributes.window.kernel
    windows = channels * rows * cols
    names = ("call", "channel", "row", "window", "window_row", "pixel")
    counts = (1, channels, channels * rows, windows, windows * kernel_h, windows * kernel_h * kernel_w)
    return {f"{function}.{n}": c for n, c in zip(names, counts, strict=True)}
