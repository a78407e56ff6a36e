"""Functions of every value, and of two values."""

from functools import partial

import numpy as np

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


def _unary(reader, node, function: str, **defaults: float) -> None:
    """defaults: the attributes that are the function's parameters a and b."""
    a = reader.attributes(node, **defaults) if defaults else reader.attributes(node)
    reader.give(node, reader.unary(node, function, reader.operand(node, 0), *map(float, a.values())))


def _binary(reader, node, function: str) -> None:
    reader.attributes(node)
    reader.give(node, reader.binary(node, function, reader.operand(node, 0), reader.operand(node, 1)))


def _many(reader, node, function: str, mean: bool = False) -> None:
    reader.attributes(node)
    x = reader.operand(node, 0)
    for k in range(1, len(node.input)):
        x = reader.binary(node, function, x, reader.operand(node, k))
    if mean:
        x = reader.scalar(node, "div", x, len(node.input))
    if len(node.input) == 1:
        x = reader.unary(node, "leaky", x, 1.0, 1.0)  # a copy: the result is a tensor of its own
    reader.give(node, x)


def _leaky(reader, node) -> None:
    a = reader.attributes(node, alpha=0.01)["alpha"]
    reader.give(node, reader.unary(node, "leaky", reader.operand(node, 0), a, 1.0))


def _relu(reader, node) -> None:
    reader.attributes(node)
    reader.give(node, reader.unary(node, "at_least", reader.operand(node, 0), 0.0))


def _clip(reader, node) -> None:
    low, high = reader.bounds(node)
    x = reader.operand(node, 0)
    if low is not None and high is not None:
        x = reader.unary(node, "clip", x, low, high)
    elif low is not None:
        x = reader.unary(node, "at_least", x, low)
    else:
        x = reader.unary(node, "leaky", x, 1.0, 1.0) if high is None else reader.unary(node, "at_most", x, high)
    reader.give(node, x)


def _elu(reader, node) -> None:
    a = reader.attributes(node, alpha=1.0)["alpha"]
    reader.give(node, reader.unary(node, "elu", reader.operand(node, 0), a, 1.0))


def _selu(reader, node) -> None:
    a = reader.attributes(node, alpha=SELU_ALPHA, gamma=SELU_GAMMA)
    reader.give(node, reader.unary(node, "elu", reader.operand(node, 0), a["alpha"], a["gamma"]))


def _hard_swish(reader, node) -> None:
    reader.attributes(node)
    reader.give(node, reader.unary(node, "hard_swish", reader.operand(node, 0), 1 / 6, 0.5))


def _shrink(reader, node) -> None:
    a = reader.attributes(node, bias=0.0, lambd=0.5)
    reader.give(node, reader.unary(node, "shrink", reader.operand(node, 0), a["lambd"], a["bias"]))


def _gelu(reader, node) -> None:
    kind = reader.attributes(node, approximate="none")["approximate"]
    reader.give(node, reader.unary(node, "gelu_tanh" if kind == "tanh" else "gelu", reader.operand(node, 0)))


def _pow(reader, node) -> None:
    """Exponents may be integers: as constants they are taken for real numbers."""
    reader.attributes(node)
    name = node.input[1]
    if name in reader.constants:
        exponent = reader.fixed(reader.constants[name].astype(np.float32))
    else:
        exponent = reader.operand(node, 1)
    reader.give(node, reader.binary(node, "pow", reader.operand(node, 0), exponent))


READERS = {
    **{
        kind: partial(_unary, function=function)
        for kind, function in {
            "Abs": "abs", "Neg": "neg", "Sign": "sign", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Exp": "exp",
            "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal", "Sigmoid": "sigmoid", "Tanh": "tanh", "Erf": "erf",
            "Softplus": "softplus", "Softsign": "softsign", "Mish": "mish", "Sin": "sin", "Cos": "cos",
        }.items()
    },
    "HardSigmoid": partial(_unary, function="hard_sigmoid", alpha=0.2, beta=0.5),
    "ThresholdedRelu": partial(_unary, function="thresholded", alpha=1.0),
    "Celu": partial(_unary, function="celu", alpha=1.0),
    "Swish": partial(_unary, function="silu", alpha=1.0),
    "Relu": _relu,
    "LeakyRelu": _leaky,
    "Clip": _clip,
    "Elu": _elu,
    "Selu": _selu,
    "HardSwish": _hard_swish,
    "Shrink": _shrink,
    "Gelu": _gelu,
    **{kind: partial(_binary, function=kind.lower()) for kind in ("Add", "Sub", "Mul", "Div")},
    "PRelu": partial(_binary, function="prelu"),
    "Pow": _pow,
    "Max": partial(_many, function="max"),
    "Min": partial(_many, function="min"),
    "Sum": partial(_many, function="add"),
    "Mean": partial(_many, function="add", mean=True),
}  # fmt: skip
