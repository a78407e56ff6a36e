"""TFLite files that are not what TensorFlow Lite Micro takes: what is refused, how, and what is computed while reading."""

import flatbuffers
import numpy as np
import pytest
import tflite
from tflite_file import File

from lamella.codegen import import_onnx, reference
from lamella.errors import UnsupportedError

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID


def test_constants_of_more_than_8_bits_are_added_in_our_arithmetic(tmp_path):
    """There is no such sum in TensorFlow Lite Micro, and 20 bits more would leave 32."""
    f = File()
    x, y = f.tensor((1, 64), 0.02, 3), f.tensor((1, 64), 0.05, -20)
    f.op("ADD", [x, f.constant(np.arange(64) * 80, "int32", 0.001)], [y], "AddOptions")
    f.write(tmp_path / "m.tflite", [x], [y])
    graph = import_onnx.read(tmp_path / "m.tflite", floats=False, arithmetic="tflite")
    assert "add_as_tflite" not in {node.op for node in graph.nodes}
    values = np.random.default_rng(1).integers(-128, 128, (5, 64)).astype(np.int8)
    real = 0.02 * (values.astype(float) - 3) + np.arange(64) * 0.08
    found = reference.run(graph, {f"t{x}": values})[f"t{y}"]
    assert np.abs(found - np.clip(np.round(real / 0.05) - 20, -128, 127)).max() <= 1


def test_sums_of_scales_that_do_not_fit_are_refused(tmp_path):
    f = File()
    a, b, y = f.tensor((1, 4), 1e4, 0), f.tensor((1, 4), 1e4, 0), f.tensor((1, 4), 1e-3, 0)
    f.op("ADD", [a, b], [y], "AddOptions")
    f.write(tmp_path / "m.tflite", [a, b], [y])
    with pytest.raises(UnsupportedError, match="add_0.*scale"):
        import_onnx.read(tmp_path / "m.tflite", floats=False, arithmetic="tflite")


def test_shapes_that_are_computed_have_their_values(tmp_path):
    """Where TensorFlow Lite Micro wants constants."""
    f, q = File(), (0.05, 3)
    x = f.tensor((1, 4, 6), *q)

    def integers(kind, inputs, n, options="", **fields):
        return f.op(kind, inputs, [f.tensor(() if n is None else (n,), kind="int32")], options, **fields)

    shape = integers("SHAPE", [x], 3, "ShapeOptions", OutType=tflite.TensorType.INT32)
    last = [f.constant([-1]), f.constant([0]), f.constant([1])]
    six = integers("STRIDED_SLICE", [shape, *last], None, "StridedSliceOptions", ShrinkAxisMask=1)
    rest = [f.constant([1]), f.constant([0]), f.constant([1])]
    sides = integers("STRIDED_SLICE", [shape, *rest], 2, "StridedSliceOptions", EndMask=1)
    twelve = integers("MUL", [six, f.constant(2)], None, "MulOptions")
    five = integers(
        "SUB", [integers("ADD", [six, f.constant(1)], None, "AddOptions"), f.constant(2)], None, "SubOptions"
    )
    three = integers("GATHER", [f.constant([9, 8, 7, 6, 5, 3]), five], None, "GatherOptions")
    one = integers("CAST", [integers("SQUEEZE", [f.constant([1])], None)], None)
    begin = integers("PACK", [f.constant(0), one, f.constant(2)], 3, "PackOptions", ValuesCount=3)
    size = integers("PACK", [one, three, f.constant(-1)], 3, "PackOptions", ValuesCount=3)
    y = f.op("SLICE", [x, begin, size], [f.tensor((1, 3, 4), *q)], "SliceOptions")
    whole = integers("REDUCE_PROD", [sides, f.constant([0])], None, "ReducerOptions")
    parts = [integers("EXPAND_DIMS", [n, f.constant(0)], 1, "ExpandDimsOptions") for n in (one, one, twelve, whole)]
    wanted = integers("CONCATENATION", parts, 4, "ConcatenationOptions")
    flat = f.op("RESHAPE", [x, f.constant([1, 1, 1, 24])], [f.tensor((1, 1, 1, 24), *q)])
    z = f.op("BROADCAST_TO", [flat, wanted], [f.tensor((1, 1, 12, 24), *q)], "BroadcastToOptions")
    f.write(tmp_path / "m.tflite", [x], [y, z])
    graph = import_onnx.read(tmp_path / "m.tflite", floats=False)
    values = np.random.default_rng(3).integers(-128, 128, (2, 4, 6)).astype(np.int8)
    found = reference.run(graph, {f"t{x}": values})
    assert np.array_equal(found[f"t{y}"], values[:, 1:4, 2:])
    assert np.array_equal(found[f"t{z}"], np.broadcast_to(values.reshape(2, 1, 1, 24), (2, 1, 12, 24)))


