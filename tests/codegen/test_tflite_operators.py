"""Each operator of TFLite that is read, in a file of its own, against TensorFlow Lite Micro: at most one level apart, and with
its arithmetic every byte."""

import ast
import math
import os
from pathlib import Path

import numpy as np
import pytest
import tflite
import tflite_networks
from tflite_file import File
from tflite_micro import runtime

from lamella import pipeline, vectors, verify, witness_tflite
from lamella.codegen import import_onnx, reference
from lamella.codegen.sources.tflite_operators import OPERATORS

RNG = np.random.default_rng(3)
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6


@pytest.fixture(autouse=True)
def _numbers_of_its_own():
    """The same numbers for a test whatever ran before it."""
    global RNG
    RNG = np.random.default_rng(int(os.environ.get("LAMELLA_TEST_SEED", "3")))


def quantization(around=0.05, spread=1.0):
    """A random scale and zero point."""
    return around * float(np.exp(RNG.uniform(-spread, spread))), int(RNG.integers(-128, 128))


def check(tmp_path, file: File, inputs, outputs, most=1, floats=False, most_as_theirs=0):
    """Both on random inputs; what the model gives must be as near as `most` levels, in its own arithmetic the same. floats: it
    computes in float32 in between."""
    path = tmp_path / "m.tflite"
    file.write(path, inputs, outputs)
    graph = import_onnx.read(path, floats, "tflite")
    assert bool(graph.in_float) == floats
    compare(path, file, graph, inputs, outputs, most_as_theirs)
    graph = import_onnx.read(path)
    compare(path, file, graph, inputs, outputs, most)
    return graph


def compare(path, file: File, graph, inputs, outputs, most):
    """One graph of a file against the interpreter."""
    names = [f"t{k}" for k in inputs]
    raw = {
        name: RNG.integers(-128, 128, (12, *file.tensors[k][0][1:])).astype(np.int8)
        for name, k in zip(names, inputs, strict=True)
    }
    ours = reference.run(graph, raw)
    interpreter = runtime.Interpreter.from_bytes(path.read_bytes())
    for k in range(12):
        for place, name in enumerate(names):
            interpreter.set_input(raw[name][k : k + 1], place)
        interpreter.invoke()
        for place, index in enumerate(outputs):
            theirs = interpreter.get_output(place)
            got = ours[f"t{index}"][k : k + 1].reshape(theirs.shape)
            assert np.abs(theirs.astype(int) - got).max() <= most


def weights(f, shape, axis=0):
    """int8 weights with a scale for each channel."""
    return f.constant(RNG.integers(-127, 128, shape), "int8", RNG.uniform(0.002, 0.01, shape[axis]), 0, axis)


def bias(f, n):
    return f.constant(RNG.integers(-3000, 3000, n), "int32", np.full(n, 0.05 * 0.005))


@pytest.mark.parametrize(("stride", "dilation", "padding", "activation"), [
    (1, 1, SAME, 0), (2, 1, SAME, RELU), (1, 2, SAME, RELU6), (2, 1, VALID, 0)])  # fmt: skip
