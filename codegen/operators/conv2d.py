"""Two-dimensional convolution of any kernel, stride, dilation, padding and groups, with pooling fused behind it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lamella import formats
from lamella.codegen import cost, weights
from lamella.codegen.cdata import Array, Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Requant, Target, Tensor
from lamella.codegen.operators import sampling, structs, windows
from lamella.codegen.operators.record import Kernel, Operator
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


def read(reader, node) -> None:
    """ONNX Conv."""
    a = reader.attributes(node, kernel_shape=None, strides=None, dilations=None, pads=None, auto_pad="NOTSET", group=1)
    x = windows.image(reader, node)
    w = reader.weights(node, 1)
    if (
        w.levels.ndim != 4
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
    out_c = w.levels.shape[0]
    bias = reader.bias(node, 2, out_c, x.quantization.scale, w.scales)
    weights.refuse_overflow(reader, node, w.levels, bias, x.quantization.zero)
    sink = reader.sink(node)
    attributes = Conv2d(
        w.levels, w.scales, bias, window, a["group"], reader.requant(node, x.quantization.scale, w.scales, sink)
    )
    reader.add("conv2d", node, [x], (1, out_c, *window.out_size(x.shape[2:])), sink.quantization, attributes)


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


def _plain_options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    rows, cols = conv_size(graph, node)
    for packed in weights.candidates(a.levels):
        instructions = (
            macs(graph, node) * cost.PLAIN_CONV_MAC
            + a.levels.size * cost.unpack(packed.format, a.levels)
            + a.levels.shape[0] * rows * cols * cost.REQUANT
        )
        yield Choice("lam_conv2d", packed.format.name, {}, 2 * a.levels[0].size, packed.bytes, instructions)


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


def _sparse_options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
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
            instructions = (
                nonzero * rows * cols * cost.SPARSE_CONV_PIXEL
                + bands * nonzero * cost.position(packed.format)
                + a.levels.shape[0] * rows * cols * (cost.SPARSE_CONV_LINE + cost.REQUANT)
                + x.bytes * cost.WIDEN * copies
            )
            parameters = {"band_rows": band_rows, "copies": copies}
            yield Choice(
                "lam_conv2d_sparse", packed.format.name, parameters, need.scratch_bytes, packed.bytes, instructions
            )


def _shape(graph: Graph, node: Node) -> Struct:
    a: Conv2d = node.attributes
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    rows, cols = conv_size(graph, node)
    w = a.window
    bias = weights.folded_bias(a.levels, a.bias, x.quantization.zero)
    pool = a.pool.window if a.pool else Window((1, 1))
    average = a.pool is not None and a.pool.kind == "average"
    return Struct(
        "",
        {
            "bias": Array("bias", "int32_t", bias.astype(np.int32), "zero point of the input folded in"),
            "q": structs.requant(a.requant),
            "in_c": x.shape[1], "in_h": x.shape[2], "in_w": x.shape[3],
            "out_c": a.levels.shape[0], "out_h": rows, "out_w": cols,
            "groups": a.groups,
            "kernel_h": w.kernel[0], "kernel_w": w.kernel[1],
            "stride_h": w.stride[0], "stride_w": w.stride[1],
            "dilation_h": w.dilation[0], "dilation_w": w.dilation[1],
            "pad_top": w.pads[0], "pad_left": w.pads[1],
            "in_zero": x.quantization.zero,
            "pool": Struct("", {
                "kind": Symbol("LAM_POOL_" + (a.pool.kind.upper() if a.pool else "NONE")),
                "kernel_h": pool.kernel[0], "kernel_w": pool.kernel[1],
                "stride_h": pool.stride[0], "stride_w": pool.stride[1],
                "out_h": y.shape[2], "out_w": y.shape[3],
                **({"bias": -pool.kernel[0] * pool.kernel[1] * a.requant.zero,
                    "q": structs.requant(a.pool.requant, prefix="pool_")} if average else {}),
            }),
        },
    )  # fmt: skip


def _describe_plain(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_desc",
        {
            "shape": _shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
        },
    )


def _describe_sparse(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_sparse_desc",
        {
            "shape": _shape(graph, node),
            "positions": Symbol(record.c_positions),
            "weights": weights.array(node.attributes.levels, record.name),
            "capacity": weights.largest_row(node.attributes.levels),
            "band_rows": node.choice.parameters["band_rows"],
            "copies": node.choice.parameters["copies"],
        },
    )


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
    """A random convolution, with and without fused pooling."""
    groups = draw.choice([1, 1, 2, 3])
    in_c, out_c = groups * draw.integer(1, 3), groups * draw.integer(1, 4)
    window = sampling.window(draw, pads=True)
    size = sampling.image_size(draw, window)
    x = draw.tensor("x", (1, in_c, *size))
    levels = draw.levels((out_c, in_c // groups, *window.kernel))
    scales = draw.scales(out_c)
    bias = draw.integers((out_c,), -3000, 3000)
    conv_out = window.out_size(size)
    quantization = draw.quantization(x.quantization.scale * float(scales.max()) * 40)
    requant = draw.requant(x.quantization.scale, scales, quantization)
    pool, out = None, conv_out
    kind = draw.choice([None, None, "max", "average"])
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
    title="2-D convolution: any kernel, stride, dilation, padding, groups; depthwise; fused pooling",
    onnx=("Conv",),
    read=read,
    reference=reference,
    macs=macs,
    details=details,
    sample=sample,
    kernels=(
        Kernel(
            "lam_conv2d", "lam_conv2d.h", ("src/lam_conv2d.c",), _plain_options, _describe_plain, takes_scratch=True
        ),
        Kernel(
            "lam_conv2d_sparse",
            "lam_conv2d.h",
            ("src/lam_conv2d_sparse.c", "src/lam_conv2d_sparse_band.c", "src/lam_conv2d_sparse_tile.c"),
            _sparse_options,
            _describe_sparse,
            takes_scratch=True,
        ),
    ),
)
