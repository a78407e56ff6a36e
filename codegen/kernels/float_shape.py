"""What the descriptors of float kernels have in common."""

import numpy as np

from lamella.codegen.cdata import Array, Symbol
from lamella.codegen.operators.windows import Window

HEADER = "lam_float.h"
FUNCTIONS = "src/lam_float_functions.c"


def function(name: str) -> Symbol:
    """The C function of a name in lamella.codegen.float_math."""
    return Symbol(f"lam_float_{name}")


def constant(suffix: str, values: np.ndarray | None, comment: str = "") -> Array | None:
    """float32 values in flash; None for an operand that is an input."""
    return None if values is None else Array(suffix, "float", np.asarray(values, np.float32), comment, is_weights=True)


def numbers(suffix: str, values, ctype: str = "uint32_t", comment: str = "") -> Array:
    """A small array of sizes or steps; one number at least, for C."""
    values = np.asarray(values, np.int64).reshape(-1)
    return Array(suffix, ctype, values if values.size else np.zeros(1, np.int64), comment, shared=True)


def steps(shape: tuple[int, ...]) -> list[int]:
    """Values between neighbours along each axis; 0 along axes of one, which spread."""
    found, step = [], 1
    for d in reversed(shape):
        found.append(step if d > 1 else 0)
        step *= d
    return found[::-1]


def inside(window: Window, size: tuple[int, int], out: tuple[int, int]) -> int:
    """Values of an image that windows read, each as often as it is read: places that lie in the padding do not count."""
    counts = []
    for k in range(2):
        start = np.arange(out[k]) * window.stride[k] - window.pads[k]
        step, taps = window.dilation[k], window.kernel[k]
        first, behind = (np.clip(-((start - place) // step), 0, taps) for place in (0, size[k]))
        counts.append(int((behind - first).sum()))
    return counts[0] * counts[1]


def merged(shape: tuple[int, ...], *step: list[int]) -> tuple[list[int], ...]:
    """Fewer axes: (shape, steps..) without those of one, and with neighbours that all operands step through as if they were one."""
    axes = [[d, *(s[k] for s in step)] for k, d in enumerate(shape) if d > 1]
    found: list[list[int]] = []
    for axis in axes:
        if found and all(outer == inner * axis[0] for outer, inner in zip(found[-1][1:], axis[1:], strict=True)):
            found[-1] = [found[-1][0] * axis[0], *axis[1:]]
        else:
            found.append(axis)
    found = found or [[1] + [0] * len(step)]
    return tuple(list(column) for column in zip(*found, strict=True))
