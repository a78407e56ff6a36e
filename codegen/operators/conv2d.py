"""Convolution of images, or of sequences as images of one row: any kernel, stride, dilation, padding and groups, with
pooling fused behind it."""

from dataclasses import dataclass, replace

import numpy as np

from lamella import requant
from lamella.codegen import weights
from lamella.codegen.ir import Graph, Node, Requant, Tensor
from lamella.codegen.operators import sampling, windows
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.windows import Window


@dataclass(frozen=True)
class Pool:
    """A pooling fused behind a convolution: no padding, stride >= kernel. requant: of an average, else None."""

    kind: str  # "max" or "average"
    window: Window
    requant: Requant | None = None


@dataclass(frozen=True)
class Conv2d:
    """levels int16 (out_c, in_c / groups, rows, cols); weight_scales float32 (1,) or (out_c,); bias int64 (out_c,)."""

    levels: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray
    window: Window
    groups: int
    requant: Requant
    pool: Pool | None = None

    @property
    def pixel_by_pixel(self) -> bool:
        """Whether a pixel of the result depends on the same pixel of the input, in all its channels, and on no other."""
        w = self.window
        return self.pool is None and self.groups == 1 and w.kernel == w.stride == (1, 1) and not any(w.pads)


def read(reader, node) -> None:
    """ONNX Conv; ConvTranspose too, as a convolution."""
    if node.op_type != "Conv":
        from lamella.codegen.operators import broadcast, transposed_conv

        (transposed_conv.read if node.op_type == "ConvTranspose" else broadcast.read_batch_normalization)(reader, node)
        return
    a = reader.attributes(node, kernel_shape=None, strides=None, dilations=None, pads=None, auto_pad="NOTSET", group=1)
    x = windows.image(reader, node)
    w = reader.weights(node, 1)
    rank = len(reader.activation(node, 0).shape)
    if (
        w.levels.ndim != rank
        or a["group"] < 1
        or w.levels.shape[1] * a["group"] != x.shape[1]
        or w.levels.shape[0] % a["group"]
    ):
        raise reader.unsupported(
            node, f"weights of shape {w.levels.shape} with {a['group']} groups for an input {x.shape}"
        )
    if w.scales.size > 1 and w.axis != 0:
        raise reader.unsupported(node, "weight scales along another axis than the output channel")
    if a["kernel_shape"] is not None and tuple(a["kernel_shape"]) != w.levels.shape[2:]:
        raise reader.unsupported(node, f"kernel_shape {a['kernel_shape']} for weights of shape {w.levels.shape}")
    window = windows.read_window(reader, node, a, w.levels.shape[2:], x.shape[2:])
    levels = w.levels if rank == 4 else w.levels[:, :, None]
    out_c = w.levels.shape[0]
    scales, bias = w.scales, reader.bias(node, 2, out_c, x.quantization.scale, w.scales)
    output, normalization = node.output[0], reader.only_consumer(node.output[0])
    if normalization is not None and normalization.op_type == "BatchNormalization":
        levels, scales, bias = _normalized(reader, normalization, levels, scales, bias, x.quantization.scale)
        reader.absorb_behind(normalization, output)
        output = normalization.output[0]
    weights.refuse_overflow(reader, node, levels, bias, x.quantization.zero)
    sink = reader.sink(node, output)
    attributes = Conv2d(
        levels, scales, bias, window, a["group"], reader.requant(node, x.quantization.scale, scales, sink)
    )
    shape = (1, out_c, *window.out_size(x.shape[2:]))
    windows.add(reader, "conv2d", node, x, shape, sink.quantization, attributes)


