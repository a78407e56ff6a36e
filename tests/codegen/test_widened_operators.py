"""Single nodes of ONNX in all their forms, against onnxruntime: at most one level apart. The kernels behind them are
tested by test_operators.py, whole networks in C by test_exports.py."""

import itertools

import numpy as np
import onnx
import pytest
from one_operator import RNG, Build, check, f32, in_front, one
from onnx import TensorProto, helper

from lamella.codegen import import_onnx
from lamella.errors import UnsupportedError


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("shapes", [((1, 4, 3, 5), (1, 4, 1, 1)), ((1, 4, 1, 1), (1, 4, 3, 5)), ((1, 6, 1), (1, 1, 7)),
                                    ((1, 3, 1, 2, 1), (1, 1, 4, 1, 5)), ((1, 5), (1, 1)), ((1, 2, 3), (1, 2, 3))])  # fmt: skip
def test_two_activations_broadcast(tmp_path, op, shapes):
    b = Build()
    y = b.node(op, [b.input(shapes[0]), b.input(shapes[1], scale=0.03, zero=99)])
    check(tmp_path, b.model(b.quantized(y, 0.1, 128)))


@pytest.mark.parametrize(("op", "first"), [("Add", False), ("Add", True), ("Sub", False), ("Sub", True), ("Mul", False),
                                           ("Mul", True), ("Div", False)])  # fmt: skip
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 3, 5), (5,), (3, 1), (1,), (1, 1, 3, 5)])
@pytest.mark.parametrize("integers", [False, True])
def test_constants_broadcast(tmp_path, op, first, shape, integers):
    b = Build()
    x = b.input((1, 4, 3, 5))
    if integers:
        parts = [b.constant(RNG.integers(30, 100, shape), np.int8), b.constant(0.05), b.constant(0, np.int8)]
        c = b.node("DequantizeLinear", parts)
    else:
        c = b.constant(np.copysign(np.abs(f32(*shape)) + 0.5, f32(*shape)))
    y = b.node(op, [c, x] if first else [x, c])
    check(tmp_path, b.model(b.quantized(y, 0.2, 128)))


def test_constants_may_be_larger_than_the_activation(tmp_path):
    graph = one(tmp_path, "Mul", (1, 4, 1), [f32(1, 1, 6)], layers=["expand", "conv2d"], scale=0.2)
    assert graph.tensor_of(graph.outputs[0]).shape == (1, 4, 6)


@pytest.mark.parametrize("perm", [(0, *p) for p in itertools.permutations((1, 2, 3, 4))])
def test_axes_in_any_order(tmp_path, perm):
    one(tmp_path, "Transpose", (1, 2, 3, 4, 5), perm=perm, most=0)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(tmp_path, mode):
    one(tmp_path, "DepthToSpace", (1, 8, 3, 2), blocksize=2, mode=mode, most=0)
    one(tmp_path, "SpaceToDepth", (1, 3, 4, 6), blocksize=2, most=0)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax"])
@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (2, 3), (1, 2), (1, 2, 3), (-1,)])
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions_over_axes_side_by_side(tmp_path, op, axes, keep):
    one(tmp_path, op, (1, 4, 3, 5), [np.array(axes, np.int64)], keepdims=keep)
    one(tmp_path, op, (1, 4, 3, 5), axes=axes, keepdims=keep, opset=13)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceSum"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 4, 3, 5), (1, 3)), ((1, 2, 3, 2, 4, 3), (1, 3, 5)), ((1, 4, 1, 5), (1, 3))]
)
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions_over_axes_that_are_apart(tmp_path, op, shape, axes, keep):
    one(tmp_path, op, shape, [np.array(axes, np.int64)], keepdims=keep)


