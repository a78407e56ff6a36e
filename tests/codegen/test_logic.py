"""Comparisons, logic and choices, within a formula of one activation and in float32, against onnxruntime."""

import numpy as np
import onnx
import pytest
from one_operator import Build, one
from one_operator import check as check_integers
from onnx import TensorProto, helper, numpy_helper

from lamella.codegen import import_onnx, reference
from lamella.errors import UnsupportedError

N = helper.make_node
RNG = np.random.default_rng(8)
#: Two inputs x, y of shape (1, 2, 6); among the values equal ones, zeros of both signs, infinities.
VALUES = np.float32([-np.inf, -2.0, -0.5, -0.0, 0.0, 1e-40, 0.5, 0.5000001, 3.0, np.inf])


def model(nodes, kind=TensorProto.FLOAT, **constants):
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 2, 6)) for name in ("x", "y")]
    outputs = [helper.make_tensor_value_info("out", kind, (1, 2, 6))]
    inits = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "logic", inputs, outputs, inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def check(tmp_path, made):
    """What we compute is what onnxruntime computes, to the bit but for the sign of zeros."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    graph = import_onnx.read(path)
    given = {name: RNG.choice(VALUES, (60, 2, 6)) for name in ("x", "y")}
    got = reference.run(graph, given)["out"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for k in range(60):
        (wanted,) = session.run(["out"], {name: values[k : k + 1] for name, values in given.items()})
        np.testing.assert_array_equal(got[k : k + 1], wanted)


@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])
def test_comparisons_choose(tmp_path, op):
    other = N("Neg", ["y"], ["other"])
    check(tmp_path, model([N(op, ["x", "y"], ["c"]), other, N("Where", ["c", "x", "other"], ["out"])]))
    half = np.float32([[[0.5], [0]]])
    check(tmp_path, model([N(op, ["a", "y"], ["c"]), other, N("Where", ["c", "a", "other"], ["out"])], a=half))


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_conditions_are_combined(tmp_path, op):
    nodes = [N("Less", ["x", "half"], ["a"]), N("Greater", ["y", "half"], ["b"]), N(op, ["a", "b"], ["c"])]
    nodes += [N("Not", ["c"], ["d"]), N("Cast", ["d"], ["e"], to=TensorProto.FLOAT), N("Sub", ["e", "half"], ["out"])]
    check(tmp_path, model(nodes, half=np.float32(0.5)))


def test_a_constant_mask(tmp_path):
    mask = RNG.integers(0, 2, (2, 6)).astype(bool)
    check(tmp_path, model([N("Where", ["mask", "x", "low"], ["out"])], mask=mask, low=np.float32(-1e4)))
    nodes = [
        N("Cast", ["x"], ["c"], to=TensorProto.BOOL),
        N("And", ["c", "mask"], ["d"]),
        N("Where", ["d", "x", "y"], ["out"]),
    ]
    check(tmp_path, model(nodes, mask=mask))


def test_what_is_not_chosen_may_be_infinite(tmp_path):
    """torch's softplus: log(1 + exp(x)) up to a threshold, x beyond."""
    nodes = [N("Mul", ["x", "large"], ["a"]), N("Exp", ["a"], ["b"]), N("Greater", ["x", "zero"], ["c"])]
    check(tmp_path, model([*nodes, N("Where", ["c", "x", "b"], ["out"])], large=np.float32(400), zero=np.float32(0)))


@pytest.mark.parametrize(("nodes", "kind", "why"), [
    ([N("Greater", ["x", "y"], ["out"])], TensorProto.BOOL, "output 'out'"),
    ([N("Cast", ["x"], ["out"], to=TensorProto.INT32)], TensorProto.INT32, "cast to element type 6"),
])  # fmt: skip
def test_results_that_are_no_numbers_are_refused(tmp_path, nodes, kind, why):
    onnx.save(model(nodes, kind), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=why):
        import_onnx.read(tmp_path / "m.onnx")


@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])
@pytest.mark.parametrize("first", [False, True])
def test_a_comparison_chooses_within_a_formula(tmp_path, op, first):
    """The threshold is a level: 10 x 0.05 in float32, which in float64 is another number."""
    b = Build()
    x = b.input((1, 40), scale=0.05)
    threshold = b.constant(np.float32(10) * np.float32(0.05))
    condition = b.node(op, [threshold, x] if first else [x, threshold])
    y = b.node("Where", [condition, b.node("Softplus", [x]), b.node("Neg", [x])])
    check_integers(tmp_path, b.model(b.quantized(y, 0.07, 128)), layers=["table"])


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_conditions_are_combined_within_a_formula(tmp_path, op):
    b = Build()
    x = b.input((1, 40))
    both = b.node(op, [b.node("Less", [x, b.constant(1.0)]), b.node("Greater", [b.node("Abs", [x]), b.constant(0.5)])])
    y = b.node("Where", [b.node("Not", [both]), b.constant(-2.0), x])
    check_integers(tmp_path, b.model(b.quantized(y)), layers=["table"])


def test_thresholded_relu_at_its_threshold(tmp_path):
    one(tmp_path, "ThresholdedRelu", (1, 40), alpha=float(np.float32(10) * np.float32(0.05)), layers=["table"], most=0)
