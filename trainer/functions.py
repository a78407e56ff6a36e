"""Functions of one value in a network: one record each, for training, for the integers, and for ONNX.

In integers a function is a table of 256 bytes (lamella.tables), so that any function costs the same and is exact to half a
level. `parameter` is the one number that some have, such as the slope of a leaky ReLU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lamella import tables
from lamella.trainer.fake_quantize import Affine

#: Writes one operator of ONNX: type, inputs (names, or numbers that become constants), attributes; gives its output's name.
Emit = Callable[..., str]


@dataclass(frozen=True)
class Function:
    """torch, numpy: the function of values and the parameter. onnx: its operators, written by calls of Emit(kind, inputs).

    affine: the quantisation of results that lie in a known range, so that all nodes of a function can share a table.
    """

    torch: Callable[[Tensor, float], Tensor]
    numpy: Callable[[np.ndarray, float], np.ndarray]
    onnx: Callable[[Emit, str, float], str]
    affine: Affine | None = None


#: Numbers as the ONNX file holds them, in float32: a table must be made of the same.
SIXTH, ROOT_OF_TWO = float(np.float32(1 / 6)), float(np.float32(math.sqrt(2)))


def _hard_sigmoid(x: np.ndarray, _: float) -> np.ndarray:
    return np.clip(SIXTH * x + 0.5, 0, 1)


def _gelu(x: np.ndarray, _: float) -> np.ndarray:
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return x * 0.5 * (erf(x / ROOT_OF_TWO) + 1)


def _gelu_onnx(emit: Emit, x: str, _: float) -> str:
    """Gelu is an operator from opset 20 on only."""
    return emit("Mul", emit("Mul", x, 0.5), emit("Add", emit("Erf", emit("Div", x, ROOT_OF_TWO)), 1.0))


FUNCTIONS: dict[str, Function] = {
    "sigmoid": Function(
        lambda x, _: torch.sigmoid(x),
        lambda x, _: tables.sigmoid(x),
        lambda emit, x, _: emit("Sigmoid", x),
        Affine(1.0 / 256.0, 0),
    ),
    "tanh": Function(
        lambda x, _: torch.tanh(x),
        lambda x, _: np.tanh(x),
        lambda emit, x, _: emit("Tanh", x),
        Affine(1.0 / 128.0, 128),
    ),
    "leaky_relu": Function(
        lambda x, slope: F.leaky_relu(x, slope),
        lambda x, slope: np.where(x < 0, slope * x, x),
        lambda emit, x, slope: emit("LeakyRelu", x, alpha=slope),
    ),
    "elu": Function(
        lambda x, alpha: F.elu(x, alpha),
        lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
        lambda emit, x, alpha: emit("Elu", x, alpha=alpha),
    ),
    "hard_sigmoid": Function(
        lambda x, _: F.hardsigmoid(x),
        _hard_sigmoid,
        lambda emit, x, _: emit("HardSigmoid", x, alpha=SIXTH, beta=0.5),
        Affine(1.0 / 256.0, 0),
    ),
    "hard_swish": Function(
        lambda x, _: F.hardswish(x),
        lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda emit, x, _: emit("HardSwish", x),
    ),
    "silu": Function(
        lambda x, _: F.silu(x),
        lambda x, _: x * tables.sigmoid(x),
        lambda emit, x, _: emit("Mul", x, emit("Sigmoid", x)),
    ),
    "gelu": Function(lambda x, _: F.gelu(x), _gelu, _gelu_onnx),
    # With a number, such as the mean and deviation of an input that forward normalises itself.
    "add_number": Function(
        lambda x, number: x + number,
        lambda x, number: x + number,
        lambda emit, x, number: emit("Add", x, number),
    ),
    "multiply_number": Function(
        lambda x, number: x * number,
        lambda x, number: x * number,
        lambda emit, x, number: emit("Mul", x, number),
    ),
    "softplus": Function(
        lambda x, _: F.softplus(x),
        lambda x, _: np.logaddexp(0.0, x),
        lambda emit, x, _: emit("Softplus", x),
    ),
}
