"""Rewrites against what they replace: onnxruntime runs the model as it was, our graph comes from the rewritten one."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lamella import witness
from lamella.codegen import import_onnx, onnx_file, reference, rewrites
from lamella.errors import UnsupportedError

RNG = np.random.default_rng(11)
KINDS = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8}


class Integers:
    """A model from integers to integers: its nodes take and give int8 or uint8 with scale and zero point."""

    def __init__(self, kind=np.uint8):
        self.kind, self.nodes, self.inits, self.inputs = kind, [], [], []
        self.zero = 120 if kind is np.uint8 else 3

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def scale(self, scale, zero=None):
        """Names of a scale and a zero point."""
        return [self.constant(scale), self.constant(self.zero if zero is None else zero, self.kind)]

    def input(self, shape):
        """A quantised input, as what a DequantizeLinear and QuantizeLinear behind it say; its name, scale and zero."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, KINDS[self.kind], shape))
        return [name, *self.scale(0.05)]

    def node(self, op, inputs, domain="", outputs=1, **attributes):
        names = [f"n{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def model(self, output, shape, kind=None):
        y = helper.make_tensor_value_info(output, kind or KINDS[self.kind], shape)
        graph = helper.make_graph(self.nodes, "integers", self.inputs, [y], self.inits)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def raw(self, n=8):
        """Random inputs by name."""
        info = np.iinfo(self.kind)
        return {
            v.name: RNG.integers(info.min, info.max + 1, (n, *[d.dim_value for d in v.type.tensor_type.shape.dim][1:])).astype(self.kind)
            for v in self.inputs
        }  # fmt: skip


def check(tmp_path, made: Integers, model, most=1):
    """Ours against the model as it was."""
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    graph = import_onnx.read(path)
    raw = made.raw()
    ours = reference.run(graph, raw)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    for k in range(8):
        (theirs,) = session.run(None, {name: array[k : k + 1] for name, array in raw.items()})
        got = ours[graph.outputs[0].name][k]
        assert np.abs(theirs.astype(int).reshape(-1) - got.astype(int).reshape(-1)).max() <= most
    return graph


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("other", [(1, 3, 4, 4), (1, 3, 1, 1)])
def test_two_operands(tmp_path, kind, op, other):
    m = Integers(kind)
    y = m.node(op, [*m.input((1, 3, 4, 4)), *m.input(other), *m.scale(0.1)], "com.microsoft")
    check(tmp_path, m, m.model(y, (1, 3, 4, 4)))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize(("op", "attributes"), [("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.2})])
def test_functions(tmp_path, kind, op, attributes):
    m = Integers(kind)
    y = m.node(
        op, [*m.input((1, 50)), *m.scale(0.02, 0 if op == "QLinearSigmoid" else None)], "com.microsoft", **attributes
    )
    check(tmp_path, m, m.model(y, (1, 50)))


def test_softmax(tmp_path):
    m = Integers()
    y = m.node("QLinearSoftmax", [*m.input((1, 10)), *m.scale(1 / 256, 0)], "com.microsoft", axis=-1, opset=13)
    check(tmp_path, m, m.model(y, (1, 10)))


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("op", ["QLinearAveragePool", "QLinearGlobalAveragePool"])
def test_pooling(tmp_path, op, last):
    if op == "QLinearGlobalAveragePool" and last:
        m = Integers()
        y = m.node(op, [*m.input((1, 4, 4, 3)), *m.scale(0.04)], "com.microsoft", channels_last=1)
        check(tmp_path, m, m.model(y, (1, 1, 1, 3)))
        return
    m = Integers()
    window = {"kernel_shape": [2, 2], "strides": [2, 2]} if op == "QLinearAveragePool" else {}
    shape = (1, 4, 6, 3) if last else (1, 3, 4, 6)
    y = m.node(op, [*m.input(shape), *m.scale(0.04)], "com.microsoft", channels_last=last, **window)
    out = ((1, 2, 3, 3) if last else (1, 3, 2, 3)) if window else (1, 3, 1, 1)
    check(tmp_path, m, m.model(y, out))


def test_concatenation(tmp_path):
    m = Integers()
    a, b = m.input((1, 2, 4)), m.input((1, 3, 4))
    y = m.node("QLinearConcat", [*m.scale(0.07), *a, *b], "com.microsoft", axis=1)
    check(tmp_path, m, m.model(y, (1, 5, 4)))


@pytest.mark.parametrize("per_channel", [False, True])
def test_convolution_matmul_and_gemm(tmp_path, per_channel):
    n = 4
    scales = RNG.uniform(0.002, 0.01, n) if per_channel else 0.005

    def weights(m, shape):
        # small, because onnxruntime's kernels saturate sums of large products on some processors
        levels = m.constant(RNG.integers(-20, 21, shape), np.int8)
        return [levels, m.constant(scales), m.constant(np.zeros(np.shape(scales)), np.int8)]

    m = Integers()
    bias = m.constant(RNG.integers(-300, 300, n), np.int32)
    y = m.node(
        "QLinearConv", [*m.input((1, 3, 5, 5)), *weights(m, (n, 3, 3, 3)), *m.scale(0.03), bias], pads=[1, 1, 1, 1]
    )
    check(tmp_path, m, m.model(y, (1, n, 5, 5)))
    m = Integers()
    y = m.node("QLinearMatMul", [*m.input((1, 8)), *weights(m, (8, n)), *m.scale(0.02)])
    check(tmp_path, m, m.model(y, (1, n)))
    for transposed in (0, 1):
        m = Integers()
        w = weights(m, (n, 8) if transposed else (8, n))
        bias = m.constant(RNG.integers(-300, 300, n), np.int32)
        y = m.node("QGemm", [*m.input((1, 8)), *w, bias, *m.scale(0.02)], "com.microsoft", transB=transposed)
        check(tmp_path, m, m.model(y, (1, n)))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_movement_of_integers_changes_no_value(tmp_path, kind):
    m = Integers(kind)
    x, scale, zero = m.input((1, 4, 6, 6))

    def padding(x, pads, value=()):
        values = [m.constant(v, kind) for v in value]
        return m.node("Pad", [x, m.constant(pads, np.int64), *values])

    y = m.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    y = padding(y, [0, 0, 1, 0, 0, 0, 0, 2], [17])
    y = padding(y, [0, 0, 0, 0, 0, 0, 1, 0])
    y = m.node("Transpose", [y], perm=[0, 2, 3, 1])
    y = m.node("Concat", [y, y], axis=2)
    y = m.node("Slice", [y, m.constant([1], np.int64), m.constant([9], np.int64), m.constant([2], np.int64)])
    y = m.node("Clip", [y, m.constant(40, kind), m.constant(100, kind)])
    a, b = m.node("Split", [y, m.constant([1, 3], np.int64)], axis=3, outputs=2)
    y = m.node("Concat", [b, m.constant(RNG.integers(30, 100, (1, 5, 8, 2)), kind), a], axis=3)
    y = m.node("Reshape", [y, m.constant([0, -1], np.int64)])
    real = m.node("DequantizeLinear", [y, scale, zero])
    y = m.node("Reshape", [m.node("QuantizeLinear", [real, scale, zero]), m.constant([0, 5, -1], np.int64)])
    check(tmp_path, m, m.model(y, (1, 5, 48)), most=0)


def test_model_in_one_form_stays_as_it_is():
    m = Integers()
    x, scale, zero = m.input((1, 8))
    real = m.node("Relu", [m.node("DequantizeLinear", [x, scale, zero])])
    model = m.model(m.node("QuantizeLinear", [real, scale, zero]), (1, 8))
    before = model.SerializeToString()
    assert rewrites.rewritten(model).SerializeToString() == before


def quant(m, x, scale, zero, bits, **attributes):
    """A Quant node of QONNX."""
    inputs = [x, m.constant(scale), m.constant(zero), m.constant(float(bits))]
    return m.node("Quant", inputs, "qonnx.custom_op.general", **attributes)


def qonnx_model(m, bits, bipolar=False):
    """Convolution with weights of few bits, then an activation of few bits."""
    w = RNG.normal(0, 0.3, (4, 2, 3, 3)).astype(np.float32)
    scales = RNG.uniform(0.05, 0.1, (4, 1, 1, 1)).astype(np.float32)
    m.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 6, 6)))
    x = quant(m, "x", 0.05, 0.0, 8, signed=1, narrow=0)
    if bipolar:
        weights = m.node("BipolarQuant", [m.constant(w), m.constant(0.23)], "qonnx.custom_op.general")
        real = np.where(w >= 0, np.float32(0.23), -np.float32(0.23))
    else:
        weights = quant(m, m.constant(w), scales, 0.0, bits, signed=1, narrow=1)
        top = 2 ** (bits - 1) - 1
        real = np.clip(np.rint(w / scales), -top, top) * scales
    y = m.node("Relu", [m.node("Conv", [x, weights])])
    y = quant(m, y, 0.1, 0.0, 4, signed=0, narrow=0)
    model = m.model(y, (1, 4, 4, 4), TensorProto.FLOAT)
    model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    return model, real


@pytest.mark.parametrize(("bits", "bipolar"), [(2, False), (3, False), (4, False), (8, False), (1, True)])
def test_qonnx(tmp_path, bits, bipolar):
    import torch

    m = Integers()
    model, weights = qonnx_model(m, bits, bipolar)
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    graph = import_onnx.read(path)
    levels = next(node.attributes.levels for node in graph.nodes if node.op == "conv2d")
    assert np.abs(levels).max() <= max(2 ** (bits - 1) - 1, 1)
    raw = RNG.integers(-128, 128, (6, 2, 6, 6)).astype(np.int8)
    (got,) = reference.run(graph, {"x": raw}).values()
    real = torch.nn.functional.conv2d(torch.tensor(raw * 0.05), torch.tensor(weights, dtype=torch.float64)).numpy()
    wanted = np.clip(np.rint(np.maximum(real, 0) / np.float32(0.1)), 0, 15)
    assert got.max() == 15
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert (got == wanted).mean() > 0.99


def test_qonnx_bias_of_32_bits(tmp_path):
    """As Brevitas writes Int32Bias: a Quant in the scale of the accumulator, of each channel."""
    m = Integers()
    w, b = RNG.normal(0, 0.3, (4, 2, 3, 3)).astype(np.float32), RNG.normal(0, 30, 4).astype(np.float32)
    scales = RNG.uniform(0.05, 0.1, (4, 1, 1, 1)).astype(np.float32)
    bias_scales = (np.float32(0.05) * scales).reshape(4)
    m.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 6, 6)))
    x = quant(m, "x", 0.05, 0.0, 8, signed=1, narrow=0)
    weights = quant(m, m.constant(w), scales, 0.0, 8, signed=1, narrow=1)
    bias = quant(m, m.constant(b), bias_scales, 0.0, 32, signed=1, narrow=0)
    y = quant(m, m.node("Conv", [x, weights, bias]), 0.5, 0.0, 8, signed=1, narrow=0)
    model = m.model(y, (1, 4, 4, 4), TensorProto.FLOAT)
    model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 2))
    onnx.save(model, tmp_path / "m.onnx")
    graph = import_onnx.read(tmp_path / "m.onnx", floats=False)
    (conv,) = graph.nodes
    np.testing.assert_array_equal(conv.attributes.bias, np.rint(b.astype(np.float64) / bias_scales))
    raw = {"x": RNG.integers(-128, 128, (5, 2, 6, 6)).astype(np.int8)}
    assert max(witness.layers(tmp_path / "m.onnx", raw).values()) <= 1