def test_reductions_over_the_batch_and_over_too_many_values_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="ReduceMean_n2.*behind the batch"):
        one(tmp_path, "ReduceMean", (1, 4, 3, 5), [np.array([0, 3], np.int64)])
    with pytest.raises(UnsupportedError, match="ReduceMean_n2.*mean or sum of 4,202,500 values"):
        one(tmp_path, "ReduceMean", (1, 1, 2050, 2050), [np.array([2, 3], np.int64)])
    with pytest.raises(UnsupportedError, match="GlobalAveragePool_n2.*mean or sum of 4,202,500 values"):
        one(tmp_path, "GlobalAveragePool", (1, 1, 2050, 2050))


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize(("mode", "way"), [
    ("nearest", "asymmetric"), ("nearest", "half_pixel"), ("linear", "half_pixel"), ("linear", "asymmetric"),
    ("linear", "align_corners"), ("linear", "pytorch_half_pixel")])  # fmt: skip
def test_resize_by_whole_factors(tmp_path, factor, mode, way):
    extra = {"nearest_mode": "floor" if way == "asymmetric" else "round_prefer_floor"} if mode == "nearest" else {}
    b = Build()
    scales = b.constant([1, 1, factor, 2], np.float32)
    y = b.node("Resize", [b.input((1, 3, 4, 5)), "", scales], mode=mode, coordinate_transformation_mode=way, **extra)
    check(tmp_path, b.model(b.quantized(y, 0.05, 120)))


@pytest.mark.parametrize("sizes", [(7, 9), (3, 2), (1, 1), (4, 5)])
def test_resize_linear_to_any_size(tmp_path, sizes):
    b = Build()
    wanted = b.constant([1, 3, *sizes], np.int64)
    y = b.node("Resize", [b.input((1, 3, 4, 5)), "", "", wanted], mode="linear")
    check(tmp_path, b.model(b.quantized(y, 0.04, 110)))


@pytest.mark.parametrize("sizes", [(7, 9), (3, 2), (1, 1), (4, 5)])
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("way", ["half_pixel", "asymmetric", "align_corners"])
def test_resize_nearest_to_any_size(tmp_path, sizes, rounding, way):
    b = Build()
    wanted = b.constant([1, 3, *sizes], np.int64)
    attributes = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": way}
    y = b.node("Resize", [b.input((1, 3, 4, 5)), "", "", wanted], **attributes)
    check(tmp_path, b.model(b.quantized(y, 0.05, 120)), most=0)


@pytest.mark.parametrize(("kernel", "stride", "pad", "more", "group"), [
    (2, 2, 0, 0, 1), (3, 2, 1, 1, 1), (3, 2, 1, 0, 1), (4, 2, 1, 0, 1), (3, 1, 1, 0, 1), (3, 3, 0, 0, 1), (5, 2, 2, 1, 1),
    (2, 3, 0, 0, 1), (4, 4, 0, 0, 1), (3, 2, 0, 0, 1), (4, 2, 1, 0, 3), (5, 3, 1, 2, 1)])  # fmt: skip
def test_transposed_convolution(tmp_path, kernel, stride, pad, more, group):
    b = Build()
    x = b.input((1, 6, 4, 3))
    parts = [b.constant(RNG.integers(-127, 128, (6, 2, kernel, kernel)), np.int8)]
    per_channel = group == 1
    parts += [
        b.constant(RNG.uniform(0.002, 0.01, 2 if per_channel else ())),
        b.constant([0] * 2 if per_channel else 0, np.int8),
    ]
    w = b.node("DequantizeLinear", parts, axis=1)
    y = b.node("ConvTranspose", [x, w, b.constant(f32(2 * group))], kernel_shape=[kernel] * 2, strides=[stride] * 2,
               pads=[pad] * 4, output_padding=[more] * 2, group=group)  # fmt: skip
    graph = check(tmp_path, b.model(b.quantized(y, 0.3, 128)))
    side = [(n - 1) * stride + kernel - 2 * pad + more for n in (4, 3)]
    assert graph.tensor_of(graph.outputs[0]).shape == (1, 2 * group, *side)


