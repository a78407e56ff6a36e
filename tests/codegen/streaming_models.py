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


def _causal_conv(b: Builder, rng, x: str, name: str, shape: tuple[int, int], quantization, frame: int | None) -> str:
    """A convolution of rows x channels x 3 over what came before and x; the last two samples are what comes before next."""
    levels = rng.integers(-127, 128, (*shape, 3))
    weights = b.weights(name, levels, 0.6 / 70 / np.sqrt(3 * shape[1]))
    if frame is None:
        return b.node("Conv", [x, weights], name, kernel_shape=[3], pads=[2, 0])
    _, past = b.quantize(f"past_{name}", *quantization)
    _, window = b.quantize(b.node("Concat", [past, x], f"window_{name}", axis=2), *quantization)
    cut = [b.constant(f"cut_{k}_{name}", np.array([v], np.int64)) for k, v in enumerate((frame, frame + 2, 2))]
    b.node("Slice", [window, *cut], f"next_{name}")
    return b.node("Conv", [window, weights], name, kernel_shape=[3])


def causal(frame: int | None, steps: int = 1, channels: int = 4, hidden: int = 6) -> onnx.ModelProto:
    """Two causal convolutions over time. frame: new samples of a call, whose two before come as states; None: over all
    `steps` samples at once, with zeros before the first."""
    rng, b = np.random.default_rng(5), Builder({})
    length = steps if frame is None else frame
    _, x = b.quantize("x", *X)
    x = _causal_conv(b, rng, x, "conv_1", (hidden, channels), X, frame)
    _, x = b.quantize(b.node("Relu", [x], "relu"), *HIDDEN)
    _, y = b.quantize(_causal_conv(b, rng, x, "conv_2", (3, hidden), HIDDEN, frame), 5 / 255, 120)
    before, after = (
        {} if frame is None else {f"{word}_conv_{k}": (width, 2) for k, width in ((1, channels), (2, hidden))}
        for word in ("past", "next")
    )
    return model(b, {"x": (channels, length), **before}, {y: (3, length), **after}, "causal")


CAUSAL_STATES = {"past_conv_1": "next_conv_1", "past_conv_2": "next_conv_2"}


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


def corners(width: int = 4) -> onnx.ModelProto:
    """A sum of all inputs so far, a ring of the last two, a state that stays as it is, and one that is wanted to the end."""
    b = Builder({})
    ends = {}
    _, x = b.quantize("x", *X)
    _, total = b.quantize("total_in", *X)
    _, total = b.quantize(b.node("Add", [total, x], "total"), *X)
    _, ring = b.quantize("ring_in", *X)
    begin, end, axis = (b.constant(n, np.array([v], np.int64)) for n, v in (("b", width), ("e", 2 * width), ("one", 1)))
    _, ring = b.quantize(b.node("Concat", [b.node("Slice", [ring, begin, end, axis], "newer"), x], "ring", axis=1), *X)
    _, kept = b.quantize("kept_in", *X)
    _, late = b.quantize("late_in", *X)
    _, next_late = b.quantize(b.node("Mul", [x, kept], "product"), *X)
    older = b.node("Slice", [ring, b.constant("nought", np.array([0], np.int64)), begin, axis], "older")
    y = total
    for name, other in (("with_older", older), ("with_kept", kept), ("with_next", next_late), ("with_late", late)):
        _, y = b.quantize(b.node("Add", [y, other], name), 16 / 255, 128)
    for name, value in (("total_out", total), ("ring_out", ring), ("kept_out", kept), ("late_out", next_late)):
        ends[b.node("Identity", [value], name)] = (width * (1 + (value == ring)),)
    inputs = {"x": (width,), "total_in": (width,), "ring_in": (2 * width,), "kept_in": (width,), "late_in": (width,)}
    return model(b, inputs, {y: (width,), **ends}, "corners")


CORNER_STATES = {f"{name}_in": f"{name}_out" for name in ("total", "ring", "kept", "late")}
EXCHANGE_STATES = {"a_in": "b_out", "b_in": "a_out", "last_in": "last_out"}