def test_large_constants_are_no_shapes(tmp_path):
    """Of a file that is not what it says, nothing of an absurd size is computed."""
    f = File()
    x, shape = f.tensor((1, 4), 0.05, 0), f.tensor((2,), kind="int32")
    f.op("ADD", [f.constant(np.ones((5000, 1))), f.constant(np.ones((1, 5000)))], [shape], "AddOptions")
    y = f.op("RESHAPE", [x, shape], [f.tensor((2, 2), 0.05, 0)])
    f.write(tmp_path / "m.tflite", [x], [y])
    with pytest.raises(UnsupportedError, match="add_0.*0 scales"):
        import_onnx.read(tmp_path / "m.tflite")


def test_all_that_is_not_supported_is_named_at_once(tmp_path):
    f = File()
    x, y, z = (f.tensor((1, 4), 0.05, 3) for _ in range(3))
    f.op("CUMSUM", [x, f.constant(1)], [y])
    f.op("ZEROS_LIKE", [x], [z])
    path = tmp_path / "m.tflite"
    f.write(path, [x], [y, z])
    with pytest.raises(UnsupportedError) as caught:
        import_onnx.read(path)
    assert [line.split("(")[1].split(")")[0] for line in str(caught.value).splitlines()] == ["CUMSUM", "ZEROS_LIKE"]


def test_an_output_that_is_no_activation_is_refused(tmp_path):
    f = File()
    x, y = f.tensor((1, 4), 0.05, 3), f.tensor((1, 4), 0.05, 3)
    f.op("RELU", [x], [y])
    f.write(tmp_path / "m.tflite", [x], [y, f.constant(np.ones((4, 2)), "int8", np.full(4, 0.01), 0)])
    with pytest.raises(UnsupportedError, match="t2.*4 scales"):
        import_onnx.read(tmp_path / "m.tflite")


def test_names_without_end_are_cut(tmp_path, monkeypatch):
    f = File()
    x, y = f.tensor((1, 4), 0.05, 3), f.tensor((1, 1 << 30), 0.05, 3)
    f.op("RELU", [x], [y])
    create = flatbuffers.Builder.CreateString
    monkeypatch.setattr(
        flatbuffers.Builder, "CreateString", lambda b, text: create(b, text * (60_000 if text == "t1" else 1))
    )
    f.write(tmp_path / "m.tflite", [x], [y])
    with pytest.raises(UnsupportedError, match="has shape") as caught:
        import_onnx.read(tmp_path / "m.tflite")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "TRANSPOSE_CONV"])
def test_strides_of_zero_are_refused(tmp_path, kind, padding):
    f = File()
    x, y = f.tensor((1, 4, 4, 3), 0.05, 3), f.tensor((1, 4, 4, 3), 0.05, 3)
    options = {"Padding": padding, "StrideH": 0, "StrideW": 0}
    if kind == "MAX_POOL_2D":
        f.op(kind, [x], [y], "Pool2DOptions", FilterHeight=2, FilterWidth=2, **options)
    else:
        inputs = [f.constant([1, 4, 4, 3]), f.constant(np.ones((3, 3, 3, 3)), "int8", 0.01), x]
        f.op(kind, inputs, [y], "TransposeConvOptions", **options)
    f.write(tmp_path / "m.tflite", [x], [y])
    with pytest.raises(UnsupportedError, match=kind if padding == SAME and kind == "MAX_POOL_2D" else "stride"):
        import_onnx.read(tmp_path / "m.tflite")