def test_transposed_convolution_of_a_sequence(tmp_path):
    b = Build()
    y = b.node("ConvTranspose", [b.input((1, 3, 6)), b.weights((3, 4, 4), axis=1)], strides=[2], pads=[1, 1])
    check(tmp_path, b.model(b.quantized(y, 0.1, 128)))


@pytest.mark.parametrize("shapes", [((1, 2, 4, 8), (1, 2, 8, 5)), ((1, 4, 8), (1, 8, 3)), ((1, 2, 4, 8), (1, 1, 8, 5))])
def test_product_of_two_activations(tmp_path, shapes):
    b = Build()
    y = b.node("MatMul", [b.input(shapes[0]), b.input(shapes[1], scale=0.04, zero=140, kind=np.uint8)])
    check(tmp_path, b.model(b.quantized(y, 0.6, 128)))


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("plain", [False, True])
def test_layer_normalization(tmp_path, axis, plain):
    shape = (1, 3, 4, 6)
    parts = [np.ones(shape[axis:], np.float32)] if plain else [f32(*shape[axis:]), f32(*shape[axis:])]
    one(tmp_path, "LayerNormalization", shape, parts, axis=axis, scale=0.04, zero=128)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize(("keep", "last"), [(0, 0), (1, 1)])
def test_place_of_the_largest_is_an_integer_output(tmp_path, op, axis, keep, last):
    b = Build()
    y = b.node(op, [b.input((1, 4, 2, 7))], axis=axis, keepdims=keep, select_last_index=last)
    graph = check(tmp_path, b.model(y, kinds=[TensorProto.INT64]), most=0)
    assert graph.outputs[0].dtype == "uint8"
    b.nodes.append(helper.make_node("Cast", [y], ["small"], to=TensorProto.INT32))
    check(tmp_path, b.model("small", kinds=[TensorProto.INT32]), most=0)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_softmax_along_any_axis(tmp_path, axis):
    one(tmp_path, "Softmax", (1, 5, 3, 4), axis=axis, scale=1 / 256, zero=0)


def test_batch_normalization_alone_and_behind_a_convolution(tmp_path):
    statistics = [f32(4), f32(4), f32(4), RNG.uniform(0.5, 2, 4).astype(np.float32)]
    one(tmp_path, "BatchNormalization", (1, 4, 5, 5), statistics, scale=0.2, zero=128, layers=["conv2d"])
    b = Build()
    y = b.node("Conv", [b.input((1, 3, 5, 5)), b.weights((4, 3, 3, 3)), b.constant(f32(4))])
    y = b.node("Relu", [b.node("BatchNormalization", [y, *(b.constant(s) for s in statistics)])])
    check(tmp_path, b.model(b.quantized(y, 0.2, 10)), layers=["conv2d"])


def test_slopes_for_each_channel(tmp_path):
    one(
        tmp_path,
        "PRelu",
        (1, 4, 3, 5),
        [np.array([0.1, -0.4, 1.7, 0.0], np.float32).reshape(4, 1, 1)],
        scale=0.08,
        layers=["prelu"],
    )
    one(
        tmp_path,
        "PRelu",
        (1, 4, 3, 5),
        [np.array([0.1, -0.4, 1.7, 0.0, 2.0], np.float32)],
        scale=0.08,
        layers=["prelu"],
    )
    one(tmp_path, "PRelu", (1, 4, 3, 5), [np.array([0.25], np.float32)], layers=["table"])
    with pytest.raises(UnsupportedError, match="PRelu_n2.*more than 65535 constants"):
        one(tmp_path, "PRelu", (1, 2, 40, 1000), [np.arange(2000, dtype=np.float32).reshape(2, 1, 1000)])


@pytest.mark.parametrize(("op", "inputs"), [("Expand", [np.array([1, 4, 3, 6], np.int64)]),
                                            ("Tile", [np.array([1, 4, 1, 6], np.int64)])])  # fmt: skip
