"""Concatenation in integers: axes in front of the batch, constant parts. In float32: tests/codegen/test_float_layers.py."""

import numpy as np
import onnx
import pytest
from one_operator import RNG, Build, check, in_front
from onnx import TensorProto, helper

from lamella.codegen import import_onnx, stream
from lamella.errors import UnsupportedError


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_parts_are_joined_along_any_axis_where_steps_lie_in_front(tmp_path, axis):
    b = Build()
    y = b.node("Concat", [in_front(b), in_front(b)], axis=axis)
    sizes = [5, 1, 4]
    sizes[axis] *= 2
    y = b.node("Reshape", [b.quantized(y, 0.06), b.constant([1, int(np.prod(sizes))], np.int64)])
    check(tmp_path, b.model(y))


def test_parts_are_joined_along_a_new_first_axis(tmp_path):
    """The last states of two directions: (1, 1, 4) each, (2, 1, 4) together."""
    b = Build()
    y = b.quantized(b.node("Concat", [b.input((1, 1, 4)), b.input((1, 1, 4), scale=0.03)], axis=0), 0.06)
    check(tmp_path, b.model(b.node("Transpose", [y], perm=[1, 0, 2])))


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("quantised", [False, True])
def test_parts_may_be_constant(tmp_path, where, quantised):
    """A transformer's class token, coordinates as channels, zeros in front of a convolution."""
    b = Build()
    token = b.constant(RNG.normal(size=(1, 2, 4)))
    parts = [b.input((1, 3, 4)), b.input((1, 1, 4), scale=0.03)]
    parts.insert(where, b.quantized(token, 0.02, 100) if quantised else token)
    check(tmp_path, b.model(b.quantized(b.node("Concat", parts, axis=1), 0.02, 110)))


def test_constant_parts_are_copied_where_others_are_made_in_place(tmp_path):
    """All parts have the result's scale and begin where words do: without a constant nothing would be copied."""
    b = Build()
    parts = [b.quantized(b.node("Neg", [b.input((1, 4, 4))])), b.quantized(b.node("Abs", [b.input((1, 4, 4))]))]
    parts.insert(1, b.constant(RNG.normal(size=(1, 4, 4))))
    y = b.quantized(b.node("Concat", parts, axis=1))
    check(
        tmp_path, b.model(b.quantized(b.node("Sigmoid", [y]), 1 / 256, 0)), layers=["table", "table", "concat", "table"]
    )


def test_constant_channels_are_no_part_of_a_strip(tmp_path):
    """Coordinates: layers may run by strips of rows, but constants are stored whole."""
    b = Build()
    x = b.quantized(b.node("Conv", [b.input((1, 2, 8, 8)), b.weights((4, 2, 3, 3))], pads=[1] * 4), 0.1)
    y = b.quantized(b.node("Concat", [x, b.constant(RNG.normal(size=(1, 2, 8, 8)))], axis=1), 0.1)
    graph = check(tmp_path, b.model(y), layers=["conv2d", "concat"])
    assert [stream.reading(graph, node) is None for node in graph.nodes] == [False, True]


def test_parts_may_be_constant_where_steps_lie_in_front(tmp_path):
    b = Build()
    y = b.node("Concat", [b.constant(RNG.normal(size=(2, 1, 4))), in_front(b)], axis=0)
    y = b.node("Relu", [y])
    check(tmp_path, b.model(b.node("Transpose", [b.quantized(y, 0.03, 30)], perm=[1, 0, 2])))


@pytest.mark.parametrize("shape", [(1, 0, 4), (1, 2, 5), (2, 4)])
def test_constant_parts_that_do_not_fit_are_refused(tmp_path, shape):
    b = Build()
    y = b.node("Concat", [b.input((1, 3, 4)), b.constant(np.ones(shape))], axis=1)
    model, path = b.model(b.quantized(y)), tmp_path / "m.onnx"
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.FLOAT, (1, 5, 4))
    )
    onnx.save(model, path)
    for floats in (False, True):
        with pytest.raises(UnsupportedError, match="Concat.*shapes"):
            import_onnx.read(path, floats=floats)
