"""Streaming models written by hand, and the same networks over a whole sequence."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from recurrent_models import Builder, dense, gru_cell

X = (6 / 255, 128)
HIDDEN = (4 / 255, 0)


def model(builder: Builder, inputs: dict[str, tuple], outputs: dict[str, tuple], name: str) -> onnx.ModelProto:
    """A checked model of float32 inputs and outputs with these shapes, the batch left out."""

    def values(shapes: dict[str, tuple]) -> list:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, *shape]) for n, shape in shapes.items()]

    constants = [numpy_helper.from_array(value, n) for n, value in builder.constants.items()]
    graph = helper.make_graph(builder.nodes, name, values(inputs), values(outputs), constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made, full_check=True)
    return made


def _conv(b: Builder, rng, x: str, name: str, rows: int, channels: int, scale: float, **attributes) -> str:
    levels = rng.integers(-127, 128, (rows, channels, 3))
    weights = b.weights(name, levels, 0.6 / 70 / np.sqrt(3 * channels))
    return b.node("Conv", [x, weights], name, kernel_shape=[3], **attributes)


def causal(frame: int | None, steps: int = 1, channels: int = 4, hidden: int = 6) -> onnx.ModelProto:
    """Two causal convolutions over time. frame: new samples of a call, whose two before come as states; None: over all
    `steps` samples at once, with zeros before the first."""
    rng, b = np.random.default_rng(5), Builder({})
    length = steps if frame is None else frame
    states = {} if frame is None else {"past_1": (channels, 2), "past_2": (hidden, 2)}
    _, x = b.quantize("x", *X)
    outputs = {}
    for name, before, width, quantization in (("1", x, channels, X), ("2", None, hidden, HIDDEN)):
        before = before or hidden_values
        if frame is None:
            padded, pads = before, {"pads": [2, 0]}
        else:
            _, past = b.quantize(f"past_{name}", *quantization)
            _, padded = b.quantize(b.node("Concat", [past, before], f"window_{name}", axis=2), *quantization)
            cut = [b.constant(f"cut_{k}_{name}", np.array([v], np.int64)) for k, v in enumerate((frame, frame + 2, 2))]
            b.node("Slice", [padded, *cut], f"next_{name}")
            outputs[f"next_{name}"] = (width, 2)
            pads = {}
        y = _conv(b, rng, padded, f"conv_{name}", hidden if name == "1" else 3, width, 1, **pads)
        if name == "1":
            _, hidden_values = b.quantize(b.node("Relu", [y], "relu"), *HIDDEN)
        else:
            _, result = b.quantize(y, 5 / 255, 120)
    return model(b, {"x": (channels, length), **states}, {result: (3, length), **outputs}, "causal")


CAUSAL_STATES = {"past_1": "next_1", "past_2": "next_2"}


def gru(seen: bool, features: int = 5, units: int = 8, seed: int = 0) -> onnx.ModelProto:
    """One step of recurrent_models.recurrent("gru", ...), its state an input and an output. seen: the caller gets it too."""
    rng, b = np.random.default_rng(seed), Builder({})
    _, x = b.quantize("x", *X)
    _, h = b.quantize("h_in", 1 / 128, 128)
    after = gru_cell(b, b, rng, x, h, features, units)["h"] + "_dq"
    scores = dense(b, b, rng, after, "scores", 3, units)
    outputs = {scores: (3,), b.node("Identity", [after], "h_out"): (units,)}
    if seen:
        outputs[b.node("Identity", [after], "h")] = (units,)
    return model(b, {"x": (features,), "h_in": (units,)}, outputs, "gru_step")


def exchange(width: int = 5) -> onnx.ModelProto:
    """y = x + a + the x of the call before; states a and b change places in every call."""
    b = Builder({})
    _, x = b.quantize("x", *X)
    a, other, last = (b.quantize(name, *X)[1] for name in ("a_in", "b_in", "last_in"))
    _, sums = b.quantize(b.node("Add", [x, a], "sum"), 12 / 255, 128)
    _, y = b.quantize(b.node("Add", [sums, last], "sums"), 18 / 255, 128)
    outputs = {y: (width,)}
    for name, value in (("a_out", other), ("b_out", a), ("last_out", x)):
        outputs[b.node("Identity", [value], name)] = (width,)
    return model(b, dict.fromkeys(("x", "a_in", "b_in", "last_in"), (width,)), outputs, "exchange")


EXCHANGE_STATES = {"a_in": "b_out", "b_in": "a_out", "last_in": "last_out"}