def test_repetition(tmp_path, op, inputs):
    one(tmp_path, op, (1, 1, 3, 1), inputs, most=0, layers=["expand"])


def hard_swish(b, x):
    inner = b.node("Clip", [b.node("Add", [x, b.constant(3)]), b.constant(0), b.constant(6)])
    return b.node("Div", [b.node("Mul", [x, inner]), b.constant(6)])


def gelu(b, x):
    inner = b.node("Erf", [b.node("Div", [x, b.constant(2**0.5)])])
    return b.node("Mul", [b.node("Mul", [x, b.node("Add", [inner, b.constant(1)])]), b.constant(0.5)])


def swish(b, x):
    return b.node("Mul", [x, b.node("Sigmoid", [x])])


def clipped_square(b, x):
    return b.node(
        "Max", [b.node("Min", [b.node("Pow", [b.node("Relu", [x]), b.constant(2)]), b.constant(3)]), b.constant(1)]
    )


@pytest.mark.parametrize("formula", [hard_swish, gelu, swish, clipped_square])
def test_formula_of_one_value_is_one_table(tmp_path, formula):
    b = Build()
    y = formula(b, b.input((1, 300)))
    check(tmp_path, b.model(b.quantized(y, 0.04, 10)), layers=["table"])


def test_formula_of_two_activations_is_refused(tmp_path):
    b = Build()
    x, z = b.input((1, 8)), b.input((1, 8))
    y = b.node("Mul", [z, b.node("Sigmoid", [x])])
    with pytest.raises(UnsupportedError, match="Mul.*quantise both"):
        check(tmp_path, b.model(b.quantized(y)))


def test_rows_may_be_merged_around_a_gemm(tmp_path):
    """What exporters write for a linear layer over a sequence."""
    b = Build()
    x = b.node("Reshape", [b.input((1, 6, 8)), b.constant([-1, 8], np.int64)])
    y = b.quantized(b.node("Gemm", [x, b.weights((5, 8)), b.constant(f32(5))], transB=1), 0.1, 128)
    y = b.node("Reshape", [b.node("Relu", [y]), b.constant([1, 6, 5], np.int64)])
    check(tmp_path, b.model(b.quantized(y, 0.1, 128)))


def test_all_that_is_not_supported_is_named_at_once(tmp_path):
    b = Build()
    x = b.input((1, 4, 6, 6))
    y = b.quantized(b.node("Sinh", [x]))
    y = b.quantized(b.node("Conv", [y, b.weights((4, 4, 3, 3))], auto_pad="SAME_UPPER"))
    y = b.quantized(b.node("ReduceMean", [y, b.constant([0, 3], np.int64)]))
    y = b.quantized(b.node("LpPool", [x], kernel_shape=[2, 2]))
    path = tmp_path / "m.onnx"
    onnx.save(b.model(y), path)
    with pytest.raises(UnsupportedError) as caught:
        import_onnx.read(path, floats=False)
    lines = str(caught.value).splitlines()
    assert [word for line in lines for word in ("Sinh", "ReduceMean", "LpPool") if f"({word})" in line] == [
        "Sinh", "ReduceMean", "LpPool",
    ]  # fmt: skip
    assert all(str(path) in line for line in lines)


