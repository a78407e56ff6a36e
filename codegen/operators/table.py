"""Functions of one value, from one quantisation to another, as a table of 256 bytes computed at generation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lamella import tables
from lamella.codegen.ir import Graph, Node, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator

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
    "ThresholdedRelu": ({"alpha": 1.0}, lambda x, alpha: np.where(x > alpha, x, 0)),
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
}


@dataclass(frozen=True)
class Table:
    """values uint8 (256,): the result for each level of the input; function: its name, for people."""

    values: np.ndarray
    function: str


def read(reader, node) -> None:
    """ONNX operators of FUNCTIONS; Div and Pow with one constant number."""
    if node.op_type in WITH_NUMBER:
        if not read_with_number(reader, node):
            raise reader.unsupported(node, "two activations; one of the inputs must be a constant number")
        return
    defaults, function = FUNCTIONS[node.op_type]
    attributes = reader.attributes(node, **defaults)
    _add(reader, node, reader.activation(node, 0), lambda x: function(x, **attributes), node.op_type.lower())


def read_with_number(reader, node) -> bool:
    """Read a node of WITH_NUMBER if one of its inputs is a constant number; False if both are activations."""
    constant = [reader.is_constant(name) for name in node.input]
    if not any(constant):
        return False
    reader.attributes(node)
    k = constant.index(True)
    number = np.asarray(reader.constant(node, k), np.float64)
    if number.size != 1:
        raise reader.unsupported(
            node, f"a constant of shape {number.shape}; a number is supported, or a bias behind MatMul, Gemm and Conv"
        )
    operation, value = WITH_NUMBER[node.op_type], float(number.reshape(()))
    name = node.op_type.lower()

    def function(x: np.ndarray) -> np.ndarray:
        return operation(value, x) if k == 0 else operation(x, value)

    text = f"{value:g} {name} x" if k == 0 else f"x {name} {value:g}"
    _add(reader, node, reader.activation(node, 1 - k), function, text)
    return True


def _add(reader, node, x: Tensor, function: tables.Function, name: str) -> None:
    sink = reader.sink(node)
    y = sink.quantization
    try:
        values = tables.tabulate(
            function, x.quantization.scale, x.quantization.zero, y.scale, y.zero, sink.low, sink.high
        )
    except ValueError as error:
        raise reader.unsupported(node, f"{error}; choose a zero point that leaves such values out") from None
    reader.add("table", node, [x], x.shape, y, Table(values, name))


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
    onnx=(*FUNCTIONS, "Div", "Pow"),
    read=read,
    reference=reference,
    sample=sample,
    in_place=True,
    details=lambda graph, node: node.attributes.function,
)
