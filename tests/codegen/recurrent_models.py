"""Quantised GRU and LSTM networks written by hand: an ONNX Scan whose body is a QDQ graph with uint8 states."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes of a graph, and initialisers of the whole model. A value is the name of a float tensor."""

    def __init__(self, constants: dict[str, np.ndarray], prefix: str = ""):
        self.constants, self.prefix, self.nodes = constants, prefix, []

    def constant(self, name: str, value) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def node(self, op: str, inputs: list[str], name: str, outputs: int = 1, **attributes):
        names = [f"{self.prefix}{name}"] if outputs == 1 else [f"{self.prefix}{name}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{self.prefix}{name}", **attributes))
        return names[0] if outputs == 1 else names

    def quantization(self, name: str, scale: float, zero: int, kind=np.uint8) -> list[str]:
        return [self.constant(f"{name}_s", np.float32(scale)), self.constant(f"{name}_z", kind(zero))]

    def quantize(self, value: str, scale: float, zero: int, kind=np.uint8) -> tuple[str, str]:
        """(integers, floats) behind a value."""
        parameters = self.quantization(value, scale, zero, kind)
        q = self.node("QuantizeLinear", [value, *parameters], f"{value.removeprefix(self.prefix)}_q")
        return q, self.dequantize(q, parameters)

    def dequantize(self, q: str, parameters: list[str]) -> str:
        return self.node("DequantizeLinear", [q, *parameters], f"{q.removeprefix(self.prefix)}_dq")

    def weights(self, name: str, levels: np.ndarray, scale: float) -> str:
        inputs = [self.constant(f"{name}_w", levels.astype(np.int8)), self.constant(f"{name}_ws", np.float32(scale))]
        return self.node("DequantizeLinear", inputs, f"{name}_weight")


def dense(body: Builder, outer: Builder, rng, x: str, name: str, rows: int, cols: int) -> str:
    """A ternary or int8 dense layer, quantised; its weights are dequantised outside the loop."""
    ternary = rng.random() < 0.5
    levels = rng.integers(-1, 2, (rows, cols)) if ternary else rng.integers(-127, 128, (rows, cols))
    scale = 1.5 / np.sqrt(cols) / (1 if ternary else 70)
    inputs = [x, outer.weights(name, levels, scale), outer.constant(f"{name}_b", rng.normal(0, 0.3, rows))]
    outer.constants[f"{name}_b"] = outer.constants[f"{name}_b"].astype(np.float32)
    return body.quantize(body.node("Gemm", inputs, name, transB=1), 6 / 255, 128)[1]


def gru_cell(body: Builder, outer: Builder, rng, x: str, h: str, features: int, units: int) -> dict[str, str]:
    """Integers of the next state, by state."""
    gi = dense(body, outer, rng, x, "ih", 3 * units, features)
    gh = dense(body, outer, rng, h, "hh", 3 * units, units)
    sizes = outer.constant("gru_sizes", np.array([2 * units, units], np.int64))
    (i_rz, i_n), (h_rz, h_n) = (body.node("Split", [g, sizes], n, 2, axis=1) for g, n in ((gi, "gi"), (gh, "gh")))
    _, gates = body.quantize(body.node("Add", [i_rz, h_rz], "gates"), 10 / 255, 120)
    _, gates = body.quantize(body.node("Sigmoid", [gates], "rz"), 1 / 256, 0)
    r, z = body.node("Split", [gates], "r_and_z", 2, axis=1)
    _, rn = body.quantize(body.node("Mul", [r, h_n], "rn"), 6 / 255, 128)
    _, n = body.quantize(body.node("Add", [i_n, rn], "n_sum"), 8 / 255, 128)
    _, n = body.quantize(body.node("Tanh", [n], "n"), 1 / 128, 128)
    _, difference = body.quantize(body.node("Sub", [h, n], "h_less_n"), 2 / 128, 128)
    _, kept = body.quantize(body.node("Mul", [z, difference], "kept"), 1.5 / 128, 128)
    q, _ = body.quantize(body.node("Add", [n, kept], "h_next"), 1 / 128, 128)
    return {"h": q}


