"""Layers in float32: what does not fit together is refused by name, before anything of an absurd size is computed."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lamella.codegen import import_onnx, reference
from lamella.codegen.kernels.float_shape import inside
from lamella.codegen.operators.windows import Window
from lamella.errors import UnsupportedError, UsageError


def read(tmp_path, op, weights, y_shape, bias=None, **attributes):
    """A graph of one float node on an image (1, 4, 6, 6)."""
    inits = [
        numpy_helper.from_array(a.astype(np.float32), n) for a, n in ((weights, "w"), (bias, "b")) if a is not None
    ]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *(i.name for i in inits)], ["y"], name="it", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 6, 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)],
        inits,
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return import_onnx.read(path)


W = np.ones((4, 4, 3, 3))


@pytest.mark.parametrize(("op", "weights", "bias", "attributes"), [
    ("MaxPool", None, None, {"kernel_shape": [2, 2, 2]}),
    ("MaxPool", None, None, {"kernel_shape": [2, 2**31 - 1]}),
    ("AveragePool", None, None, {"kernel_shape": [2, 2], "strides": [1]}),
    ("AveragePool", None, None, {"kernel_shape": [2, 2], "pads": [1, 1]}),
    ("MaxPool", None, None, {"kernel_shape": [2, 2], "strides": [0, 1]}),
    ("Conv", W, np.ones(3), {}),
    ("Conv", W, None, {"group": 0}),
    ("Conv", W, None, {"dilations": [1, 2**31]}),
    ("Conv", np.ones((4, 4, 3)), None, {}),
    ("ConvTranspose", W, np.ones(3), {}),
    ("ConvTranspose", W, None, {"group": 3}),
    ("ConvTranspose", W, None, {"strides": [2]}),
    ("ConvTranspose", W, None, {"output_padding": [1, 1, 1]}),
    ("ConvTranspose", W, None, {"output_shape": [7]}),
    ("ConvTranspose", W, None, {"pads": [9, 9, 9, 9]}),
    ("ConvTranspose", np.ones((4, 4, 3)), None, {}),
])  # fmt: skip
def test_attributes_that_do_not_fit_are_refused_by_name(tmp_path, op, weights, bias, attributes):
    with pytest.raises(UnsupportedError, match="'it'"):
        read(tmp_path, op, weights, (1, 4, 6, 6), bias, **attributes)


def test_places_that_windows_read_are_those_counted_one_by_one():
    rng = np.random.default_rng(5)
    for _ in range(200):
        kernel, stride, dilation, size, out = (tuple(map(int, rng.integers(1, 7, 2))) for _ in range(5))
        window = Window(kernel, stride, dilation, tuple(map(int, rng.integers(0, 6, 4))))
        counts = [
            sum(
                0 <= i * stride[k] + t * dilation[k] - window.pads[k] < size[k]
                for i in range(out[k])
                for t in range(kernel[k])
            )
            for k in (0, 1)
        ]
        assert inside(window, size, out) == counts[0] * counts[1]


@pytest.mark.parametrize("where", ["graph", "node", "input", "inside"])
def test_a_name_that_is_no_text_is_refused(tmp_path, where):
    """Protobuf hands over a string that is not UTF-8 as bytes."""
    name = "abcdefgh"
    inner = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"], name=name if where == "inside" else "r")], "body", [], []
    )
    node = helper.make_node("If", ["x"], ["y"], name=name if where == "node" else "n", then_branch=inner)
    node.input[0] = name if where == "input" else "x"
    graph = helper.make_graph([node], name if where == "graph" else "g", [], [])
    data = helper.make_model(graph).SerializeToString()
    assert data.count(name.encode()) == 1
    path = tmp_path / "model.onnx"
    path.write_bytes(data.replace(name.encode(), b"abc\xffdefg"))
    with pytest.raises(UsageError, match="UTF-8"):
        import_onnx.read(path)


@pytest.mark.parametrize(("mode", "sizes"), [("nearest", (1, 2**20, 6, 6)), ("cubic", (1, 4, 6, 2**17))])
def test_an_image_of_absurd_size_is_refused_before_it_is_made(tmp_path, mode, sizes):
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="it", mode=mode)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 6, 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(np.array(sizes, np.int64), "sizes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="'it'"):
        import_onnx.read(tmp_path / "m.onnx")


@pytest.mark.parametrize("groups", [3, 0, -2, 8])
def test_groups_that_do_not_divide_the_channels_are_refused(tmp_path, groups):
    shapes = {"x": (1, 4, 6, 6), "y": (1, 4, 6, 6)}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    inits = [numpy_helper.from_array(np.ones(4, np.float32), name) for name in ("scale", "bias")]
    node = helper.make_node("GroupNormalization", ["x", "scale", "bias"], ["y"], name="it", num_groups=groups)
    graph = helper.make_graph([node], "g", [x], [y], inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=f"'it'.*num_groups = {groups}"):
        import_onnx.read(tmp_path / "m.onnx")


def test_a_model_without_an_output_is_refused(tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="no output"):
        import_onnx.read(tmp_path / "m.onnx")


def of_dequantised_constant(tmp_path, op, inputs, shape):
    """y = x + op(w), w of ten integers behind DequantizeLinear."""
    inits = [numpy_helper.from_array(np.arange(-5, 5, dtype=np.int8), "levels")]
    inits += [
        numpy_helper.from_array(np.array(v, k), n) for n, v, k in (("scale", 0.25, np.float32), ("zero", 1, np.int8))
    ]
    inits += [numpy_helper.from_array(np.array(v, np.int64), f"c{k}") for k, v in enumerate(inputs)]
    nodes = [
        helper.make_node("DequantizeLinear", ["levels", "scale", "zero"], ["w"], name="dequantize"),
        helper.make_node(op, ["w", *(f"c{k}" for k in range(len(inputs)))], ["moved"], name="moved"),
        helper.make_node("Add", ["x", "moved"], ["y"], name="sum"),
    ]
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)] for n in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", *ports, inits), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("op", "inputs", "levels"), [
    ("Slice", ([7], [2], [0], [-2]), (1, -1, -3)), ("Pad", ([2, 0],), (0, 0, *range(-6, 4))), ("Gather", ([9, 0],), (3, -6))])  # fmt: skip
def test_a_constant_that_moves_stays_one(tmp_path, op, inputs, levels):
    """Slices of a dequantised bias, as in a loop's body, were a layer without inputs."""
    graph = import_onnx.read(of_dequantised_constant(tmp_path, op, inputs, (1, len(levels))))
    assert [node.op for node in graph.nodes] == ["float_binary"]
    x = np.linspace(-1, 1, len(levels), dtype=np.float32)[None]
    found = reference.run(graph, {"x": x})["y"]
    assert np.array_equal(found, x + np.float32(0.25) * np.array(levels, np.float32))