def test_convolutions(tmp_path, stride, dilation, padding, activation):
    common = {"Padding": padding, "StrideH": stride, "StrideW": stride, "DilationHFactor": dilation, "DilationWFactor": dilation,
              "FusedActivationFunction": activation}  # fmt: skip
    size = -(-9 // stride) if padding == SAME else (9 - 2 * dilation - 1) // stride + 1
    f = File()
    x = f.tensor((1, 9, 9, 4), 0.05, 3)
    y = f.tensor((1, size, size, 6), 0.1, -5)
    f.op("CONV_2D", [x, weights(f, (6, 3, 3, 4)), bias(f, 6)], [y], "Conv2DOptions", **common)
    check(tmp_path, f, [x], [y])
    f = File()
    x = f.tensor((1, 9, 9, 4), 0.05, 3)
    y = f.tensor((1, size, size, 8), 0.06, -5)
    inputs = [x, weights(f, (1, 3, 3, 8), axis=3), bias(f, 8)]
    f.op("DEPTHWISE_CONV_2D", inputs, [y], "DepthwiseConv2DOptions", DepthMultiplier=2, **common)
    check(tmp_path, f, [x], [y])


@pytest.mark.parametrize(("size", "stride", "padding", "kernel"), [(8, 2, SAME, 3), (9, 2, VALID, 3), (8, 2, SAME, 2), (4, 1, SAME, 3)])  # fmt: skip
def test_transposed_convolution(tmp_path, size, stride, padding, kernel):
    f = File()
    x = f.tensor((1, 4, 4, 3), 0.05, 3)
    y = f.tensor((1, size, size, 5), 0.1, 7)
    inputs = [f.constant([1, size, size, 5]), weights(f, (5, kernel, kernel, 3)), x, bias(f, 5)]
    f.op("TRANSPOSE_CONV", inputs, [y], "TransposeConvOptions", Padding=padding, StrideH=stride, StrideW=stride)
    check(tmp_path, f, [x], [y])


@pytest.mark.parametrize("keep", [False, True])
def test_fully_connected(tmp_path, keep):
    f = File()
    x = f.tensor((1, 3, 10), 0.05, 3) if keep else f.tensor((1, 10), 0.05, 3)
    y = f.tensor((1, 3, 6), 0.1, -5) if keep else f.tensor((1, 6), 0.1, -5)
    inputs = [x, f.constant(RNG.integers(-127, 128, (6, 10)), "int8", 0.005), f.constant(RNG.integers(-900, 900, 6), "int32", 0.05 * 0.005)]  # fmt: skip
    f.op("FULLY_CONNECTED", inputs, [y], "FullyConnectedOptions", FusedActivationFunction=0 if keep else RELU, KeepNumDims=keep)  # fmt: skip
    check(tmp_path, f, [x], [y])


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_pooling(tmp_path, kind, padding):
    f = File()
    size = 4 if padding == SAME else 3
    x, y = f.tensor((1, 7, 7, 3), 0.05, 3), f.tensor((1, size, size, 3), 0.05, 3)
    f.op(kind, [x], [y], "Pool2DOptions", Padding=padding, StrideH=2, StrideW=2, FilterHeight=3, FilterWidth=3)
    check(tmp_path, f, [x], [y])


@pytest.mark.parametrize("kind", ["MEAN", "SUM", "REDUCE_MAX"])
@pytest.mark.parametrize(
    ("axes", "keep"), [((1, 2), 1), ((1, 2), 0), ((3,), 1), ((1,), 0), ((1, 3), 0), ((1, 2, 3), 1)]
)
def test_reductions(tmp_path, kind, axes, keep):
    for _ in range(4):
        f = File()
        shape = (1, *(int(n) for n in RNG.integers(1, 9, 3)))
        out = [1 if k in axes else d for k, d in enumerate(shape) if keep or k not in axes]
        given = quantization()
        x, y = f.tensor(shape, *given), f.tensor(out, *(given if kind == "REDUCE_MAX" else quantization()))
        f.op(kind, [x, f.constant(axes)], [y], "ReducerOptions", KeepDims=bool(keep))
        check(tmp_path, f, [x], [y], most=0 if kind == "REDUCE_MAX" else 1)


def test_smallest_over_axes(tmp_path):
    f, given = File(), quantization()
    x, y = f.tensor((1, 3, 4, 5), *given), f.tensor((1, 3, 5), *given)
    f.op("REDUCE_MIN", [x, f.constant([2])], [y], "ReducerOptions", KeepDims=False)
    check(tmp_path, f, [x], [y], most=0, floats=True)


@pytest.mark.parametrize(("kind", "options"), [("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions")])
@pytest.mark.parametrize("other", [(1, 4, 4, 3), (1, 1, 1, 3), (1, 4, 1, 3), (3,), ()])
@pytest.mark.parametrize("constant", [None, 0, 1])
def test_arithmetic(tmp_path, kind, options, other, constant):
    """Of two activations, or with the first or the second constant."""
    for activation in (RELU, tflite.ActivationFunctionType.NONE):
        f = File()
        x = f.tensor((1, 4, 4, 3), *quantization())
        if constant is None:
            b = f.tensor(other if len(other) == 4 else (1, 1, 1, 3), *quantization())
        else:
            b = f.constant(RNG.integers(-128, 128, other), "int8", *quantization())
        y = f.tensor((1, 4, 4, 3), *quantization(0.1))
        f.op(kind, [b, x] if constant == 0 else [x, b], [y], options, FusedActivationFunction=activation)
        check(tmp_path, f, [x, b] if constant is None else [x], [y])


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_ties_of_sums(tmp_path, kind):
    """Scales with which half of all results lie between two levels."""
    f = File()
    a, b, y = f.tensor((1, 256), 0.05, 3), f.tensor((1, 256), 0.05, -9), f.tensor((1, 256), 0.1, 5)
    f.op(kind, [a, b], [y], f"{kind.title()}Options")
    check(tmp_path, f, [a, b], [y])


def test_factors_of_differences_have_24_bits(tmp_path):
    """TensorFlow Lite Micro computes them in float32, those of sums in float64."""
    for kind in ("ADD", "SUB"):
        f = File()
        a, b, y = f.tensor((1, 4), 0.0123, 0), f.tensor((1, 4), 0.0377, 0), f.tensor((1, 4), 0.0511, 0)
        f.op(kind, [a, b], [y], f"{kind.title()}Options")
        f.write(tmp_path / "m.tflite", [a, b], [y])
        (node,) = import_onnx.read(tmp_path / "m.tflite", arithmetic="tflite").nodes
        at = node.attributes
        assert [m % 128 == 0 for m, _ in (at.addends[0], at.total)] == [kind == "SUB"] * 2


@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 1, 3), (1, 1, 1), (3,)])
def test_slopes_for_each_channel(tmp_path, shape):
    for _ in range(3):
        f = File()
        x, y = f.tensor((1, 4, 4, 3), *quantization()), f.tensor((1, 4, 4, 3), *quantization())
        slopes = f.constant(RNG.integers(-128, 128, shape), "int8", *quantization(0.005))
        f.op("PRELU", [x, slopes], [y])
        check(tmp_path, f, [x], [y])