@pytest.mark.parametrize(
    ("signed", "bits", "mode"), [(0, 8, "FLOOR"), (1, 8, "FLOOR"), (1, 6, "ROUND"), (0, 4, "CEIL")]
)
def test_qonnx_truncation_of_a_mean(tmp_path, signed, bits, mode):
    """Brevitas' TruncAvgPool2d: a mean, times its count, truncated to the bits of one value."""
    m = Integers()
    m.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 4, 4)))
    x = quant(m, "x", 0.25, 0.0, bits, signed=signed, narrow=0)
    total = m.node("Mul", [m.node("AveragePool", [x], kernel_shape=[4, 4]), m.constant(16.0)])
    inputs = [total, m.constant(0.25), m.constant(0.0), m.constant(bits + 4.0), m.constant(float(bits))]
    y = m.node("Trunc", inputs, "qonnx.custom_op.general", rounding_mode=mode)
    model = m.model(m.node("Relu", [y]), (1, 3, 1, 1), TensorProto.FLOAT)
    model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    onnx.save(model, tmp_path / "m.onnx")
    graph = import_onnx.read(tmp_path / "m.onnx")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    raw = RNG.integers(low, high + 1, (40, 3, 4, 4))
    kind = np.int8 if signed else np.uint8
    (got,) = reference.run(graph, {"x": raw.astype(kind)}).values()
    way = {"FLOOR": np.floor, "CEIL": np.ceil, "ROUND": np.rint}[mode]
    wanted = np.maximum(way(raw.sum(axis=(2, 3), keepdims=True) / 16), 0)
    np.testing.assert_array_equal(got / 0.25, wanted)  # float32: nothing quantises the result of Relu


