"""What one step of an RNN, GRU or LSTM computes, as ONNX nodes.

The equations are those of onnx/docs/Operators.md; h' = n + z (h - n) stands for (1 - z) n + z h, which is one product more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from lamella.codegen.rewrites.editor import Editor, attribute


@dataclass(frozen=True)
class Function:
    """A function of a cell, by the name of the ONNX operator; alpha and beta as far as it has them and the node gives them."""

    name: str
    alpha: float | None = None
    beta: float | None = None

    @property
    def misses(self) -> bool:
        """Whether a parameter that it has is not given."""
        return any(getattr(self, name) is None for name in FUNCTIONS[self.name])


#: Functions, and the parameters that each has.
FUNCTIONS = {
    "Sigmoid": (), "Tanh": (), "Relu": (), "Softsign": (), "Softplus": (),
    "LeakyRelu": ("alpha",), "Elu": ("alpha",), "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"), "ScaledTanh": ("alpha", "beta"), "Affine": ("alpha", "beta"),
}  # fmt: skip
#: Of these ONNX names no default parameters, or onnxruntime takes others than ONNX: nodes must have all of them.
WITHOUT_DEFAULTS = ("ThresholdedRelu", "ScaledTanh", "Affine")


@dataclass
class Body:
    """Nodes of a step as they are written; every method gives the name of the tensor that it adds."""

    editor: Editor
    prefix: str
    units: int
    opset: int
    clip: float | None = None  # of what functions take
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def add(self, kind: str, name: str, *inputs: str, **attributes) -> str:
        output = f"{self.prefix}{name}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def dense(self, name: str, x: str, w: np.ndarray, b: np.ndarray | None) -> str:
        weights = [self.editor.add_constant(w, f"{self.prefix}{name}_w")]
        if b is not None:
            weights.append(self.editor.add_constant(b, f"{self.prefix}{name}_b"))
        return self.add("Gemm", name, x, *weights, transB=1)

    def function(self, f: Function, name: str, x: str, clips: bool = True) -> str:
        """f(x), x clipped first if the node says so and `clips`."""
        if clips and self.clip is not None:
            x = self._clipped(f"{name}_clipped", x)
        if f.name == "Affine":
            return self._with(f.beta, "Add", name, self._with(f.alpha, "Mul", f"{name}_scaled", x))
        if f.name == "ScaledTanh":
            return self._with(
                f.alpha, "Mul", name, self.add("Tanh", f"{name}_tanh", self._with(f.beta, "Mul", f"{name}_scaled", x))
            )
        given = {key: value for key, value in (("alpha", f.alpha), ("beta", f.beta)) if value is not None}
        return self.add(f.name, name, x, **given)

    def _with(self, number: float, kind: str, name: str, x: str) -> str:
        """x times or plus a number."""
        return self.add(kind, name, x, self.editor.add_constant(np.float32([number]), f"{self.prefix}{name}_by"))

    def _clipped(self, name: str, x: str) -> str:
        if self.opset < 11:
            return self.add("Clip", name, x, min=-self.clip, max=self.clip)
        ends = [
            self.editor.add_constant(np.float32(end), f"{self.prefix}{name}_{what}")
            for what, end in (("min", -self.clip), ("max", self.clip))
        ]
        return self.add("Clip", name, x, *ends)

    def gates(self, name: str, of: str, first: int, count: int = 1) -> str:
        """`count` gates of a vector of gates, from the one of index `first`."""
        places = [
            self.editor.add_constant(np.array([k], np.int64), f"{self.prefix}{name}_{what}")
            for what, k in (("from", first * self.units), ("to", (first + count) * self.units), ("axis", 1))
        ]
        return self.add("Slice", name, of, *places)


def _rnn(body: Body, node, weights: dict, functions: Sequence[Function], x: str, h: str) -> list[str]:
    (f,) = functions
    total = body.add("Add", "sum", body.dense("ih", x, *weights["ih"]), body.dense("hh", h, *weights["hh"]))
    return [body.function(f, "next", total)]


def _gru(body: Body, node, weights: dict, functions: Sequence[Function], x: str, h: str) -> list[str]:
    """Gates z, r and n. linear_before_reset: r is multiplied with U h + b instead of h, as torch does."""
    f, g = functions
    of_x = body.dense("ih", x, *weights["ih"])
    (u, b), n = weights["hh"], 2 * body.units
    after = bool(attribute(node, "linear_before_reset", 0))
    of_h = body.dense("hh", h, *((u, b) if after else (u[:n], None if b is None else b[:n])))
    total = body.add("Add", "zr_sum", body.gates("x_zr", of_x, 0, 2), body.gates("h_zr", of_h, 0, 2) if after else of_h)
    zr = body.function(f, "zr", total)
    z, r = body.gates("z", zr, 0), body.gates("r", zr, 1)
    if after:
        recurrent = body.add("Mul", "r_h", r, body.gates("h_n", of_h, 2))
    else:
        recurrent = body.dense("hn", body.add("Mul", "r_h", r, h), u[n:], None if b is None else b[n:])
    new = body.function(g, "n", body.add("Add", "n_sum", body.gates("x_n", of_x, 2), recurrent))
    return [body.add("Add", "next", new, body.add("Mul", "kept", z, body.add("Sub", "h_less_n", h, new)))]


def _lstm(body: Body, node, weights: dict, functions: Sequence[Function], x: str, h: str, c: str) -> list[str]:
    """Gates i, o, f and c; peepholes in the order i, o, f. input_forget: f is 1 - i. The cell is not clipped on its way to h: onnxruntime
    does not either, and ONNX can be read both ways."""
    f, g, k = functions
    total = body.add("Add", "gates", body.dense("ih", x, *weights["ih"]), body.dense("hh", h, *weights["hh"]))
    peep = weights.get("p")

    def through(name: str, gate: int, cell: str) -> str:
        value = body.gates(f"{name}_sum", total, gate)
        if peep is not None:
            looks = body.editor.add_constant(
                peep[gate * body.units : (gate + 1) * body.units][None], f"{body.prefix}{name}_p"
            )
            value = body.add("Add", f"{name}_peep_sum", value, body.add("Mul", f"{name}_peep", cell, looks))
        return body.function(f, name, value)

    if peep is None:
        iof = body.function(f, "iof", body.gates("iof_sum", total, 0, 3))
        i, o, forget = (body.gates(name, iof, at) for at, name in enumerate("iof"))
    else:
        i, forget = through("i", 0, c), through("f", 2, c)
    if attribute(node, "input_forget", 0):
        one = body.editor.add_constant(np.float32([1.0]), f"{body.prefix}one")
        forget = body.add("Sub", "forget", one, i)
    new = body.add("Mul", "new", i, body.function(g, "g", body.gates("g_sum", total, 3)))
    cell = body.add("Add", "cell_next", body.add("Mul", "kept", forget, c), new)
    if peep is not None:
        o = through("o", 1, cell)
    return [body.add("Mul", "next", o, body.function(k, "cell_out", cell, clips=False)), cell]


CELLS = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}
