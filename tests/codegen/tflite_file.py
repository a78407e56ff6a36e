"""Writes small TFLite files, so that every operator can be tried: tensors are named by what `tensor` returns."""

import flatbuffers
import numpy as np
import tflite

_KINDS = {"int8": tflite.TensorType.INT8, "uint8": tflite.TensorType.UINT8, "int32": tflite.TensorType.INT32,
          "int64": tflite.TensorType.INT64, "float32": tflite.TensorType.FLOAT32}  # fmt: skip


class File:
    """A model of one subgraph under construction."""

    def __init__(self):
        self.tensors, self.ops = [], []

    def tensor(self, shape, scale=None, zero=0, kind="int8", values=None, axis=0) -> int:
        """A tensor's index; scale: a number, several along an axis, or None. Constant if it has values."""
        self.tensors.append((tuple(shape), scale, zero, kind, values, axis))
        return len(self.tensors) - 1

    def constant(self, values, kind="int32", scale=None, zero=0, axis=0) -> int:
        """A constant tensor."""
        values = np.asarray(values, kind)
        return self.tensor(values.shape, scale, zero, kind, values, axis)

    def op(self, kind: str, inputs, outputs, options: str = "", **fields) -> int:
        """An operator with options of the class of that name; the first output."""
        self.ops.append((kind, list(inputs), list(outputs), options, fields))
        return outputs[0]

    def write(self, path, inputs, outputs) -> None:
        """The file."""
        b = flatbuffers.Builder(4096)
        kinds = list(dict.fromkeys(op[0] for op in self.ops))
        buffers = [self._buffer(b, b""), *(self._buffer(b, t[4].tobytes()) for t in self.tensors if t[4] is not None)]
        next_buffer = iter(range(1, len(buffers)))
        tensors = [
            self._tensor(b, k, t, next(next_buffer) if t[4] is not None else 0) for k, t in enumerate(self.tensors)
        ]
        ops = [self._op(b, kinds, op) for op in self.ops]
        parts = [self._vector(b, tensors, tables=True), self._vector(b, inputs), self._vector(b, outputs),
                 self._vector(b, ops, tables=True), b.CreateString("by hand")]  # fmt: skip
        tflite.SubGraphStart(b)
        for add, part in zip(("Tensors", "Inputs", "Outputs", "Operators", "Name"), parts, strict=True):
            getattr(tflite, f"SubGraphAdd{add}")(b, part)
        graph = tflite.SubGraphEnd(b)
        codes = []
        for kind in kinds:
            code = getattr(tflite.BuiltinOperator, kind)
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        parts = {"OperatorCodes": self._vector(b, codes, tables=True), "Subgraphs": self._vector(b, [graph], tables=True),
                 "Buffers": self._vector(b, buffers, tables=True)}  # fmt: skip
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        for name, part in parts.items():
            getattr(tflite, f"ModelAdd{name}")(b, part)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(bytes(b.Output()))

    def _buffer(self, b, data: bytes) -> int:
        place = b.CreateByteVector(data) if data else None
        tflite.BufferStart(b)
        if place is not None:
            tflite.BufferAddData(b, place)
        return tflite.BufferEnd(b)

    def _tensor(self, b, index: int, tensor, buffer: int) -> int:
        shape, scale, zero, kind, _, axis = tensor
        name, place, quantization = b.CreateString(f"t{index}"), self._vector(b, shape), None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.broadcast_to(np.asarray(zero, np.int64), scales.shape)
            both = b.CreateNumpyVector(scales), b.CreateNumpyVector(np.ascontiguousarray(zeros))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, both[0])
            tflite.QuantizationParametersAddZeroPoint(b, both[1])
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantization = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, place)
        tflite.TensorAddType(b, _KINDS[kind])
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, name)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    def _op(self, b, kinds: list[str], op) -> int:
        kind, inputs, outputs, options, fields = op
        table, vectors = None, (self._vector(b, inputs), self._vector(b, outputs))
        if options:
            ready = {k: self._vector(b, v) if isinstance(v, (list, tuple)) else v for k, v in fields.items()}
            getattr(tflite, f"{options}Start")(b)
            for name, value in ready.items():
                getattr(tflite, f"{options}Add{name}")(b, value)
            table = getattr(tflite, f"{options}End")(b)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, kinds.index(kind))
        tflite.OperatorAddInputs(b, vectors[0])
        tflite.OperatorAddOutputs(b, vectors[1])
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)

    def _vector(self, b, items, tables: bool = False) -> int:
        b.StartVector(4, len(items), 4)
        for item in reversed(list(items)):
            b.PrependUOffsetTRelative(item) if tables else b.PrependInt32(int(item))
        return b.EndVector()
