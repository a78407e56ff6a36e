"""Convolutions, products of matrices, pooling."""

from dataclasses import replace
from math import prod

import numpy as np

from lamella.codegen.onnx_floats import Operand
from lamella.codegen.operators.float_conv2d import FloatConv2d
from lamella.codegen.operators.float_pool import FloatPool
from lamella.codegen.operators.windows import Window, read_window


def _flat(reader, node, x: Operand) -> Operand:
    """Images of two axes: sequences get rows of one."""
    if x.rank not in (3, 4):
        raise reader.unsupported(
            node, f"an input of shape {x.shape}; one or two axes behind the channels are supported"
        )
    return x if x.rank == 4 else reader.view(node, x, (*x.shape[:2], 1, x.shape[2]))


def _two(reader, node, values, axes: int, default: int) -> tuple[int, int]:
    """A number for rows and one for columns; `default` for all that are not given."""
    values = list(values) if values else [default] * axes
    if len(values) != axes or min(values) < 0 or max(values) > 65535:
        raise reader.unsupported(node, f"{values} for {axes} axes; it must be {axes} numbers of 0 to 65535")
    return (1 if default else 0, values[0]) if axes == 1 else (values[0], values[1])


def _window(reader, node, a: dict, kernel: tuple[int, ...], x: Operand, axes: int) -> Window:
    if len(kernel) != axes:
        raise reader.unsupported(node, f"a kernel {list(kernel)} for {axes} axes behind the channels")
    return read_window(reader, node, a, kernel, x.shape[2:])


def _conv(reader, node) -> None:
    a = reader.attributes(node, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None)
    x, w, bias = reader.operand(node, 0), reader.operand(node, 1), reader.optional(node, 2)
    axes = x.rank - 2
    if w.rank != x.rank:
        raise reader.unsupported(node, f"weights of shape {w.shape} for an input of shape {x.shape}")
    x, w = _flat(reader, node, x), _flat(reader, node, w)
    _convolved(reader, node, x, w, bias, _window(reader, node, a, w.shape[4 - axes :], x, axes), a["group"], axes)


def _convolved(reader, node, x: Operand, w: Operand, bias, window: Window, groups: int, axes: int) -> None:
    if groups < 1 or x.shape[1] != groups * w.shape[1] or w.shape[0] % groups:
        raise reader.unsupported(node, f"weights of shape {w.shape} in {groups} groups for an input of shape {x.shape}")
    if bias is not None and bias.shape != w.shape[:1]:
        raise reader.unsupported(node, f"a bias of shape {bias.shape} for {w.shape[0]} filters")
    if bias is not None and w.value is None and bias.value is not None:
        raise reader.unsupported(node, "a constant bias with weights that are computed")
    if bias is not None and w.value is not None and bias.value is None:
        raise reader.unsupported(node, "a bias that is computed with constant weights")
    x = reader.materialised(node, x)
    n = FloatConv2d(x.shape, w.shape, window, groups, bias is not None, w.value, None if bias is None else bias.value)
    if min(n.out_shape) < 1:
        raise reader.unsupported(node, f"its result would have shape {n.out_shape}")
    y = reader.float_node("float_conv2d", node, [x, w, *([bias] if bias is not None else [])], n.out_shape, n)
    if axes == 1:
        y = reader.view(node, y, (y.shape[0], y.shape[1], y.shape[3]))
    reader.give(node, y)