@pytest.mark.parametrize("perm", [[1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
def test_an_axis_may_lie_in_front_of_the_batch(tmp_path, perm):
    b = Build()
    y = b.node("Transpose", [in_front(b)], perm=perm)
    if perm[0] != 1:
        y = b.node("Reshape", [y, b.constant([1, 20], np.int64)])
    check(tmp_path, b.model(b.quantized(y)))


@pytest.mark.parametrize("index", [0, 2, -1])
@pytest.mark.parametrize("axis", [0, 2])
def test_one_place_is_taken_where_steps_lie_in_front(tmp_path, axis, index):
    b = Build()
    y = b.node("Gather", [in_front(b), b.constant(index, np.int64)], axis=axis)
    y = y if axis == 0 else b.node("Transpose", [y], perm=[1, 0])
    check(tmp_path, b.model(b.quantized(y)))


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), [
    ((0,), (9,), (2,), (2,)), ((1,), (9,), (2,), (2,)), ((1, 0), (6, 99), (2, 3), (2, 3)), ((1, -3, 2), (3, 9, 5), (1, 2, 3), (1, 1, 1)),
    ((0, 1), (4, 6), (1, -1), (2, 3)), ((2,), (5,), (3,), (3,)), ((0, 0), (9, 9), (2, 3), (1, 1))])  # fmt: skip
def test_slices_of_several_axes_and_with_steps(tmp_path, starts, ends, axes, steps):
    constants = [np.array(v, np.int64) for v in (starts, ends, axes, steps)]
    one(tmp_path, "Slice", (1, 4, 6, 6), constants, most=0)


def test_steps_that_do_not_fit_are_refused(tmp_path):
    for start, end, step, size, why in (
        (0, 5, 2, 5, "3 steps of 2"),
        (4, 0, -1, 5, "steps of -1"),
        (3, 3, 2, 5, "0 steps"),
    ):
        constants = [np.array([v], np.int64) for v in (start, end, 2, step)]
        with pytest.raises(UnsupportedError, match=f"Slice_n2.*{why}"):
            one(tmp_path, "Slice", (1, 4, size), constants)


@pytest.mark.parametrize(("shape", "pads"), [
    ((1, 3, 4, 5), (0, 1, 0, 2, 0, 2, 1, 0)), ((1, 6), (0, 1, 0, 2)), ((1, 3, 4), (0, 2, 1, 0, 0, 0)),
    ((1, 2, 3, 2, 4), (0, 1, 0, 1, 2, 0, 0, 3, 0, 1)), ((1, 3, 4, 5), (0, 0, 1, 0, 0, 0, 0, 2)),
    ((1, 3, 4, 5), (0,) * 8)])  # fmt: skip
def test_padding_of_any_axis(tmp_path, shape, pads):
    one(tmp_path, "Pad", shape, [np.array(pads, np.int64), np.array(0.3, np.float32)], most=0)


def test_padding_of_the_batch_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="Pad_n2.*batch"):
        one(tmp_path, "Pad", (1, 3, 4), [np.array([1, 0, 0, 0, 0, 0])])


@pytest.mark.parametrize("places", [[2, 0], [1, 2, 3], [[3, 3], [-1, 0]], [0, 1, 3, 4]])
@pytest.mark.parametrize("axis", [1, 3, -2])
def test_several_places_are_gathered(tmp_path, places, axis):
    one(tmp_path, "Gather", (1, 5, 6, 7), [np.array(places, np.int64)], axis=axis, most=0)


def test_places_in_too_many_runs_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="Gather_n2.*17 runs"):
        one(tmp_path, "Gather", (1, 40), [np.arange(0, 34, 2)], axis=1)
    with pytest.raises(UnsupportedError, match="Gather_n2.*not all places"):
        one(tmp_path, "Gather", (1, 4), [np.array([1, 5])], axis=1)


@pytest.mark.parametrize("axis", [0, 2])
def test_runs_are_taken_where_steps_lie_in_front(tmp_path, axis):
    b = Build()
    places = [b.constant([v], np.int64) for v in (1, 3, axis)]
    y = b.node("Slice", [in_front(b), *places])
    b.nodes.append(helper.make_node("Split", [y], ["first", "second"], name="halves", axis=axis, num_outputs=2))
    parts = [b.node("Transpose", [part], perm=[1, 0, 2]) for part in ("first", "second")]
    check(tmp_path, b.model(*(b.quantized(part) for part in parts)))
