"""What a TFLite file says, as plain records: tensors, constants, operators. The flatbuffer is read here and nowhere else."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import tflite

from lamella.codegen.sources.onnx_file import LARGEST_TENSOR
from lamella.errors import UnsupportedError, UsageError

#: Of a longer name, which only a damaged file has, the beginning stands for it.
LONGEST_NAME = 1000
_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.BOOL: np.bool_,
}
_TYPE_NAMES = {v: k for k, v in vars(tflite.TensorType).items() if isinstance(v, int)}
_OPERATORS = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}


@dataclass(frozen=True)
class Tensor:
    """A tensor: shape and values as in the file; scales empty if it is not quantised; axis of scales per channel."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scales: np.ndarray
    zeros: np.ndarray
    axis: int
    values: np.ndarray | None


@dataclass(frozen=True)
class Op:
    """An operator: TFLite's name for it, and a name of its own for messages and ONNX."""

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: object

    def options(self, kind: type) -> object:
        """Its options as a class of the tflite package, defaults if the file has none."""
        found = kind()
        if self.table is None:
            return _Defaults(found)
        found.Init(self.table.Bytes, self.table.Pos)
        return found


class _Defaults:
    """Options that the file leaves out: every number is zero."""

    def __init__(self, options: object):
        self._known = dir(options)

    def __getattr__(self, name: str):
        if name not in self._known:
            raise AttributeError(name)
        return lambda: 0


class Model:
    """The first subgraph of a file, checked against the size of the file."""

    def __init__(self, path: Path, root: tflite.Model, size: int):
        self.path, self._root, self._size = path, root, size
        if root.SubgraphsLength() != 1:
            raise UnsupportedError(
                f"{path}: {root.SubgraphsLength()} subgraphs (If, While or a signature); convert a model of one"
            )
        self._graph = root.Subgraphs(0)
        self._counted(self._graph.TensorsLength(), self._graph.OperatorsLength(), self._graph.InputsLength())
        self.inputs = [int(i) for i in self._graph.InputsAsNumpy()] if self._graph.InputsLength() else []
        self.outputs = [int(i) for i in self._graph.OutputsAsNumpy()] if self._graph.OutputsLength() else []
        name = _text(self._graph.Name())
        self.name = path.stem if name in ("", "main") else name  # "main" is what converters write for want of one
        taken: set[str] = set()
        self.tensors = [self._tensor(i, taken) for i in range(self._graph.TensorsLength())]
        if any(not 0 <= i < len(self.tensors) for i in (*self.inputs, *self.outputs)):
            raise UsageError(f"{path}: a damaged TFLite file (an input or output that is no tensor); convert it again")

    def _counted(self, *counts: int) -> None:
        if any(not 0 <= 4 * count <= self._size for count in counts):
            raise UsageError(f"{self.path}: a damaged TFLite file (more parts than bytes); convert it again")

    def _tensor(self, index: int, taken: set[str]) -> Tensor:
        t = self._graph.Tensors(index)
        name = _text(t.Name()) or f"tensor_{index}"
        while name in taken:
            name += f"_{index}"
        taken.add(name)
        self._counted(t.ShapeLength())
        shape = tuple(int(d) for d in t.ShapeAsNumpy()) if t.ShapeLength() else ()
        if any(d < 1 for d in shape) or prod(map(float, shape)) > LARGEST_TENSOR:
            raise UnsupportedError(f"{self.path}: tensor {name!r} has shape {shape}; convert with fixed sizes")
        if t.Type() not in _TYPES:
            raise UnsupportedError(f"{self.path}: tensor {name!r} has type {_TYPE_NAMES.get(t.Type(), t.Type())}")
        dtype = np.dtype(_TYPES[t.Type()])
        if t.Sparsity() is not None:
            raise UnsupportedError(f"{self.path}: tensor {name!r} is stored sparse; convert without sparse encoding")
        scales, zeros, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        q = t.Quantization()
        if q is not None and q.ScaleLength():
            self._counted(q.ScaleLength(), q.ZeroPointLength())
            scales = np.array(q.ScaleAsNumpy(), np.float32)
            zeros = np.array(q.ZeroPointAsNumpy(), np.int64) if q.ZeroPointLength() else np.zeros(scales.size, np.int64)
            axis = q.QuantizedDimension()
            if zeros.size != scales.size or (scales.size > 1 and not 0 <= axis < len(shape)):
                raise UsageError(f"{self.path}: tensor {name!r} has scales and zero points that do not fit its shape")
        return Tensor(index, name, shape, dtype, scales, zeros, axis, self._values(t, name, shape, dtype))

    def _values(self, t, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
        if not 0 <= t.Buffer() < self._root.BuffersLength():
            raise UsageError(f"{self.path}: tensor {name!r} has no buffer; convert the model again")
        buffer = self._root.Buffers(t.Buffer())
        if not buffer.DataLength():
            return None
        self._counted(buffer.DataLength() // 4)
        data = bytes(buffer.DataAsNumpy())
        if len(data) != prod(shape) * dtype.itemsize:
            raise UsageError(f"{self.path}: tensor {name!r} has {len(data)} bytes for shape {shape}; convert it again")
        return np.frombuffer(data, dtype).reshape(shape)

    @cached_property
    def ops(self) -> list[Op]:
        """The operators in execution order."""
        found = []
        for k in range(self._graph.OperatorsLength()):
            op = self._graph.Operators(k)
            code = self._root.OperatorCodes(op.OpcodeIndex())
            kind = _OPERATORS.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "UNKNOWN")
            if kind == "CUSTOM":
                kind = f"CUSTOM {_text(code.CustomCode())}"
            self._counted(op.InputsLength(), op.OutputsLength())
            inputs = tuple(int(i) for i in op.InputsAsNumpy()) if op.InputsLength() else ()
            outputs = tuple(int(i) for i in op.OutputsAsNumpy()) if op.OutputsLength() else ()
            if any(not -1 <= i < len(self.tensors) for i in inputs) or any(
                not 0 <= i < len(self.tensors) for i in outputs
            ):
                raise UsageError(f"{self.path}: operator {k} uses a tensor that is not there; convert the model again")
            found.append(Op(kind, f"{kind.lower()}_{k}", inputs, outputs, op.BuiltinOptions()))
        return found


def _text(raw: bytes | None) -> str:
    return (raw or b"")[:LONGEST_NAME].decode("utf-8", "replace")
