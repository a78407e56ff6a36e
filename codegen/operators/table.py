"""Functions of one value, from one quantisation to another, as a table of 256 bytes computed at generation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lamella import tables
from lamella.codegen.ir import Graph, Node, Sink, Tensor
from lamella.codegen.operators import broadcast, logic, sampling
from lamella.codegen.operators.record import Operator
from lamella.errors import UnsupportedError

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _gelu(x: np.ndarray, approximate: str) -> np.ndarray:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def _exponential(x: np.ndarray, alpha: float, gamma: float = 1.0) -> np.ndarray:
    return gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


#: ONNX type: attributes with their defaults, and the function of values and attributes (as ONNX defines it).
FUNCTIONS: Mapping[str, tuple[Mapping[str, float | str], Callable[..., np.ndarray]]] = {
    "Sigmoid": ({}, tables.sigmoid),
    "Tanh": ({}, np.tanh),
    "HardSigmoid": ({"alpha": 0.2, "beta": 0.5}, lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1)),
    "HardSwish": ({}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "LeakyRelu": ({"alpha": 0.01}, lambda x, alpha: np.where(x < 0, alpha * x, x)),
    "ThresholdedRelu": ({"alpha": 1.0}, lambda x, alpha: np.where(logic.FUNCTIONS["Greater"](x, alpha), x, 0)),
    "Elu": ({"alpha": 1.0}, _exponential),
    "Selu": ({"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}, _exponential),
    "Celu": ({"alpha": 1.0}, lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)),
    "Gelu": ({"approximate": "none"}, _gelu),
    "Mish": ({}, lambda x: x * np.tanh(_softplus(x))),
    "Softplus": ({}, _softplus),
    "Softsign": ({}, lambda x: x / (1 + np.abs(x))),
    "Erf": ({}, _erf),
    "Abs": ({}, np.abs),
    "Neg": ({}, np.negative),
    "Exp": ({}, np.exp),
    "Log": ({}, np.log),
    "Sqrt": ({}, np.sqrt),
    "Reciprocal": ({}, np.reciprocal),
}
#: Operators of two inputs that are functions of one when the other is a constant number.
WITH_NUMBER: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
}
#: What a result that is not quantised may go to: all that a formula may hold, and its end.
IN_FORMULAS = frozenset({*FUNCTIONS, *WITH_NUMBER, *logic.FUNCTIONS, "PRelu", "Relu", "Clip", "QuantizeLinear"})


@dataclass(frozen=True)
class Table:
    """values uint8 (256,): the result for each level of the input; function: its name, for people."""

    values: np.ndarray
    function: str


@dataclass(frozen=True)
class Formula:
    """A function of one activation that the file does not quantise: part of a longer formula (x * clip(x + 3, 0, 6) / 6).

    Readers of it go on with the formula; the QuantizeLinear at its end makes one table of it.
    """

    x: Tensor
    function: tables.Function
    name: str

    def quantize(self, reader, node) -> None:
        """The table, as what the input of a QuantizeLinear is."""
        quantization, raw = reader.quantization(node)
        _append(reader, node, self, Sink(quantization, raw=raw), node.input[0])


def read(reader, node) -> None:
    """ONNX operators of FUNCTIONS; Div, Pow, Max and Min with one constant number; comparisons and choices in a formula."""
    if node.op_type in logic.FUNCTIONS:
        _read_logic(reader, node)
        return
    if node.op_type in WITH_NUMBER:
        if read_with_number(reader, node) or (node.op_type == "Div" and broadcast.read_with_array(reader, node)):
            return
        if node.op_type in ("Max", "Min") and len(node.input) == 2 and not any(map(reader.is_constant, node.input)):
            broadcast.read_extreme(reader, node)
            return
        raise reader.unsupported(node, "two activations; one of the inputs must be a constant number")
    defaults, function = FUNCTIONS[node.op_type]
    attributes = reader.attributes(node, **defaults)
    inner = _formula(reader, node, 0)
    _add(reader, node, Formula(inner.x, lambda x: function(inner.function(x), **attributes), node.op_type.lower()))


def read_with_number(reader, node) -> bool:
    """Read a node of WITH_NUMBER if its inputs are one activation, formulas of it, and constant numbers; else False."""
    if len(node.input) != 2:
        return False
    constant = [reader.is_constant(name) for name in node.input]
    if not any(constant) and not any(name in reader.deferred for name in node.input):
        return False
    operands = _operands(reader, node)
    if operands is None:
        return False
    _combined(reader, node, WITH_NUMBER[node.op_type], operands)
    return True


def _read_logic(reader, node) -> None:
    operands = _operands(reader, node)
    if operands is None or not any(isinstance(f, Formula) for f in operands):
        raise reader.unsupported(
            node, "constants that are not one number; within a formula of one activation such can be"
        )
    function = logic.FUNCTIONS[node.op_type]
    _combined(reader, node, lambda *values: np.asarray(function(*values), np.float64), operands)


def _operands(reader, node) -> list[Formula | float] | None:
    """The inputs as formulas and constant numbers; None if a constant is not one number."""
    found: list[Formula | float] = []
    for k, name in enumerate(node.input):
        if not reader.is_constant(name):
            found.append(_formula(reader, node, k))
            continue
        number = np.asarray(reader.constant(node, k), np.float64)
        if number.size != 1 or number.ndim > 4:
            return None
        found.append(float(number.reshape(())))
    return found


def _combined(reader, node, operation: Callable[..., np.ndarray], operands: list[Formula | float]) -> None:
    """What an operator makes of formulas of one activation, and numbers."""
    reader.attributes(node)
    formulas = [f for f in operands if isinstance(f, Formula)]
    if len({f.x.name for f in formulas}) != 1:
        why = "two activations of which one is not quantised; quantise both"
        if node.op_type in logic.FUNCTIONS:
            why = "different activations; comparisons and choices have a form in integers within functions of one"
        raise reader.unsupported(node, why)
    functions = [f.function if isinstance(f, Formula) else _always(f) for f in operands]
    words = [f.name if isinstance(f, Formula) else f"{f:g}" for f in operands]
    text = f" {node.op_type.lower()} ".join(words) if len(words) == 2 else f"{node.op_type.lower()} {' '.join(words)}"
    _add(reader, node, Formula(formulas[0].x, lambda x: operation(*(f(x) for f in functions)), text))


def begins(reader, node) -> bool:
    """Whether a node whose result is not quantised begins a formula, or goes on with one."""
    readers = reader.consumers(node.output[0])
    inside = all(n.op_type in IN_FORMULAS for n in readers)
    return bool(readers) and inside and not reader.is_output(node.output[0])


def clamped(reader, node, low: float | None, high: float | None) -> None:
    """Relu or Clip as part of a formula."""
    inner = _formula(reader, node, 0)
    _add(reader, node, Formula(inner.x, lambda x: np.clip(inner.function(x), low, high), f"clip {inner.name}"))


def _always(number: float) -> tables.Function:
    return lambda x: np.full_like(x, number)


def _formula(reader, node, index: int) -> Formula:
    """An input as a function of an activation."""
    found = reader.deferred.get(node.input[index])
    return found or Formula(reader.activation(node, index, rows=True), lambda x: x, "x")


def read_slope(reader, node, slope: float) -> None:
    """PRelu with one slope."""
    inner = _formula(reader, node, 0)

    def function(x: np.ndarray) -> np.ndarray:
        values = inner.function(x)
        return np.where(values < 0, slope * values, values)

    _add(reader, node, Formula(inner.x, function, "prelu"))


def _add(reader, node, formula: Formula) -> None:
    """The table of a formula, or what becomes of it further on."""
    try:
        sink = reader.sink(node)
    except UnsupportedError:
        if not begins(reader, node):
            raise
        reader.deferred[node.output[0]] = formula
        return
    _append(reader, node, formula, sink, node.output[0])


def _append(reader, node, formula: Formula, sink, output: str) -> None:
    x, y = formula.x, sink.quantization
    try:
        values = tables.tabulate(
            formula.function, x.quantization.scale, x.quantization.zero, y.scale, y.zero, sink.low, sink.high
        )
    except ValueError as error:
        raise reader.unsupported(node, f"{error}; choose a zero point that leaves such values out") from None
    name = formula.name if len(formula.name) < 60 else "a formula of x"
    reader.add("table", node, [x], x.shape, y, Table(values, name), output)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result."""
    import torch

    return torch.from_numpy(node.attributes.values)[inputs[0].to(torch.int64)]


def sample(draw) -> Graph:
    """A random function."""
    x = draw.tensor("x", (1, draw.integer(1, 60)))
    y = Tensor("y", x.shape, draw.quantization(0.02))
    low, high = draw.range()
    name = draw.choice(["Sigmoid", "Tanh", "HardSwish", "Gelu", "Exp"])
    defaults, function = FUNCTIONS[name]
    q, p = x.quantization, y.quantization
    values = tables.tabulate(lambda v: function(v, **defaults), q.scale, q.zero, p.scale, p.zero, low, high)
    return sampling.graph("table", [x], y, Table(values, name.lower()))


OPERATOR = Operator(
    name="table",
    title="functions of one value (sigmoid, tanh, GELU, with a constant number, ...), as a table of 256 bytes",
    onnx=(*FUNCTIONS, *logic.FUNCTIONS, "Div", "Pow", "Max", "Min"),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: node.attributes.function,
)