def _conv_transpose(reader, node) -> None:
    """The input with zeros between its values, convolved with the weights turned round."""
    a = reader.attributes(
        node, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None, output_padding=None,
        output_shape=None,
    )  # fmt: skip
    x, w, bias = reader.operand(node, 0), reader.operand(node, 1), reader.optional(node, 2)
    axes, groups = x.rank - 2, a["group"]
    if w.rank != x.rank or groups < 1 or w.shape[0] != x.shape[1] or x.shape[1] % groups:
        raise reader.unsupported(node, f"weights of shape {w.shape} in {groups} groups for an input of shape {x.shape}")
    x, w = _flat(reader, node, x), _flat(reader, node, w)
    kernel = w.shape[2:]
    window = _window(reader, node, {**a, "auto_pad": "NOTSET"}, w.shape[4 - axes :], x, axes)
    extra = _two(reader, node, a["output_padding"], axes, 0)
    full = [
        (d - 1) * s + window.reach(k) + e
        for k, (d, s, e) in enumerate(zip(x.shape[2:], window.stride, extra, strict=True))
    ]
    if a["output_shape"] or a["auto_pad"] in ("SAME_UPPER", "SAME_LOWER"):
        wanted = _two(reader, node, a["output_shape"], axes, 0) if a["output_shape"] else None
        if wanted is None:
            wanted = [d * s for d, s in zip(x.shape[2:], window.stride, strict=True)]
        elif axes == 1:
            wanted = (1, wanted[1])
        total = [max(0, f - d) for f, d in zip(full, wanted, strict=True)]
        full = [d + t for d, t in zip(wanted, total, strict=True)]
        first = [t // 2 if a["auto_pad"] == "SAME_UPPER" else t - t // 2 for t in total]
        pads = (*first, *(t - f for t, f in zip(total, first, strict=True)))
    else:
        pads = window.pads
    if any(d <= pads[k] + pads[k + 2] for k, d in enumerate(full)):
        raise reader.unsupported(node, f"pads {list(pads)} that leave nothing of {full}")
    reader.length(node, *(d + r for d, r in zip(full, map(window.reach, (0, 1)), strict=True)))
    # The place of output i in the stretched input begins at i + pad - (reach - 1).
    indices = []
    for k in range(2):
        before = window.reach(k) - 1 - pads[k]
        length = full[k] - pads[k] - pads[k + 2] + window.reach(k) - 1
        at = np.arange(length) - before
        inside = (at >= 0) & (at % window.stride[k] == 0) & (at // window.stride[k] < x.shape[2 + k])
        indices.append(np.where(inside, at // window.stride[k], -1))
    x = reader.indexed(node, x, [np.arange(x.shape[0]), np.arange(x.shape[1]), *indices])
    per_in, per_out = w.shape[0] // groups, w.shape[1]
    shape = (groups * per_out, per_in, *kernel)
    if w.value is not None:
        turned = w.value.reshape(groups, per_in, per_out, *kernel).swapaxes(1, 2)[..., ::-1, ::-1]
        w = reader.fixed(np.ascontiguousarray(turned.reshape(shape)))
    else:
        w = reader.transposed(node, reader.view(node, w, (groups, per_in, per_out, *kernel)), [0, 2, 1, 3, 4])
        turned = [*(np.arange(d) for d in w.shape[:3]), *(np.arange(d)[::-1] for d in kernel)]
        w = reader.view(node, reader.indexed(node, w, turned), shape)
    _convolved(reader, node, x, w, bias, replace(window, stride=(1, 1), pads=(0, 0, 0, 0)), groups, axes)


def _matmul(reader, node) -> None:
    reader.attributes(node)
    a, b = reader.operand(node, 0), reader.operand(node, 1)
    left, right = a.rank == 1, b.rank == 1
    a = reader.view(node, a, (1, *a.shape)) if left else a
    b = reader.view(node, b, (*b.shape, 1)) if right else b
    y = reader.product(node, a, b)
    shape = y.shape[:-1] if right else y.shape
    shape = (*shape[: len(shape) - (1 if right else 2)], *shape[len(shape) - (0 if right else 1) :]) if left else shape
    reader.give(node, y if shape == y.shape else reader.view(node, y, shape))


def _gemm(reader, node) -> None:
    a = reader.attributes(node, alpha=1.0, beta=1.0, transA=0, transB=0)
    y = reader.product(node, reader.operand(node, 0), reader.operand(node, 1), (bool(a["transA"]), bool(a["transB"])))
    if a["alpha"] != 1.0:
        y = reader.scalar(node, "mul", y, a["alpha"])
    c = reader.optional(node, 2)
    if c is not None:
        c = reader.scalar(node, "mul", c, a["beta"]) if a["beta"] != 1.0 else c
        y = reader.binary(node, "add", y, c)
    reader.give(node, y)


def _pool(reader, node) -> None:
    average = node.op_type == "AveragePool"
    a = reader.attributes(
        node, auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, dilations=None, kernel_shape=None, pads=None,
        strides=None, storage_order=0,
    )  # fmt: skip
    if len(node.output) > 1 and node.output[1]:
        raise reader.unsupported(node, "indices as second output")
    x = reader.operand(node, 0)
    axes = x.rank - 2
    x = reader.materialised(node, _flat(reader, node, x))
    window = _window(reader, node, a, tuple(a["kernel_shape"] or ()), x, axes)
    out = []
    for k in range(2):
        space = x.shape[2 + k] + window.pads[k] + window.pads[k + 2] - window.reach(k)
        n = -(-space // window.stride[k]) if a["ceil_mode"] else space // window.stride[k]
        if a["ceil_mode"] and n * window.stride[k] >= x.shape[2 + k] + window.pads[k]:
            n -= 1  # a window that begins in the padding at the end is none
        out.append(n + 1)
    if min(out) < 1:
        raise reader.unsupported(node, f"windows of {window.kernel} for an input of shape {x.shape}")
    planes = (prod(x.shape[:2]), *x.shape[2:])
    n = FloatPool(average, bool(a["count_include_pad"]), planes, window, tuple(out))
    y = reader.float_node("float_pool", node, [x], (*x.shape[:2], *out), n)
    reader.give(node, reader.view(node, y, (*y.shape[:2], y.shape[3])) if axes == 1 else y)


READERS = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "MaxPool": _pool,
    "AveragePool": _pool,
}
