"""Functions of one 8-bit value as tables of 256 bytes. Numpy only: trainer and code generator call the same function.

y = clamp(zero + floor(f(scale of x * (q - zero of x)) / scale of y + 1/2), low, high), in float64
"""

from collections.abc import Callable

import numpy as np

ENTRIES = 256

Function = Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def tabulate(
    function: Function, x_scale: float, x_zero: int, y_scale: float, y_zero: int, low: int = 0, high: int = 255
) -> np.ndarray:
    """uint8 (256,): what each level of x becomes. ValueError where the function has no value for one of them."""
    x = float(np.float32(x_scale)) * (np.arange(ENTRIES, dtype=np.float64) - x_zero)
    with np.errstate(all="ignore"):
        y = np.asarray(function(x), np.float64) / float(np.float32(y_scale))
    if np.isnan(y).any():
        raise ValueError(f"the function has no value at {x[np.isnan(y)][0]:.6g}, which its input can take")
    return np.clip(y_zero + np.floor(np.clip(y, -1e9, 1e9) + 0.5), low, high).astype(np.uint8)