@pytest.mark.parametrize(("kind", "out"), [
    ("RELU", None), ("RELU6", "same"), ("LOGISTIC", (1 / 256, -128)), ("TANH", (1 / 128, 0)),
    ("HARD_SWISH", None), ("ABS", None), ("LEAKY_RELU", None), ("ELU", None)])  # fmt: skip
def test_functions_of_one_value(tmp_path, kind, out):
    """Of all values, in several quantisations."""
    for _ in range(6):
        f = File()
        given = quantization(0.04)
        x = f.tensor((1, 256), *given)
        y = f.tensor(
            (1, 256), *(given if out == "same" else out or (given[0] * RNG.uniform(0.8, 2), quantization()[1]))
        )
        options = {"Alpha": float(RNG.uniform(-0.5, 1.5))} if kind == "LEAKY_RELU" else {}
        f.op(kind, [x], [y], *(["LeakyReluOptions"] if options else []), **options)
        check(tmp_path, f, [x], [y])


@pytest.mark.parametrize("kind", ["MAXIMUM", "MINIMUM"])
def test_larger_and_smaller(tmp_path, kind):
    f = File()
    a, b, y = (f.tensor((1, 4, 4, 3), 0.05, 3) for _ in range(3))
    f.op(kind, [a, b], [y], "MaximumMinimumOptions")
    check(tmp_path, f, [a, b], [y], most=0)


