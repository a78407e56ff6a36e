"""How each operator of TFLite is written in ONNX. Not there: LSTM cells, control flow, anything in float or of 16 bits."""

from collections.abc import Callable
from math import prod

import numpy as np
import tflite

from lamella.codegen.sources import tflite_shapes
from lamella.codegen.sources.tflite_model import Op
from lamella.codegen.sources.tflite_writer import TO_NCHW, Refused, Writer

_ACTIVATIONS = tflite.ActivationFunctionType
_NCHW_PLACE = {0: 0, 1: 2, 2: 3, 3: 1}  # where an axis of NHWC is in NCHW


def convert(w: Writer, op: Op) -> str | None:
    """Append an operator to the ONNX graph. None, or the reason why it is not supported."""
    function = OPERATORS.get(op.kind)
    try:
        if tflite_shapes.fold(w, op):
            return None
        if function is None:
            raise Refused("this operator of TFLite is not supported; replace it or leave it outside the model")
        function(w, op)
    except Refused as reason:
        return f"node {op.name!r} ({op.kind}): {reason}"
    except ZeroDivisionError:
        return f"node {op.name!r} ({op.kind}): a stride, a size or a scale of 0; convert the model again"
    return None


def _finish(w: Writer, op: Op, value: str, layout: str = "file", activation: int = _ACTIVATIONS.NONE) -> None:
    """The activation function fused into an operator, then its output."""
    if activation == _ACTIVATIONS.RELU:
        value = w.node("Relu", [value])
    elif activation == _ACTIVATIONS.RELU6:
        value = w.node("Clip", [value, w.constant(0, np.float32), w.constant(6, np.float32)])
    elif activation == _ACTIVATIONS.RELU_N1_TO_1:
        value = w.node("Clip", [value, w.constant(-1, np.float32), w.constant(1, np.float32)])
    elif activation != _ACTIVATIONS.NONE:
        raise Refused(f"fused activation function {activation}; NONE, RELU, RELU6 and RELU_N1_TO_1 are supported")
    w.put(op.outputs[0], value, layout)


def _pads(size: tuple[int, ...], kernel: tuple[int, ...], stride, dilation, padding: int) -> list[int]:
    """ONNX pads of padding SAME or VALID."""
    if padding == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    total = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]


