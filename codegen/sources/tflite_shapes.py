"""Integers that a TFLite file computes from shapes (SHAPE, STRIDED_SLICE, PACK, ... in front of RESHAPE): known once and for all,
since shapes are, with a batch of one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np
import tflite

from lamella.codegen.sources.tflite_model import Op
from lamella.codegen.sources.tflite_writer import Refused, Writer

#: More than this is no shape any more.
MOST = 1024


def fold(w: Writer, op: Op) -> bool:
    """Give the results of an operator on integers that are all known; False for any other operator."""
    function = _FUNCTIONS.get(op.kind)
    if function is None or len(op.outputs) != 1 or not op.inputs or op.inputs[0] < 0:
        return False
    y = w.tensor(op.outputs[0])
    if y.dtype not in (np.int32, np.int64) or y.scales.size or prod(y.shape) > MOST:
        return False
    if op.kind == "SHAPE":
        inputs = [np.array(w.tensor(op.inputs[0]).shape)]
    elif all(w.is_constant(index) and prod(w.tensor(index).shape) <= MOST for index in op.inputs):
        inputs = [np.asarray(w.values(index)) for index in op.inputs]
    else:
        return False
    try:
        values = np.asarray(function(op, *inputs)).astype(y.dtype).reshape(y.shape)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise Refused(f"integers that cannot be computed ({error}); convert the model again") from None
    w.source.tensors[y.index] = replace(y, values=values)
    return True


def _strided_slice(op: Op, x: np.ndarray, begin: np.ndarray, end: np.ndarray, steps: np.ndarray) -> np.ndarray:
    o = op.options(tflite.StridedSliceOptions)
    if x.ndim != 1 or len(steps) != 1 or o.EllipsisMask() or o.NewAxisMask():
        raise ValueError("a slice of more than one axis")
    if o.ShrinkAxisMask():
        return x[int(begin[0])]
    return x[slice(None if o.BeginMask() else int(begin[0]), None if o.EndMask() else int(end[0]), int(steps[0]))]


def _pack(op: Op, *inputs: np.ndarray) -> np.ndarray:
    return np.stack(inputs, op.options(tflite.PackOptions).Axis())


def _concatenation(op: Op, *inputs: np.ndarray) -> np.ndarray:
    return np.concatenate(inputs, op.options(tflite.ConcatenationOptions).Axis())


def _gather(op: Op, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take(x, places, op.options(tflite.GatherOptions).Axis())


_FUNCTIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "SHAPE": lambda op, shape: shape,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "GATHER": _gather,
    "CAST": lambda op, x: x,
    "RESHAPE": lambda op, x, *shape: x,
    "SQUEEZE": lambda op, x: x,
    "EXPAND_DIMS": lambda op, x, axis: x,
    "ADD": lambda op, a, b: a + b,
    "SUB": lambda op, a, b: a - b,
    "MUL": lambda op, a, b: a * b,
    "REDUCE_PROD": lambda op, x, axes: np.prod(x, tuple(int(a) for a in np.atleast_1d(axes))),
}