def test_softmax(tmp_path):
    f = File()
    x, y = f.tensor((1, 12), 0.1, 3), f.tensor((1, 12), 1 / 256, -128)
    f.op("SOFTMAX", [x], [y], "SoftmaxOptions", Beta=1.0)
    check(tmp_path, f, [x], [y])


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_part_may_be_constant(tmp_path, axis):
    """Coordinates behind an image: also across the axes that change places."""
    f = File()
    q = quantization()
    shape, whole = [1, 4, 5, 3], [1, 4, 5, 3]
    shape[axis], whole[axis] = 2, whole[axis] + 2
    x = f.tensor((1, 4, 5, 3), *q)
    part = f.constant(RNG.integers(-128, 128, shape), "int8", *q)
    y = f.op("CONCATENATION", [x, part], [f.tensor(tuple(whole), *q)], "ConcatenationOptions", Axis=axis)
    y = f.op("MAX_POOL_2D", [y], [f.tensor((1, whole[1] // 2, whole[2] // 2, whole[3]), *q)], "Pool2DOptions", Padding=VALID, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)  # fmt: skip
    check(tmp_path, f, [x], [y], most=0)


def test_data_movement(tmp_path):
    """Movement behind a pooling, so that layouts change on the way: nothing may change a value."""
    f = File()
    q = (0.05, 3)
    x = f.tensor((1, 8, 8, 4), *q)
    y = f.op("MAX_POOL_2D", [x], [f.tensor((1, 4, 4, 4), *q)], "Pool2DOptions", Padding=VALID, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)  # fmt: skip
    y = f.op("PAD", [y, f.constant([[0, 0], [1, 0], [0, 2], [0, 0]])], [f.tensor((1, 5, 6, 4), *q)], "PadOptions")
    y = f.op("CONCATENATION", [y, y], [f.tensor((1, 5, 6, 8), *q)], "ConcatenationOptions", Axis=3)
    a = f.op("STRIDED_SLICE", [y, f.constant([0, 1, 0, 2]), f.constant([1, 5, 6, 7]), f.constant([1, 1, 1, 1])], [f.tensor((1, 4, 6, 5), *q)], "StridedSliceOptions", BeginMask=1, EndMask=4)  # fmt: skip
    b = f.op("TRANSPOSE", [y, f.constant([0, 2, 3, 1])], [f.tensor((1, 6, 8, 5), *q)], "TransposeOptions")
    c = f.op("RESHAPE", [y, f.constant([1, 240])], [f.tensor((1, 240), *q)], "ReshapeOptions", NewShape=[1, 240])
    d, e = f.tensor((1, 5, 6, 4), *q), f.tensor((1, 5, 6, 4), *q)
    f.op("SPLIT", [f.constant(3), y], [d, e], "SplitOptions", NumSplits=2)
    g = f.op("SLICE", [y, f.constant([0, 2, 0, 0]), f.constant([1, -1, 2, 8])], [f.tensor((1, 3, 2, 8), *q)], "SliceOptions")  # fmt: skip
    h = f.op("EXPAND_DIMS", [c, f.constant(1)], [f.tensor((1, 1, 240), *q)], "ExpandDimsOptions")
    i = f.op("SQUEEZE", [h], [f.tensor((1, 240), *q)], "SqueezeOptions", SqueezeDims=[1])
    check(tmp_path, f, [x], [a, b, d, e, g, i], most=0)


@pytest.mark.parametrize(("align", "half"), [(False, False), (False, True), (True, False)])
def test_resizing(tmp_path, align, half):
    for kind, options in (("RESIZE_BILINEAR", "ResizeBilinearOptions"), ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")):  # fmt: skip
        f = File()
        x, y = f.tensor((1, 4, 3, 2), 0.05, 3), f.tensor((1, 8, 9, 2), 0.05, 3)
        f.op(kind, [x, f.constant([8, 9])], [y], options, AlignCorners=align, HalfPixelCenters=half)
        check(tmp_path, f, [x], [y], most=0 if "NEAREST" in kind else 1)


@pytest.mark.parametrize("amounts", [((0, 0), (1, 0), (1, 2), (0, 0)), ((0, 0), (1, 0), (0, 2), (3, 1))])
def test_margins_of_any_value(tmp_path, amounts):
    f, q = File(), quantization()
    shape = (1, 4, 3, 2)
    padded = [n + sum(pair) for n, pair in zip(shape, amounts, strict=True)]
    x, y = f.tensor(shape, *q), f.tensor(padded, *q)
    f.op("PADV2", [x, f.constant(amounts), f.constant(-77, "int8", *q)], [y], "PadV2Options")
    check(tmp_path, f, [x], [y], most=0)


def test_padding_in_front_of_a_convolution_costs_nothing(tmp_path):
    """As Keras writes MobileNet's first layers."""
    f = File()
    x = f.tensor((1, 8, 8, 3), 0.05, 3)
    y = f.op("PAD", [x, f.constant([[0, 0], [0, 1], [0, 1], [0, 0]])], [f.tensor((1, 9, 9, 3), 0.05, 3)], "PadOptions")
    options = {"Padding": VALID, "StrideH": 2, "StrideW": 2, "DilationHFactor": 1, "DilationWFactor": 1}
    inputs, z = [y, weights(f, (4, 3, 3, 3)), bias(f, 4)], f.tensor((1, 4, 4, 4), 0.1, 0)
    f.op("CONV_2D", inputs, [z], "Conv2DOptions", **options)
    check(tmp_path, f, [x], [z])
    compiled = pipeline.compile_model(tmp_path / "m.tflite", "host")
    assert "pad2d" not in {node.op for node in compiled.graph.nodes}


#: What TensorFlow Lite Micro has not for int8, in real numbers: of one value, or of two.
REAL = {
    "NEG": np.negative, "EXP": np.exp, "LOG": np.log, "SQRT": np.sqrt, "SQUARE": np.square, "SIN": np.sin, "COS": np.cos,
    "FLOOR": np.floor, "CEIL": np.ceil, "ROUND": np.rint, "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
    "RELU_N1_TO_1": lambda x: np.clip(x, -1, 1), "GELU": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "DIV": np.divide, "POW": np.power,
}  # fmt: skip


@pytest.mark.parametrize("kind", REAL)
def test_functions_of_real_numbers(tmp_path, kind):
    """At most one level from the function itself."""
    f, two = File(), kind in ("DIV", "POW")
    zeros = (-128 if kind in ("LOG", "SQRT", "POW") else 5, -128)
    inputs = [f.tensor((1, 200), scale, zero) for scale, zero in zip((0.02, 0.01), zeros, strict=True)][: 1 + two]
    y = f.tensor((1, 200), 0.04, -30)
    f.op(kind, inputs, [y], *{"DIV": ["DivOptions"], "GELU": ["GeluOptions"]}.get(kind, []))
    f.write(tmp_path / "m.tflite", inputs, [y])
    raw = [RNG.integers(-120, 128, (3, 200)).astype(np.int8) for _ in inputs]
    graph = import_onnx.read(tmp_path / "m.tflite")
    found = reference.run(graph, {f"t{k}": v for k, v in zip(inputs, raw, strict=True)})[f"t{y}"]
    levels = [v.astype(np.float32) - zero for v, zero in zip(raw, zeros, strict=False)]
    real = [np.float32(scale) * v for scale, v in zip((0.02, 0.01), levels, strict=False)]
    with np.errstate(invalid="ignore"):
        expected = np.clip(np.floor(REAL[kind](*real) / np.float32(0.04) + 0.5) - 30, -128, 127)
    assert np.abs(found - expected).max() <= 1
    assert len(np.unique(found)) > 4


def test_repeated_values(tmp_path):
    """Of more than one place along an axis, in float32."""
    f, q = File(), quantization()
    x, y = f.tensor((1, 2, 3, 2), *q), f.tensor((1, 4, 3, 6), *q)
    f.op("TILE", [x, f.constant([1, 2, 1, 3])], [y], "TileOptions")
    f.write(tmp_path / "m.tflite", [x], [y])
    values = RNG.integers(-128, 128, (2, 2, 3, 2)).astype(np.int8)
    found = reference.run(import_onnx.read(tmp_path / "m.tflite"), {f"t{x}": values})
    assert np.array_equal(found[f"t{y}"], np.tile(values, (1, 2, 1, 3)))


def test_results_in_float(tmp_path):
    """DEQUANTIZE at the end of a model."""
    f = File()
    x, y, z = f.tensor((1, 9), 0.05, 3), f.tensor((1, 9), 0.05, 3), f.tensor((1, 9), kind="float32")
    f.op("RELU", [x], [y])
    f.op("DEQUANTIZE", [y], [z])
    f.write(tmp_path / "m.tflite", [x], [z])
    graph = import_onnx.read(tmp_path / "m.tflite", floats=False)
    assert [port.dtype for port in graph.outputs] == ["float32"]
    values = RNG.integers(-128, 128, (2, 9)).astype(np.int8)
    found = reference.run(graph, {f"t{x}": values})[f"t{z}"]
    assert np.array_equal(found, np.maximum(values, 3))


def test_blocks_of_pixels(tmp_path):
    f = File()
    x, y, z = f.tensor((1, 2, 3, 8), 0.05, 3), f.tensor((1, 4, 6, 2), 0.05, 3), f.tensor((1, 2, 3, 8), 0.05, 3)
    f.op("DEPTH_TO_SPACE", [x], [y], "DepthToSpaceOptions", BlockSize=2)
    f.op("SPACE_TO_DEPTH", [y], [z], "SpaceToDepthOptions", BlockSize=2)
    check(tmp_path, f, [x], [y, z], most=0)


def test_mirrored_margins(tmp_path):
    f, q = File(), quantization()
    x, y = f.tensor((1, 3, 4, 2), *q), f.tensor((1, 5, 7, 2), *q)
    amounts = f.constant([[0, 0], [1, 1], [2, 1], [0, 0]])
    f.op("MIRROR_PAD", [x, amounts], [y], "MirrorPadOptions", Mode=tflite.MirrorPadMode.REFLECT)
    check(tmp_path, f, [x], [y], most=0, floats=True)


@pytest.mark.parametrize("kind", ["SQUARED_DIFFERENCE", "LOG_SOFTMAX", "L2_NORMALIZATION", "RSQRT"])
def test_functions_that_keep_our_arithmetic(tmp_path, kind):
    """At most one level apart in both arithmetics."""
    for _ in range(4):
        f = File()
        x = f.tensor((1, 3, 8), *((0.1, -128) if kind == "RSQRT" else quantization()))
        out = {"LOG_SOFTMAX": (16 / 256, 127), "L2_NORMALIZATION": (1 / 128, 0), "RSQRT": (0.05, -128)}
        y = f.tensor((1, 3, 8), *out.get(kind, quantization(0.1)))
        inputs = [x, f.tensor((1, 3, 8), *quantization())] if kind == "SQUARED_DIFFERENCE" else [x]
        options = {"SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "LOG_SOFTMAX": "LogSoftmaxOptions", "L2_NORMALIZATION": "L2NormOptions"}  # fmt: skip
        f.op(kind, inputs, [y], *([options[kind]] if kind in options else []))
        check(tmp_path, f, inputs, [y], floats=kind != "RSQRT", most_as_theirs=1)


def test_shapes_that_are_computed(tmp_path):
    """What Keras writes for Flatten and Reshape with a batch of any size."""
    f, q = File(), quantization()
    x = f.tensor((1, 4, 5, 2), *q)
    shape = f.op("SHAPE", [x], [f.tensor((4,), kind="int32")], "ShapeOptions", OutType=tflite.TensorType.INT32)
    one = {"ShrinkAxisMask": 1}
    places = lambda k: [f.constant([k]), f.constant([k + 1]), f.constant([1])]
    batch = f.op("STRIDED_SLICE", [shape, *places(0)], [f.tensor((), kind="int32")], "StridedSliceOptions", **one)
    rows = f.op("STRIDED_SLICE", [shape, *places(1)], [f.tensor((), kind="int32")], "StridedSliceOptions", **one)
    whole = f.op("PACK", [batch, rows, f.constant(10)], [f.tensor((3,), kind="int32")], "PackOptions", ValuesCount=3)
    y = f.op("RESHAPE", [x, whole], [f.tensor((1, 4, 10), *q)])
    sides = f.op("STRIDED_SLICE", [shape, f.constant([1]), f.constant([3]), f.constant([1])], [f.tensor((2,), kind="int32")], "StridedSliceOptions")  # fmt: skip
    doubled = f.op("MUL", [sides, f.constant(2)], [f.tensor((2,), kind="int32")], "MulOptions")
    ends = [f.constant([0]), f.constant([1]), f.constant([1])]
    eight = f.op("STRIDED_SLICE", [doubled, *ends], [f.tensor((1,), kind="int32")], "StridedSliceOptions")
    both = f.op("CONCATENATION", [f.constant([1]), eight, f.constant([5])], [f.tensor((3,), kind="int32")], "ConcatenationOptions")  # fmt: skip
    z = f.op("RESHAPE", [x, both], [f.tensor((1, 8, 5), *q)])
    check(tmp_path, f, [x], [y, z], most=0)


@pytest.mark.parametrize(("kind", "options"), [("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions")])
def test_place_of_the_largest_and_smallest(tmp_path, kind, options):
    f = File()
    x, y = f.tensor((1, 3, 7), 0.05, 3), f.tensor((1, 3), kind="int32")
    f.op(kind, [x, f.constant(2)], [y], options, OutputType=tflite.TensorType.INT32)
    check(tmp_path, f, [x], [y], most=0)


def test_another_quantisation(tmp_path):
    f = File()
    x, y = f.tensor((1, 40), 0.05, 3), f.tensor((1, 40), 0.08, -20)
    f.op("QUANTIZE", [x], [y])
    check(tmp_path, f, [x], [y])


def test_product_of_two_activations(tmp_path):
    f = File()
    a, b, y = f.tensor((1, 2, 4, 6), 0.05, 3), f.tensor((1, 2, 5, 6), 0.04, -9), f.tensor((1, 2, 4, 5), 0.3, 4)
    f.op("BATCH_MATMUL", [a, b], [y], "BatchMatMulOptions", AdjX=False, AdjY=True)
    check(tmp_path, f, [a, b], [y])


@pytest.mark.parametrize("network", tflite_networks.NETWORKS)
@pytest.mark.parametrize("board", ["host", "qemu_microbit", "qemu_mps2_an386", "qemu_mps3_an547", "qemu_riscv32_virt"])
def test_every_board_gives_the_bytes_of_tensorflow_lite_micro(tmp_path, board, network):
    path = tmp_path / "m.tflite"
    tflite_networks.write(path, network, RNG)
    graph = pipeline.read_graph(path, floats=False, arithmetic="tflite")
    raw = vectors.seeded(graph)
    expected = verify.expected_outputs(graph, raw)
    found = witness_tflite.compare(path, graph, raw, expected)
    assert (found["equal_fraction"], found["max_layer_difference"]) == (1.0, 0)
    assert verify.verify_board(pipeline.compile_model(path, board, graph=graph), raw, expected).mismatches == 0
    assert all(len(np.unique(values)) > 20 for values in expected.values())


def test_every_operator_is_tried():
    """By its name, in a function of this file or in a network."""
    sources = [Path(path).read_text() for path in (__file__, tflite_networks.__file__)]
    tried = {n.value for text in sources for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
    assert set(OPERATORS) <= tried
