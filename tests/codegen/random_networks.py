"""Random float networks in ONNX, and what onnxruntime's quantize_static makes of them."""

import logging
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VARIANTS = ("u8s8", "s8s8", "u8u8", "s8s8 per tensor")


class Builder:
    """A float network of images or sequences that grows block by block; `current` is the tensor at its end, of shape
    (1, c, h, w) or (1, c, length)."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw.integer(0, 2**31))
        self.nodes, self.initializers = [], []
        rank = draw.choice([2, 2, 1])
        self.shape = (draw.choice([1, 2, 3, 4]), *(draw.integer(6, 14) for _ in range(rank)))
        self.input_shape = self.shape
        self.current = "x"

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, op, inputs, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name + "_out"], name=name, **attributes))
        return name + "_out"

    def conv(self, x, shape, out_c=None, same=False):
        draw = self.draw
        c, *size = shape
        kernel = [draw.choice([k for k in (1, 3) if k <= n]) if same else draw.integer(1, min(4, n)) for n in size]
        groups = draw.choice([1, c]) if out_c is None else 1
        out_c = out_c or groups * draw.integer(1, 4 if groups == 1 else 2)
        stride = [1 if same else draw.choice([1, 1, 2]) for _ in size]
        dilation = [draw.choice([1, 1, 2]) if not same and 2 * (k - 1) < n else 1 for k, n in zip(kernel, size)]
        pads = [k // 2 for k in kernel] * 2 if same else [draw.integer(0, k - 1) for k in kernel * 2]
        weights = self.rng.normal(0, 1, (out_c, c // groups, *kernel)) * np.exp(
            self.rng.normal(0, 1, (out_c, 1, *[1] * len(size)))
        )
        inputs = [x, self.constant(weights)]
        if draw.choice([True, False]):
            inputs.append(self.constant(self.rng.normal(0, 1, out_c)))
        y = self.node("Conv", inputs, kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads, group=groups)
        out = [
            (n + pads[i] + pads[i + len(size)] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
            for i, n in enumerate(size)
        ]
        return y, (out_c, *out)

    def activation(self, x):
        kind = self.draw.choice(["none", "relu", "relu", "clip", "table"])
        if kind == "table":
            return self.node(self.draw.choice(["Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Elu", "Softplus"]), [x])
        if kind == "relu":
            return self.node("Relu", [x])
        if kind == "clip":
            return self.node("Clip", [x, self.constant(self.draw.choice([0.0, -1.0])), self.constant(6.0)])
        return x

    def pool(self, op):
        draw, (c, *size) = self.draw, self.shape
        kernel = [draw.integer(1, min(3, n)) for n in size]
        stride = [draw.choice([1, 2, k]) for k in kernel]
        pads = [draw.integer(0, k - 1) for k in kernel * 2]
        extra = {"count_include_pad": draw.choice([0, 1])} if op == "AveragePool" else {}
        self.current = self.node(op, [self.current], kernel_shape=kernel, strides=stride, pads=pads, **extra)
        out = [(n + pads[i] + pads[i + len(size)] - kernel[i]) // stride[i] + 1 for i, n in enumerate(size)]
        self.shape = (c, *out)

    def slice(self):
        axis = self.draw.integer(0, len(self.shape) - 1)
        start = self.draw.integer(0, self.shape[axis] - 1)
        end = self.draw.integer(start + 1, self.shape[axis])
        places = [self.constant([n], np.int64) for n in (start, end, axis + 1)]
        self.current = self.node("Slice", [self.current, *places])
        self.shape = (*self.shape[:axis], end - start, *self.shape[axis + 1 :])

    def split(self):
        """Two parts of the channels, the second one first."""
        if self.shape[0] < 2:
            return
        first = self.draw.integer(1, self.shape[0] - 1)
        sizes = self.constant([first, self.shape[0] - first], np.int64)
        name = f"split{len(self.nodes)}"
        parts = [f"{name}_a", f"{name}_b"]
        self.nodes.append(helper.make_node("Split", [self.current, sizes], parts, name=name, axis=1))
        self.current = self.node("Concat", parts[::-1], axis=1)

    def block(self):
        kinds = ["conv", "conv", "conv", "max", "average", "residual", "concat", "pad", "relu"]
        kind = self.draw.choice([*kinds, "gate", "difference", "slice", "split", "transpose", "number"])
        if kind == "conv":
            y, self.shape = self.conv(self.current, self.shape)
            self.current = self.activation(y)
        elif kind == "relu":
            self.current = self.activation(self.current)
        elif kind == "max":
            self.pool("MaxPool")
        elif kind == "average":
            self.pool("AveragePool")
        elif kind == "residual":
            y, _ = self.conv(self.current, self.shape, out_c=self.shape[0], same=True)
            self.current = self.activation(self.node("Add", [self.current, y]))
        elif kind in ("gate", "difference"):
            y, _ = self.conv(self.current, self.shape, out_c=self.shape[0], same=True)
            other = self.node("Sigmoid", [y]) if kind == "gate" else y
            self.current = self.node("Mul" if kind == "gate" else "Sub", [self.current, other])
        elif kind == "slice":
            self.slice()
        elif kind == "split":
            self.split()
        elif kind == "transpose":
            last = len(self.shape)
            self.current = self.node("Transpose", [self.current], perm=[*range(last - 1), last, last - 1])
            self.shape = (*self.shape[:-2], self.shape[-1], self.shape[-2])
        elif kind == "number":
            op, number = self.draw.choice([("Sub", 0.5), ("Mul", -1.5), ("Add", 1.0), ("Div", 2.0)])
            inputs = [self.current, self.constant(number)]
            self.current = self.node(op, inputs if self.draw.choice([True, False]) or op == "Div" else inputs[::-1])
        elif kind == "concat":
            y, other = self.conv(self.current, self.shape, out_c=2, same=True)
            self.current = self.node("Concat", [self.activation(y), self.current], axis=1)
            self.shape = (other[0] + self.shape[0], *self.shape[1:])
        else:
            rank = len(self.shape) - 1
            pads = [self.draw.integer(0, 2) for _ in range(2 * rank)]
            self.current = self.node(
                "Pad", [self.current, self.constant([0, 0, *pads[:rank], 0, 0, *pads[rank:]], np.int64)]
            )
            self.shape = (self.shape[0], *(n + pads[i] + pads[i + rank] for i, n in enumerate(self.shape[1:])))

    def head(self):
        draw = self.draw
        kind = draw.choice(["gemm", "gemm transposed", "matmul", "global", "none"])
        if kind == "none":
            return (1, *self.shape)
        if kind == "global":
            self.current = self.node("GlobalAveragePool", [self.current])
            self.shape = (self.shape[0], *[1] * (len(self.shape) - 1))
        n = int(np.prod(self.shape))
        if draw.choice([True, False]):
            self.current = self.node("Flatten", [self.current], axis=1)
        else:
            self.current = self.node("Reshape", [self.current, self.constant([1, -1], np.int64)])
        out = draw.integer(1, 6)
        weights, bias = self.rng.normal(0, 1, (n, out)), self.constant(self.rng.normal(0, 1, out))
        if kind == "matmul":
            self.current = self.node("MatMul", [self.current, self.constant(weights)])
        elif kind == "gemm transposed":
            self.current = self.node("Gemm", [self.current, self.constant(weights.T), bias], transB=1)
        else:
            self.current = self.node("Gemm", [self.current, self.constant(weights), bias])
        if draw.choice([False, False, True]):
            self.current = self.node("Softmax", [self.current], axis=-1)
        return (1, out)

    def model(self):
        out = helper.make_tensor_value_info(self.current, TensorProto.FLOAT, self.out_shape)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *self.input_shape])
        graph = helper.make_graph(self.nodes, "random", [x], [out], self.initializers)
        unused = [helper.make_opsetid("com.example.unused", 1)]
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *unused])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model


def float_model(draw) -> onnx.ModelProto:
    """A random float network of one to four blocks and perhaps a head."""
    builder = Builder(draw)
    # quantize_static leaves operators before the first convolution in float; maximum pooling does not mind.
    if draw.choice([False, False, True]):
        builder.pool("MaxPool")
    y, builder.shape = builder.conv(builder.current, builder.shape)
    builder.current = builder.activation(y)
    for _ in range(draw.integer(0, 3)):
        if min(builder.shape[1:]) >= 2:
            builder.block()
    builder.out_shape = builder.head()
    return builder.model()


def quantize(model: onnx.ModelProto, path, variant: str, seed: int) -> None:
    """Write what quantize_static makes of a float model."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    rng = np.random.default_rng(seed)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]

    class Samples(CalibrationDataReader):
        left = 4

        def get_next(self):
            self.left -= 1
            return {"x": rng.normal(0, 1, shape).astype(np.float32)} if self.left >= 0 else None

    onnxruntime.set_default_logger_severity(3)
    kinds = {"u": QuantType.QUInt8, "s": QuantType.QInt8}
    source = str(path) + ".float"
    onnx.save(model, source)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(
            source,
            str(path),
            Samples(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted({node.op_type for node in model.graph.node}),
            per_channel="per tensor" not in variant,
            activation_type=kinds[variant[0]],
            weight_type=kinds[variant[2]],
        )
    logging.disable(logging.NOTSET)
