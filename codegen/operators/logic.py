"""Comparisons and choices within a formula of one activation: Where(x > 20, x, softplus(x)) is a table like any other."""

from collections.abc import Callable, Mapping

import numpy as np


def _of_float32(
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """As the file compares: where a level is the very threshold, the last bits of float64 would decide otherwise."""
    return lambda a, b: compare(np.asarray(a, np.float32), np.asarray(b, np.float32))


#: ONNX operators by what they make of their inputs, truth being any number but 0.
FUNCTIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "Greater": _of_float32(np.greater),
    "GreaterOrEqual": _of_float32(np.greater_equal),
    "Less": _of_float32(np.less),
    "LessOrEqual": _of_float32(np.less_equal),
    "Equal": _of_float32(np.equal),
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Where": lambda condition, a, b: np.where(condition != 0, a, b),
}