def lstm_cell(body: Builder, outer: Builder, rng, x: str, h: str, c: str, features: int, units: int) -> dict[str, str]:
    """Integers of the next states, by state."""
    gi = dense(body, outer, rng, x, "ih", 4 * units, features)
    gh = dense(body, outer, rng, h, "hh", 4 * units, units)
    _, gates = body.quantize(body.node("Add", [gi, gh], "gates"), 10 / 255, 128)
    sizes = outer.constant("lstm_sizes", np.array([2 * units, units, units], np.int64))
    i_f, g, o = body.node("Split", [gates, sizes], "parts", 3, axis=1)
    _, i_f = body.quantize(body.node("Sigmoid", [i_f], "sigmoid_if"), 1 / 256, 0)
    _, g = body.quantize(body.node("Tanh", [g], "tanh_g"), 1 / 128, 128)
    _, o = body.quantize(body.node("Sigmoid", [o], "sigmoid_o"), 1 / 256, 0)
    i, f = body.node("Split", [i_f], "i_and_f", 2, axis=1)
    _, kept = body.quantize(body.node("Mul", [f, c], "kept"), 4 / 128, 128)
    _, new = body.quantize(body.node("Mul", [i, g], "new"), 1 / 128, 128)
    q_c, c = body.quantize(body.node("Add", [kept, new], "c_next"), 4 / 128, 128)
    _, t = body.quantize(body.node("Tanh", [c], "tanh_c"), 1 / 128, 128)
    q_h, _ = body.quantize(body.node("Mul", [o, t], "h_next"), 1 / 128, 128)
    return {"h": q_h, "c": q_c}


SCALES = {"h": 1 / 128, "c": 4 / 128}


def recurrent(
    kind: str, sequence: bool, steps: int = 7, features: int = 5, units: int = 8, seed: int = 0
) -> onnx.ModelProto:
    """x (N, steps, features) -> GRU or LSTM -> its last output or all -> dense layer of three values (the last alone)."""
    rng = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {}
    outer, body = Builder(constants), Builder(constants, f"{kind}.")
    states = ["h", "c"] if kind == "lstm" else ["h"]
    x_q, _ = outer.quantize("x", 6 / 255, 128)
    body_x = body.dequantize("step_x", ["x_s", "x_z"])
    before = {}
    for name in states:
        parameters = body.quantization(f"state_{name}", SCALES[name], 128)
        before[name] = body.dequantize(f"{name}_before", parameters)
    cell = lstm_cell if kind == "lstm" else gru_cell
    after = cell(body, outer, rng, body_x, *before.values(), features, units)
    results = [body.node("Identity", [after[name]], f"{name}_after") for name in states]
    if sequence:
        results.append(body.node("Identity", [after["h"]], "out"))
    shape = outer.node("Shape", ["x"], "shape_of_x")
    zero, one = (outer.constant(n, np.array([v], np.int64)) for n, v in (("zero", 0), ("one", 1)))
    batch = outer.node("Slice", [shape, zero, one], "batch")
    sizes = outer.node("Concat", [batch, outer.constant("units", np.array([units], np.int64))], "sizes", axis=0)
    fill = numpy_helper.from_array(np.array([128], np.uint8))
    initial = [outer.node("ConstantOfShape", [sizes], f"{name}_first", value=fill) for name in states]

    def values(names: list[str], width: int) -> list:
        return [helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", width]) for name in names]

    graph = helper.make_graph(
        body.nodes,
        f"{kind}_step",
        [*values([f"{name}_before" for name in states], units), *values(["step_x"], features)],
        values(results, units),
    )
    outputs = [f"{name}_final" for name in states] + (["all"] if sequence else [])
    axes = {"scan_output_axes": [1]} if sequence else {}
    outer.nodes.append(
        helper.make_node(
            "Scan",
            [*initial, x_q],
            outputs,
            name=kind,
            body=graph,
            num_scan_inputs=1,
            scan_input_axes=[1],
            **axes,
        )
    )
    y = outer.dequantize("all" if sequence else "h_final", body.quantization("state_h", SCALES["h"], 128))
    out_shape = ["N", steps, units]
    if not sequence:
        y = dense(outer, outer, rng, y, "scores", 3, units)
        out_shape = ["N", 3]
    nodes = [n for n in outer.nodes]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            f"small_{kind}",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", steps, features])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, out_shape)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model