def test_a_layer_of_constants_alone_is_refused(tmp_path):
    path = of_dequantised_constant(tmp_path, "ReduceMax", ([0],), (1, 1))
    with pytest.raises(UnsupportedError, match="moved.*constant"):
        import_onnx.read(path)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("first", [False, True])
def test_constant_parts_of_a_concatenation(tmp_path, axis, first):
    """Behind a Transpose the steps lie where the batch was; all parts have that form then, or none."""
    rng, shape = np.random.default_rng(axis), [5, 1, 4]
    shape[axis] = 2
    part = rng.normal(size=shape).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("Concat", ["c", "t"] if first else ["t", "c"], ["joined"], name="it", axis=axis),
        helper.make_node("Reshape", ["joined", "flat"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 5, 4)), ("y", (1, None)))]
    inits = [numpy_helper.from_array(part, "c"), numpy_helper.from_array(np.int64([1, -1]), "flat")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    x = rng.normal(size=(3, 5, 4)).astype(np.float32)
    found = reference.run(import_onnx.read(tmp_path / "m.onnx"), {"x": x})["y"]
    for k in range(3):
        turned = x[k : k + 1].transpose(1, 0, 2)
        wanted = np.concatenate([part, turned] if first else [turned, part], axis)
        assert np.array_equal(found[k], wanted.reshape(-1))