def _normalized(reader, node, levels: np.ndarray, scales: np.ndarray, bias: np.ndarray, x_scale: float):
    """Levels, scales and bias of a convolution with the BatchNormalization behind it."""
    from lamella.codegen.operators import broadcast

    factor, offset = broadcast.batch_normalization(reader, node, len(bias))
    if (factor == 0).any():
        raise reader.unsupported(node, "a channel whose scale is zero; remove the channel")
    real = bias * (float(np.float32(x_scale)) * np.broadcast_to(scales, bias.shape).astype(np.float64))
    scales = (np.broadcast_to(scales, bias.shape) * np.abs(factor)).astype(np.float32)
    signs = np.where(factor < 0, -1, 1).astype(levels.dtype)
    levels = levels * signs.reshape(-1, *[1] * (levels.ndim - 1))
    return levels, scales, requant.quantize_bias(real * factor + offset, x_scale, scales)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch
    import torch.nn.functional as F

    from lamella.codegen import exact

    a: Conv2d = node.attributes
    x = inputs[0].to(torch.int64) - graph.tensors[node.inputs[0]].quantization.zero
    acc = exact.conv2d(x, torch.from_numpy(a.levels), torch.from_numpy(a.bias), a.window, a.groups)
    y = exact.requantize(acc, a.requant)
    if a.pool is None:
        return y
    if a.pool.kind == "max":
        return F.max_pool2d(y.to(torch.float32), a.pool.window.kernel, a.pool.window.stride).to(torch.uint8)
    area = a.pool.window.kernel[0] * a.pool.window.kernel[1]
    total = F.avg_pool2d(y.to(torch.float64), a.pool.window.kernel, a.pool.window.stride, divisor_override=1)
    return exact.requantize(total.round().to(torch.int64) - area * a.requant.zero, a.pool.requant)


def conv_size(graph: Graph, node: Node) -> tuple[int, int]:
    """Rows and columns of the convolution before pooling."""
    return node.attributes.window.out_size(graph.tensors[node.inputs[0]].shape[2:])


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates for one sample, padding counted."""
    rows, cols = conv_size(graph, node)
    return node.attributes.levels.size * rows * cols


def details(graph: Graph, node: Node) -> str:
    """Kernel, stride and so on in a few words."""
    a: Conv2d = node.attributes
    w = a.window
    text = f"{w.kernel[0]}x{w.kernel[1]}"
    text += f" stride {w.stride[0]},{w.stride[1]}" if w.stride != (1, 1) else ""
    text += f" dilation {w.dilation[0]},{w.dilation[1]}" if w.dilation != (1, 1) else ""
    text += f" pad {','.join(map(str, w.pads))}" if any(w.pads) else ""
    text += f" groups {a.groups}" if a.groups > 1 else ""
    if a.pool:
        text += f" + {a.pool.kind} pool {a.pool.window.kernel[0]}x{a.pool.window.kernel[1]}"
    return text


def sample(draw) -> Graph:
    """A random convolution, with and without fused pooling; every sixth one of the plainest kind, 1 x 1."""
    plain = draw.integer(0, 5) == 0
    groups = 1 if plain else draw.choice([1, 1, 2, 3])
    in_c, out_c = groups * draw.integer(1, 3), groups * draw.integer(1, 4)
    window = Window((1, 1)) if plain else sampling.window(draw, pads=True)
    size = sampling.image_size(draw, window)
    x = draw.tensor("x", (1, in_c, *size))
    levels = draw.levels((out_c, in_c // groups, *window.kernel))
    scales = draw.scales(out_c)
    bias = draw.integers((out_c,), -3000, 3000)
    conv_out = window.out_size(size)
    quantization = draw.quantization(x.quantization.scale * float(scales.max()) * 40)
    requant = draw.requant(x.quantization.scale, scales, quantization)
    if plain:
        requant = replace(requant, low=0, high=255)
    pool, out = None, conv_out
    kind = None if plain else draw.choice([None, None, "max", "average"])
    if kind:
        kernel = tuple(draw.integer(1, min(3, n)) for n in conv_out)
        pool_window = Window(kernel, tuple(draw.integer(k, k + 1) for k in kernel))
        out = pool_window.out_size(conv_out)
        pool_requant = None
        if kind == "average":
            after = draw.quantization(quantization.scale)
            pool_requant = draw.requant(quantization.scale, np.array([1 / (kernel[0] * kernel[1])]), after)
            quantization = after
        pool = Pool(kind, pool_window, pool_requant)
    y = Tensor("y", (1, out_c, *out), quantization)
    return sampling.graph("conv2d", [x], y, Conv2d(levels, scales, bias, window, groups, requant, pool))


OPERATOR = Operator(
    name="conv2d",
    title="1-D and 2-D convolution: any kernel, stride, dilation, padding, groups; depthwise; fused pooling",
    onnx=("Conv", "ConvTranspose", "BatchNormalization"),
    read=read,
    reference=reference,
    macs=macs,
    details=details,
    sample=sample,
    short_sizes=True,
)
