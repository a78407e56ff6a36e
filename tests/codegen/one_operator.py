"""Models of one operator, grown node by node, and what every such model must hold: at most one level from onnxruntime."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lamella import pipeline, vectors, witness
from lamella.codegen import import_onnx, reference

RNG = np.random.default_rng(5)


class Build:
    """A QDQ model grown node by node; every value is quantised with scale and zero point of its own unless told."""

    def __init__(self, opset=20):
        self.nodes, self.inits, self.inputs, self.opset = [], [], [], opset

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def quantized(self, name, scale=0.05, zero=120, kind=np.uint8):
        parameters = [self.constant(scale), self.constant(zero, kind)]
        self.nodes.append(helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}_q"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *parameters], [f"{name}_d"]))
        return f"{name}_d"

    def input(self, shape, **quantization):
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return self.quantized(name, **quantization)

    def node(self, op, inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}_{name}", **attributes))
        return name

    def weights(self, shape, axis=0):
        levels = RNG.integers(-127, 128, shape)
        scales = RNG.uniform(0.002, 0.01, shape[axis])
        parts = [self.constant(levels, np.int8), self.constant(scales), self.constant(np.zeros(shape[axis]), np.int8)]
        return self.node("DequantizeLinear", parts, axis=axis)

    def model(self, *outputs, kinds=None):
        kinds = kinds or [TensorProto.FLOAT] * len(outputs)
        values = [helper.make_tensor_value_info(o, k, None) for o, k in zip(outputs, kinds, strict=True)]
        graph = helper.make_graph(self.nodes, "one", self.inputs, values, self.inits)
        domains = {n.domain for n in self.nodes} | {""}
        opsets = [helper.make_opsetid(d, self.opset if not d else 1) for d in sorted(domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return onnx.shape_inference.infer_shapes(model)


def check(tmp_path, model, layers=None, most=1):
    """Read it, compare with onnxruntime, and with itself after all passes; the graph."""
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    graph = import_onnx.read(path, floats=False)
    raw = vectors.seeded(graph, 1)
    found = witness.compare(path, graph, raw, reference.run(graph, raw))
    assert found["max_level_difference"] <= most, found
    assert found["max_layer_difference"] <= 1, found
    lowered = pipeline.compile_model(path, "host", graph=graph).graph
    for name, array in reference.run(lowered, raw).items():
        assert np.array_equal(array, reference.run(graph, raw)[name])
    if layers is not None:
        assert [node.op for node in graph.nodes if node.op != "reshape"] == layers
    return graph


def one(tmp_path, op, shape, inputs=(), scale=0.05, zero=120, most=1, opset=20, layers=None, **attributes):
    """A single operator of one activation and constants."""
    b = Build(opset)
    x = b.input(shape)
    y = b.node(
        op, [x, *(c if isinstance(c, str) else b.constant(c, np.asarray(c).dtype) for c in inputs)], **attributes
    )
    return check(tmp_path, b.model(b.quantized(y, scale, zero)), layers, most)


def f32(*shape):
    return RNG.normal(0, 2, shape).astype(np.float32)


def in_front(b, shape=(1, 5, 4)):
    """An activation whose steps lie in front of the batch, as recurrent layers take them."""
    return b.node("Transpose", [b.input(shape)], perm=[1, 0, 2])