def _conv_2d(w: Writer, op: Op) -> None:
    o = op.options(tflite.Conv2DOptions)
    x, weights = w.tensor(op.inputs[0]), w.tensor(op.inputs[1])
    stride, dilation = (o.StrideH(), o.StrideW()), (o.DilationHFactor() or 1, o.DilationWFactor() or 1)
    name = w.weights(op.inputs[1], (0, 3, 1, 2))
    _convolve(w, op, o, name, weights.shape[1:3], stride, dilation, x.shape[3] // weights.shape[3])


def _depthwise_conv_2d(w: Writer, op: Op) -> None:
    o = op.options(tflite.DepthwiseConv2DOptions)
    x, weights = w.tensor(op.inputs[0]), w.tensor(op.inputs[1])
    stride, dilation = (o.StrideH(), o.StrideW()), (o.DilationHFactor() or 1, o.DilationWFactor() or 1)
    _convolve(w, op, o, w.weights(op.inputs[1], (3, 0, 1, 2)), weights.shape[1:3], stride, dilation, x.shape[3])


def _convolve(w: Writer, op: Op, options, weights: str, kernel, stride, dilation, group: int) -> None:
    pads = _pads(w.tensor(op.inputs[0]).shape[1:3], kernel, stride, dilation, options.Padding())
    inputs = [w.get(op.inputs[0], "nchw"), weights, *w.bias(op, 2)]
    y = w.node("Conv", inputs, op.name, kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads, group=group)
    _finish(w, op, y, "nchw", options.FusedActivationFunction())


def _transpose_conv(w: Writer, op: Op) -> None:
    o = op.options(tflite.TransposeConvOptions)
    x, weights, y = w.tensor(op.inputs[2]), w.tensor(op.inputs[1]), w.tensor(op.outputs[0])
    kernel, stride = weights.shape[1:3], (o.StrideH(), o.StrideW())
    total = [(n - 1) * s + k - m for n, s, k, m in zip(x.shape[1:3], stride, kernel, y.shape[1:3], strict=True)]
    first = [max(t, 0) // 2 for t in total]
    pads = [*first, *(max(t, 0) - f for t, f in zip(total, first, strict=True))]
    more = [max(-t, 0) for t in total]
    # ONNX wants (in, out, rows, columns); scales per channel belong to the outputs.
    inputs = [w.get(op.inputs[2], "nchw"), w.weights(op.inputs[1], (3, 0, 1, 2)), *w.bias(op, 3, x=2)]
    value = w.node(
        "ConvTranspose", inputs, op.name, kernel_shape=kernel, strides=stride, pads=pads, output_padding=more
    )
    _finish(w, op, value, "nchw", o.FusedActivationFunction() or 0)


def _fully_connected(w: Writer, op: Op) -> None:
    o = op.options(tflite.FullyConnectedOptions)
    if o.WeightsFormat():
        raise Refused("shuffled weights; convert with the default format")
    weights, y = w.tensor(op.inputs[1]), w.tensor(op.outputs[0])
    x, cols = w.get(op.inputs[0]), weights.shape[1]
    if len(w.tensor(op.inputs[0]).shape) != 2:
        x = w.node("Reshape", [x, w.constant([-1, cols], np.int64)])
    value = w.node("Gemm", [x, w.weights(op.inputs[1], (0, 1)), *w.bias(op, 2)], op.name, transB=1)
    if o.FusedActivationFunction() and len(y.shape) != 2:
        raise Refused("an activation function fused behind more than two axes")
    if len(y.shape) != 2:
        value = w.node("Reshape", [value, w.constant([-1, *y.shape[1:]], np.int64)])
    _finish(w, op, value, "file", o.FusedActivationFunction())


def _batch_matmul(w: Writer, op: Op) -> None:
    o = op.options(tflite.BatchMatMulOptions)
    inputs = []
    for index, adjoint in zip(op.inputs[:2], (o.AdjX(), o.AdjY()), strict=True):
        value, rank = w.get(index), len(w.tensor(index).shape)
        perm = [*range(rank - 2), rank - 1, rank - 2]
        inputs.append(w.node("Transpose", [value], perm=perm) if adjoint else value)
    _finish(w, op, w.node("MatMul", inputs, op.name))


def _pool(kind: str) -> Callable[[Writer, Op], None]:
    def convert_pool(w: Writer, op: Op) -> None:
        o = op.options(tflite.Pool2DOptions)
        kernel, stride = (o.FilterHeight(), o.FilterWidth()), (o.StrideH(), o.StrideW())
        pads = _pads(w.tensor(op.inputs[0]).shape[1:3], kernel, stride, (1, 1), o.Padding())
        y = w.node(kind, [w.get(op.inputs[0], "nchw")], op.name, kernel_shape=kernel, strides=stride, pads=pads)
        _finish(w, op, y, "nchw", o.FusedActivationFunction())

    return convert_pool


def _reduce(kind: str) -> Callable[[Writer, Op], None]:
    def convert_reduce(w: Writer, op: Op) -> None:
        rank = len(w.tensor(op.inputs[0]).shape)
        axes = sorted(int(a) % rank for a in np.atleast_1d(w.values(op.inputs[1])))
        keep = int(bool(op.options(tflite.ReducerOptions).KeepDims()))
        images = rank == 4 and axes == [1, 2]
        x = w.get(op.inputs[0], "nchw" if images else "file")
        axes = w.constant([2, 3] if images else axes, np.int64)
        _finish(w, op, w.node(kind, [x, axes], op.name, keepdims=keep), "nchw" if images and keep else "file")

    return convert_reduce


def _shape(w: Writer, shape: tuple[int, ...]) -> str:
    """A shape for Reshape; 0 keeps the batch."""
    return w.constant([0 if shape[:1] == (1,) else shape[0], *shape[1:]] if shape else [], np.int64)


def _reshape(w: Writer, op: Op) -> None:
    shape = w.tensor(op.outputs[0]).shape
    if prod(shape) != prod(w.tensor(op.inputs[0]).shape):
        raise Refused(f"shape {shape} for an input of shape {w.tensor(op.inputs[0]).shape}")
    _finish(w, op, w.node("Reshape", [w.get(op.inputs[0]), _shape(w, shape)], op.name))


def _elementwise(kind: str, options: type | None = None) -> Callable[[Writer, Op], None]:
    def convert_elementwise(w: Writer, op: Op) -> None:
        layout = w.layout(op)
        y = w.node(kind, [w.get(index, layout) for index in op.inputs], op.name)
        _finish(w, op, y, layout, op.options(options).FusedActivationFunction() if options else 0)

    return convert_elementwise


def _clip(low: float, high: float | None) -> Callable[[Writer, Op], None]:
    def convert_clip(w: Writer, op: Op) -> None:
        layout = w.layout(op)
        bounds = [w.constant(low, np.float32)] + ([] if high is None else [w.constant(high, np.float32)])
        _finish(w, op, w.node("Clip", [w.get(op.inputs[0], layout), *bounds], op.name), layout)

    return convert_clip


def _leaky_relu(w: Writer, op: Op) -> None:
    layout = w.layout(op)
    alpha = float(op.options(tflite.LeakyReluOptions).Alpha())
    _finish(w, op, w.node("LeakyRelu", [w.get(op.inputs[0], layout)], op.name, alpha=alpha), layout)


def _gelu(w: Writer, op: Op) -> None:
    layout = w.layout(op)
    kind = "tanh" if op.options(tflite.GeluOptions).Approximate() else "none"
    _finish(w, op, w.node("Gelu", [w.get(op.inputs[0], layout)], op.name, approximate=kind), layout)


def _square(w: Writer, op: Op) -> None:
    layout = w.layout(op)
    x = w.get(op.inputs[0], layout)
    _finish(w, op, w.node("Mul", [x, x], op.name), layout)


def _softmax(w: Writer, op: Op) -> None:
    if op.options(tflite.SoftmaxOptions).Beta() != 1:
        raise Refused("beta other than 1; scale the layer before it")
    _finish(w, op, w.node("Softmax", [w.get(op.inputs[0])], op.name, axis=-1))


def _pad(w: Writer, op: Op) -> None:
    amounts = np.asarray(w.values(op.inputs[1]), np.int64)
    # Rows and columns of an image: a convolution comes, which takes the padding over.
    images = len(amounts) == 4 and not amounts[[0, 3]].any()
    layout = "nchw" if images else w.layout(op)
    if layout == "nchw":
        amounts = amounts[list(TO_NCHW)]
    value = 0.0
    if len(op.inputs) > 2:
        tensor = w.tensor(op.inputs[2])
        value = float((int(w.values(op.inputs[2]).reshape(())) - tensor.zeros[0]) * tensor.scales[0])
    pads = w.constant([*amounts[:, 0], *amounts[:, 1]], np.int64)
    y = w.node("Pad", [w.get(op.inputs[0], layout), pads, w.constant(value, np.float32)], op.name)
    _finish(w, op, y, layout)


def _concatenation(w: Writer, op: Op) -> None:
    o, layout = op.options(tflite.ConcatenationOptions), w.layout(op)
    axis = o.Axis() % len(w.tensor(op.outputs[0]).shape)
    axis = _NCHW_PLACE[axis] if layout == "nchw" else axis
    y = w.node("Concat", [w.get(index, layout) for index in op.inputs], op.name, axis=axis)
    _finish(w, op, y, layout, o.FusedActivationFunction())


def _cut(w: Writer, op: Op, starts, ends, steps, squeeze: bool) -> None:
    x = w.tensor(op.inputs[0])
    value = w.get(op.inputs[0])
    for axis, (start, end, step) in enumerate(zip(starts, ends, steps, strict=True)):
        if (start, end, step) != (0, x.shape[axis], 1):
            places = [w.constant([n], np.int64) for n in (start, end, axis, step)]
            value = w.node("Slice", [value, *places])
    if squeeze:
        value = w.node("Reshape", [value, _shape(w, w.tensor(op.outputs[0]).shape)])
    _finish(w, op, value)


def _strided_slice(w: Writer, op: Op) -> None:
    o, shape = op.options(tflite.StridedSliceOptions), w.tensor(op.inputs[0]).shape
    if o.EllipsisMask() or o.NewAxisMask() or getattr(o, "Offset", lambda: 0)():
        raise Refused("an ellipsis, a new axis or ends as offsets")
    begin, end, steps = ([int(v) for v in w.values(op.inputs[k])] for k in (1, 2, 3))
    if any(step < 1 for step in steps) or len(begin) != len(shape):
        raise Refused(f"steps {steps} of shape {shape}; positive steps for every axis are supported")
    ranges = []
    for k, size in enumerate(shape):
        first = None if o.BeginMask() >> k & 1 else begin[k]
        last = None if o.EndMask() >> k & 1 else end[k]
        if o.ShrinkAxisMask() >> k & 1:
            last = begin[k] + 1 if begin[k] != -1 else None
        ranges.append(slice(first, last).indices(size)[:2])
    _cut(w, op, [r[0] for r in ranges], [r[1] for r in ranges], steps, bool(o.ShrinkAxisMask()))


def _slice(w: Writer, op: Op) -> None:
    shape = w.tensor(op.inputs[0]).shape
    begin, size = ([int(v) for v in w.values(op.inputs[k])] for k in (1, 2))
    ends = [n if s == -1 else b + s for n, b, s in zip(shape, begin, size, strict=True)]
    _cut(w, op, begin, ends, [1] * len(shape), squeeze=False)


def _split(axis_place: int, x_place: int) -> Callable[[Writer, Op], None]:
    def convert_split(w: Writer, op: Op) -> None:
        shape = w.tensor(op.inputs[x_place]).shape
        axis = int(np.asarray(w.values(op.inputs[axis_place])).reshape(())) % len(shape)
        start = 0
        for output in op.outputs:
            size = w.tensor(output).shape[axis]
            places = [w.constant([n], np.int64) for n in (start, start + size, axis)]
            w.put(output, w.node("Slice", [w.get(op.inputs[x_place]), *places]))
            start += size

    return convert_split


def _pack(w: Writer, op: Op) -> None:
    axis, y = op.options(tflite.PackOptions).Axis(), w.tensor(op.outputs[0])
    axis %= len(y.shape)
    shape = w.constant([1 if k == axis else d for k, d in enumerate(y.shape)], np.int64)
    parts = [w.node("Reshape", [w.get(index), shape]) for index in op.inputs]
    _finish(w, op, w.node("Concat", parts, op.name, axis=axis))


def _unpack(w: Writer, op: Op) -> None:
    shape = w.tensor(op.inputs[0]).shape
    axis = op.options(tflite.UnpackOptions).Axis() % len(shape)
    if len(op.outputs) != shape[axis]:
        raise Refused(f"{len(op.outputs)} results for axis {axis} of shape {shape}")
    for k, output in enumerate(op.outputs):
        places = [w.constant([n], np.int64) for n in (k, k + 1, axis)]
        part = w.node("Slice", [w.get(op.inputs[0]), *places])
        w.put(output, w.node("Reshape", [part, _shape(w, w.tensor(output).shape)]))


def _gather(w: Writer, op: Op) -> None:
    o = op.options(tflite.GatherOptions)
    if o.BatchDims():
        raise Refused("places for each of several batches")
    places = w.constant(w.values(op.inputs[1]), np.int64)
    _finish(w, op, w.node("Gather", [w.get(op.inputs[0]), places], op.name, axis=o.Axis()))


def _repeated(kind: str) -> Callable[[Writer, Op], None]:
    def convert_repeated(w: Writer, op: Op) -> None:
        amounts = w.constant([int(n) for n in w.values(op.inputs[1])], np.int64)
        _finish(w, op, w.node(kind, [w.get(op.inputs[0]), amounts], op.name))

    return convert_repeated


def _mirror_pad(w: Writer, op: Op) -> None:
    if op.options(tflite.MirrorPadOptions).Mode() != tflite.MirrorPadMode.REFLECT:
        raise Refused("mode SYMMETRIC; REFLECT is supported")
    amounts = np.asarray(w.values(op.inputs[1]), np.int64)
    pads = w.constant([*amounts[:, 0], *amounts[:, 1]], np.int64)
    _finish(w, op, w.node("Pad", [w.get(op.inputs[0]), pads], op.name, mode="reflect"))


def _squared_difference(w: Writer, op: Op) -> None:
    less = w.node("Sub", [w.get(index) for index in op.inputs], op.name)
    _finish(w, op, w.node("Mul", [less, less]))


def _rsqrt(w: Writer, op: Op) -> None:
    layout = w.layout(op)
    _finish(w, op, w.node("Reciprocal", [w.node("Sqrt", [w.get(op.inputs[0], layout)], op.name)]), layout)


def _along_last(kind: str, **attributes) -> Callable[[Writer, Op], None]:
    def convert_along_last(w: Writer, op: Op) -> None:
        _finish(w, op, w.node(kind, [w.get(op.inputs[0])], op.name, axis=-1, **attributes))

    return convert_along_last


def _transpose(w: Writer, op: Op) -> None:
    perm = [int(v) for v in w.values(op.inputs[1])]
    _finish(w, op, w.node("Transpose", [w.get(op.inputs[0])], op.name, perm=perm))


def _resize(mode: str, options: type) -> Callable[[Writer, Op], None]:
    def convert_resize(w: Writer, op: Op) -> None:
        o = op.options(options)
        y = w.tensor(op.outputs[0]).shape
        way = "align_corners" if o.AlignCorners() else "half_pixel" if o.HalfPixelCenters() else "asymmetric"
        attributes = {"mode": mode, "coordinate_transformation_mode": way}
        if mode == "nearest":
            attributes["nearest_mode"] = "floor" if way == "asymmetric" else "round_prefer_ceil"
        sizes = w.constant([1, y[3], y[1], y[2]], np.int64)
        value = w.node("Resize", [w.get(op.inputs[0], "nchw"), "", "", sizes], op.name, **attributes)
        _finish(w, op, value, "nchw")

    return convert_resize


def _block(kind: str, options: type) -> Callable[[Writer, Op], None]:
    def convert_block(w: Writer, op: Op) -> None:
        size = op.options(options).BlockSize()
        _finish(w, op, w.node(kind, [w.get(op.inputs[0], "nchw")], op.name, blocksize=size), "nchw")

    return convert_block


def _arg(kind: str) -> Callable[[Writer, Op], None]:
    def convert_arg(w: Writer, op: Op) -> None:
        rank = len(w.tensor(op.inputs[0]).shape)
        axis = int(np.asarray(w.values(op.inputs[1])).reshape(())) % rank
        w.put_integers(op.outputs[0], w.node(kind, [w.get(op.inputs[0])], op.name, axis=axis, keepdims=0))

    return convert_arg


def _same(w: Writer, op: Op) -> None:
    """From one quantisation to another, from float, or to float: what the output's type says."""
    layout = w.layout(op)
    w.put(op.outputs[0], w.get(op.inputs[0], layout), layout)


OPERATORS: dict[str, Callable[[Writer, Op], None]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _reduce("ReduceMean"),
    "SUM": _reduce("ReduceSum"),
    "REDUCE_MAX": _reduce("ReduceMax"),
    "REDUCE_MIN": _reduce("ReduceMin"),
    "ADD": _elementwise("Add", tflite.AddOptions),
    "SUB": _elementwise("Sub", tflite.SubOptions),
    "MUL": _elementwise("Mul", tflite.MulOptions),
    "DIV": _elementwise("Div", tflite.DivOptions),
    "POW": _elementwise("Pow"),
    "SQUARED_DIFFERENCE": _squared_difference,
    "MAXIMUM": _elementwise("Max"),
    "MINIMUM": _elementwise("Min"),
    "RELU": _clip(0, None),
    "RELU6": _clip(0, 6),
    "RELU_0_TO_1": _clip(0, 1),
    "RELU_N1_TO_1": _clip(-1, 1),
    "LOGISTIC": _elementwise("Sigmoid"),
    "TANH": _elementwise("Tanh"),
    "HARD_SWISH": _elementwise("HardSwish"),
    "ELU": _elementwise("Elu"),
    "ABS": _elementwise("Abs"),
    "NEG": _elementwise("Neg"),
    "EXP": _elementwise("Exp"),
    "LOG": _elementwise("Log"),
    "SQRT": _elementwise("Sqrt"),
    "RSQRT": _rsqrt,
    "SIN": _elementwise("Sin"),
    "COS": _elementwise("Cos"),
    "FLOOR": _elementwise("Floor"),
    "CEIL": _elementwise("Ceil"),
    "ROUND": _elementwise("Round"),
    "LEAKY_RELU": _leaky_relu,
    "PRELU": _elementwise("PRelu"),
    "GELU": _gelu,
    "SQUARE": _square,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _along_last("LogSoftmax"),
    "L2_NORMALIZATION": _along_last("LpNormalization", p=2),
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _mirror_pad,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "SPLIT": _split(0, 1),
    "SPLIT_V": _split(2, 0),
    "PACK": _pack,
    "UNPACK": _unpack,
    "GATHER": _gather,
    "TILE": _repeated("Tile"),
    "BROADCAST_TO": _repeated("Expand"),
    "TRANSPOSE": _transpose,
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", tflite.ResizeNearestNeighborOptions),
    "RESIZE_BILINEAR": _resize("linear", tflite.ResizeBilinearOptions),
    "DEPTH_TO_SPACE": _block("DepthToSpace", tflite.DepthToSpaceOptions),
    "SPACE_TO_DEPTH": _block("SpaceToDepth", tflite.SpaceToDepthOptions),
    "ARG_MAX": _arg("ArgMax"),
    "ARG_MIN": _arg("ArgMin"),
    "QUANTIZE": _same,
    "DEQUANTIZE": _same,
}