def test_qonnx_signs_of_an_activation(tmp_path):
    m = Integers()
    m.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 12)))
    x = quant(m, "x", 0.25, 0.0, 8, signed=1, narrow=0)
    y = m.node("BipolarQuant", [x, m.constant(0.5)], "qonnx.custom_op.general")
    model = m.model(y, (1, 12), TensorProto.FLOAT)
    model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    onnx.save(model, tmp_path / "m.onnx")
    raw = RNG.integers(-3, 3, (20, 12)).astype(np.int8)
    (got,) = reference.run(import_onnx.read(tmp_path / "m.onnx"), {"x": raw}).values()
    np.testing.assert_array_equal(np.sign(got.astype(int)), np.where(raw >= 0, 1, -1))


def test_qonnx_beyond_8_bits_is_refused_by_name(tmp_path):
    m = Integers()
    model, _ = qonnx_model(m, 12)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="Quant.*not supported"):
        import_onnx.read(tmp_path / "m.onnx")


def test_damaged_models_of_integers_give_one_of_our_errors(tmp_path):
    """The rewrites see a model before onnx's checker does."""
    from lamella.errors import LamellaError

    m = Integers()
    y = m.node(
        "QLinearConv",
        [*m.input((1, 3, 5, 5)), m.constant(np.ones((4, 3, 3, 3)), np.int8), *m.scale(0.005, 0), *m.scale(0.03)],
    )
    y = m.node("Pad", [y, m.constant([0, 0, 1, 0, 0, 0, 0, 2], np.int64), m.constant(17, np.uint8)])
    raw = m.model(m.node("Transpose", [y], perm=[0, 2, 3, 1]), (1, 4, 5, 4)).SerializeToString()
    path = tmp_path / "m.onnx"
    for k in range(300):
        data = bytearray(raw)
        for _ in range(1 + k % 4):
            data[RNG.integers(0, len(data))] ^= 1 << RNG.integers(0, 8)
        path.write_bytes(bytes(data))
        try:
            onnx_file.load(path)
            import_onnx.read(path)
        except LamellaError:
            pass
