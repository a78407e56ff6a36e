"""A small quantised network made by hand: sparse ternary and int8 layers, pooling, residual addition, two dense layers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def small_model(
    name: str = "small net",
    layer: str = "conv1",
    x_name: str = "x",
    symbolic: bool = True,
    signed: bool = False,
    seed: int = 0,
    size: int = 12,
    wide: int = 8,
) -> onnx.ModelProto:
    """x (N, 1, size, size) -> conv1 (ternary) + relu + maxpool -> conv2 (int8) + residual -> fc1 (ternary) -> fc2 (int8) -> y (N, 5)."""
    rng = np.random.default_rng(seed)
    kind = np.int8 if signed else np.uint8
    inits, nodes = [], []

    def constant(values, dtype, label):
        inits.append(numpy_helper.from_array(np.asarray(values, dtype), label))
        return label

    def quantize(source, target, scale, zero):
        zero = zero - 128 if signed else zero
        s, z = constant(scale, np.float32, target + "_scale"), constant(zero, kind, target + "_zero")
        nodes.append(helper.make_node("QuantizeLinear", [source, s, z], [target + "_q"], name="q_" + target))
        nodes.append(helper.make_node("DequantizeLinear", [target + "_q", s, z], [target], name="dq_" + target))
        return target

    def weights(label, levels, scale, x_scale):
        per_channel = np.ndim(scale) > 0
        s = constant(scale, np.float32, label + "_ws")
        w = constant(levels, np.int8, label + "_w")
        z = constant(np.zeros(np.shape(scale)), np.int8, label + "_wz")
        axis = {"axis": 0} if per_channel else {}
        nodes.append(helper.make_node("DequantizeLinear", [w, s, z], [label + "_wd"], **axis))
        bias = constant(rng.integers(200, 600, levels.shape[0]), np.int32, label + "_b")
        scales = np.broadcast_to(np.float32(scale), levels.shape[0]) * np.float32(x_scale)
        bs, bz = (
            constant(scales, np.float32, label + "_bs"),
            constant(np.zeros(levels.shape[0]), np.int32, label + "_bz"),
        )
        nodes.append(helper.make_node("DequantizeLinear", [bias, bs, bz], [label + "_bd"], axis=0))
        return [label + "_wd", label + "_bd"]

    def ternary(shape, density):
        return rng.choice([-1, 0, 1], shape, p=[density / 2, 1 - density, density / 2])

    quantize(x_name, "x_in", 1 / 255, 0)
    nodes.append(
        helper.make_node(
            "Conv", ["x_in", *weights("conv1", ternary((wide, 1, 3, 3), 0.4), 0.5, 1 / 255)], ["c1"], name=layer
        )
    )
    nodes.append(helper.make_node("Relu", ["c1"], ["r1"], name="relu1"))
    quantize("r1", "a1", 0.02, 0)
    nodes.append(helper.make_node("MaxPool", ["a1"], ["p1"], name="pool1", kernel_shape=[2, 2], strides=[2, 2]))
    scale = np.exp(rng.normal(-5.5, 0.3, wide))
    conv2 = weights("conv2", rng.integers(-127, 128, (wide, wide, 3, 3)), scale, 0.02)
    nodes.append(helper.make_node("Conv", ["p1", *conv2], ["c2"], name="conv2", pads=[1, 1, 1, 1]))
    quantize("c2", "a2", 0.1, 120)
    nodes.append(helper.make_node("Add", ["a2", "p1"], ["s"], name="add"))
    nodes.append(helper.make_node("Relu", ["s"], ["sr"], name="relu2"))
    quantize("sr", "a3", 0.08, 0)
    nodes.append(helper.make_node("Flatten", ["a3"], ["f"], name="flatten"))
    n = wide * ((size - 2) // 2) ** 2
    nodes.append(
        helper.make_node("Gemm", ["f", *weights("fc1", ternary((20, n), 0.1), 0.3, 0.08)], ["g1"], name="fc1", transB=1)
    )
    nodes.append(helper.make_node("Relu", ["g1"], ["gr"], name="relu3"))
    quantize("gr", "a4", 0.1, 0)
    nodes.append(
        helper.make_node(
            "Gemm", ["a4", *weights("fc2", rng.integers(-127, 128, (5, 20)), 0.01, 0.1)], ["g2"], name="fc2", transB=1
        )
    )
    quantize("g2", "y", 0.5, 128)
    batch = "N" if symbolic else 1
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(x_name, TensorProto.FLOAT, [batch, 1, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])],
        inits,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model
