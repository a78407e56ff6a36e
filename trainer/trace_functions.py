"""Functions of one value, and arithmetic on two tensors or a tensor and a number, in every form that fx shows.

`base`: fields that every node has.
"""

import math
import operator
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from lamella.trainer.graph import AddNode, FunctionNode, MultiplyNode, Node, SubtractNode

CALLS = {
    **dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), "sigmoid"),
    **dict.fromkeys((torch.tanh, F.tanh, "tanh"), "tanh"),
    F.leaky_relu: "leaky_relu",
    F.elu: "elu",
    F.hardsigmoid: "hard_sigmoid",
    F.hardswish: "hard_swish",
    F.silu: "silu",
    F.gelu: "gelu",
    F.softplus: "softplus",
}
MODULES = {
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.LeakyReLU: "leaky_relu",
    nn.ELU: "elu",
    nn.Hardsigmoid: "hard_sigmoid",
    nn.Hardswish: "hard_swish",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.Softplus: "softplus",
}
#: The parameter that a function takes, and torch's default.
PARAMETERS = {"leaky_relu": ("negative_slope", 0.01), "elu": ("alpha", 1.0)}


class _Quotient(Node):
    """A tensor divided by a number: multiplied, in the graph. There is no node for two tensors."""


ARITHMETIC: dict[object, type[Node]] = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), AddNode),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub, "sub", "sub_"), SubtractNode),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul, "mul", "mul_"), MultiplyNode),
    **dict.fromkeys((operator.truediv, operator.itruediv, torch.div, "div", "div_"), _Quotient),
}


def from_module(module: nn.Module, base: dict) -> Node | None:
    """A layer of MODULES; None for others, and for forms of them that are not there."""
    function = MODULES.get(type(module))
    approximate = getattr(module, "approximate", "none") != "none"
    bent = function == "softplus" and (module.beta, module.threshold) != (1, 20)
    if function is None or approximate or bent:
        return None
    key, default = PARAMETERS.get(function, ("", 0.0))
    return _function(base, function, getattr(module, key, default))


def from_call(step: fx.Node, base: dict) -> Node | None:
    """A call of CALLS; None with arguments that its form in integers lacks."""
    function = CALLS[step.target]
    key, default = PARAMETERS.get(function, ("", 0.0))
    others = {k: v for k, v in step.kwargs.items() if k not in ("inplace", "input", key)}
    if others.pop("approximate", "none") != "none" or others or len(step.args) > (2 if key else 1):
        return None
    value = step.args[1] if len(step.args) > 1 else step.kwargs.get(key, default)
    return _function(base, function, value)


def arithmetic(step: fx.Node, base: dict, name: Callable[[fx.Node], str]) -> Node | None:
    """A sum, difference or product of two tensors, or of a tensor and a number, by which it may be divided too."""
    kind, args, kwargs = ARITHMETIC[step.target], step.args, step.kwargs
    operands = [a for a in args[:2] if isinstance(a, fx.Node)]
    if len(operands) == 1 and len(args) == 2 and not kwargs:
        return _with_number(kind, args, base)
    # One may be stretched to the other, such as a factor for each channel (squeeze and excitation).
    shapes = [tuple(a.meta["tensor_meta"].shape[1:]) for a in step.all_input_nodes if "tensor_meta" in a.meta]
    fits = base["shape"] in shapes and all(len(shape) == len(base["shape"]) for shape in shapes)
    plain = len(operands) == 2 and fits and kwargs.get("alpha", 1) == 1 and kind is not _Quotient
    return kind(**base | {"inputs": tuple(map(name, operands))}) if plain else None


def _with_number(kind: type[Node], args: tuple, base: dict) -> Node | None:
    first, second = args
    number = second if isinstance(first, fx.Node) else first
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    if number is first and kind in (SubtractNode, _Quotient):  # number - x, number / x
        return None
    value = {SubtractNode: -number, _Quotient: 1 / number if number else math.inf}.get(kind, number)
    function = "multiply_number" if kind in (MultiplyNode, _Quotient) else "add_number"
    return _function(base, function, value) if math.isfinite(value) else None


def _function(base: dict, function: str, parameter: float) -> FunctionNode:
    """With the parameter as the ONNX file will hold it."""
    return FunctionNode(**base, function=function, parameter=float(np.float32(parameter)))
