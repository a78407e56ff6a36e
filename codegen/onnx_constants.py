"""The constant side of reading ONNX: initialisers, weights behind DequantizeLinear, attributes, constant sub-graphs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from lamella.codegen.ir import Quantization
from lamella.errors import UnsupportedError, UsageError

#: Integer types of activations.
RAW = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.INT8: "int8"}


@dataclass(frozen=True)
class Weights:
    """Integer weights: levels int16 as in the file, scales float32 of shape (1,) or (n,), and the axis of the n."""

    levels: np.ndarray
    scales: np.ndarray
    axis: int


@dataclass(frozen=True)
class Dequantized:
    """A constant behind DequantizeLinear."""

    levels: np.ndarray
    scales: np.ndarray
    axis: int

    def real(self) -> np.ndarray:
        """The real numbers they stand for."""
        scales = self.scales
        if scales.size > 1:
            scales = scales.reshape([-1 if a == self.axis else 1 for a in range(self.levels.ndim)])
        return (self.levels * scales).astype(np.float32)


class Constants:
    """What a file holds that does not depend on the input, and how messages name its nodes."""

    def __init__(self, model: onnx.ModelProto, path: Path):
        self.path = path
        self.model = model
        self.constants = {t.name: self._array(t) for t in model.graph.initializer}
        self.dequantized: dict[str, Dequantized] = {}

    def opset(self) -> int:
        """The version of ONNX's own operators that the model uses."""
        return next((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), 1)

    def label(self, node: onnx.NodeProto) -> str:
        """What a message calls a node: its name, or its first output."""
        kind = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        return f"{(node.name or ', '.join(node.output))!r} ({kind})"

    def unsupported(self, node: onnx.NodeProto, reason: str) -> UnsupportedError:
        """An error that names the node."""
        return UnsupportedError(f"{self.path}: node {self.label(node)}: {reason}")

    def attributes(self, node: onnx.NodeProto, **defaults) -> dict:
        """Attributes of a node over their defaults; one that is not in `defaults` is refused by name."""
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for name in found:
            if name not in defaults:
                raise self.unsupported(node, f"attribute {name!r} is not supported; export the model without it")
        found = {k: v.decode("utf-8", "replace") if isinstance(v, bytes) else v for k, v in found.items()}
        return {**defaults, **found}

    def is_constant(self, name: str) -> bool:
        """Whether an ONNX tensor is constant, plain or dequantised."""
        return name in self.constants or name in self.dequantized

    def integers_of(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Levels of 16 bits and the one scale of a constant behind DequantizeLinear; None for other constants."""
        found = self.dequantized.get(name)
        if found is None or found.scales.size != 1 or np.abs(found.levels).max(initial=0) > 32767:
            return None
        return found.levels, found.scales.astype(np.float32)

    def constant(self, node: onnx.NodeProto, index: int, default=None) -> np.ndarray | None:
        """A constant input (plain or dequantised, then as real numbers), or the default if it is left out."""
        name = node.input[index] if index < len(node.input) else ""
        if not name:
            return default
        if name in self.constants:
            return self.finite(name, self.constants[name])
        if name in self.dequantized:
            return self.dequantized[name].real()
        raise self.unsupported(node, f"its input {name!r} must be constant")

    def weights(self, node: onnx.NodeProto, index: int) -> Weights:
        """Integer weights of a node."""
        name = node.input[index]
        if name in self.dequantized:
            found = self.dequantized[name]
            info = np.iinfo(np.int16)
            if found.levels.size and (found.levels.min() < info.min or found.levels.max() > info.max):
                raise self.unsupported(node, f"weights {name!r} need more than 16 bits")
            return Weights(found.levels.astype(np.int16), found.scales, found.axis)
        if name in self.constants:
            self.finite(name, self.constants[name])
            raise self.unsupported(
                node, f"its weights {name!r} are float; quantise them (QuantizeLinear, DequantizeLinear)"
            )
        raise self.unsupported(node, f"its weights {name!r} are not constant")

    def fold(self, node: onnx.NodeProto) -> bool:
        """Evaluate a node whose inputs are all constant, by onnx's reference evaluator; False if one is not."""
        if node.op_type == "Transpose" and node.input[0] in self.dequantized:
            self._transpose_dequantized(node)
            return True
        if not all(name == "" or name in self.constants for name in node.input):
            return False
        from onnx.reference import ReferenceEvaluator

        feeds = {name: self.constants[name] for name in node.input if name}
        try:
            opset = [onnx.helper.make_opsetid(o.domain, o.version) for o in self.model.opset_import]
            infos = [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in feeds]
            outs = [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n]
            graph = onnx.helper.make_graph([node], "constant", infos, outs)
            results = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opset)).run(None, feeds)
        except Exception as error:
            raise self.unsupported(node, f"its constant value cannot be computed ({type(error).__name__})") from None
        self.constants.update(zip([n for n in node.output if n], map(np.asarray, results), strict=True))
        return True

    def _transpose_dequantized(self, node: onnx.NodeProto) -> None:
        """Quantised weights stay quantised where they are turned, as torch's exporter does for Linear over more than two axes."""
        found = self.dequantized[node.input[0]]
        order = self.attributes(node, perm=None)["perm"] or list(range(found.levels.ndim))[::-1]
        axis = order.index(found.axis) if found.levels.ndim else 0
        self.dequantized[node.output[0]] = Dequantized(found.levels.transpose(order), found.scales, axis)

    def _array(self, tensor: onnx.TensorProto) -> np.ndarray:
        try:
            return numpy_helper.to_array(tensor)
        except Exception:
            raise UsageError(f"{self.path}: initializer {tensor.name!r} is damaged; export the model again") from None

    def finite(self, name: str, array: np.ndarray) -> np.ndarray:
        """The array, if it holds no NaN and no infinity."""
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{self.path}: weights {name!r} hold NaN or infinity; train or export the model again")
        return array

    def _scale_and_zero(self, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray, np.dtype]:
        """Scales (float32, 1-d), zero points (int64, 1-d) and integer type of a Quantize/DequantizeLinear."""
        name = node.input[1]
        if name not in self.constants:
            raise self.unsupported(node, f"its scale {name!r} is not constant")
        attributes = self.attributes(node, axis=1, block_size=0, saturate=1, output_dtype=0, precision=0)
        if attributes["block_size"]:
            raise self.unsupported(node, "block quantisation; use a scale per tensor or per channel")
        scale = np.atleast_1d(self.constants[name]).astype(np.float32)
        if not np.isfinite(scale).all() or (scale <= 0).any():
            raise UsageError(f"{self.path}: node {self.label(node)}: scale {name!r} must be positive and finite")
        if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in self.constants:
                raise self.unsupported(node, "its zero point is not constant")
            zero = np.atleast_1d(self.constants[node.input[2]])
            dtype = zero.dtype
        else:
            dtype = np.dtype(np.uint8)
            if attributes["output_dtype"]:
                dtype = onnx.helper.tensor_dtype_to_np_dtype(attributes["output_dtype"])
            elif node.op_type == "DequantizeLinear" and node.input[0] in self.constants:
                dtype = self.constants[node.input[0]].dtype
            zero = np.zeros(1, np.int64)
        zero = zero.astype(np.int64)
        if scale.ndim != 1 or zero.ndim != 1 or zero.size not in (1, scale.size):
            raise UsageError(f"{self.path}: node {self.label(node)}: scale and zero point differ in shape")
        return scale, zero, dtype

    def quantization(self, node: onnx.NodeProto) -> tuple[Quantization, str]:
        """Quantisation of an activation (uint8 inside) and its raw type."""
        scale, zero, dtype = self._scale_and_zero(node)
        if scale.size != 1:
            raise self.unsupported(node, "an activation with a scale per channel; use one scale per tensor")
        if dtype == np.uint8:
            return Quantization(float(scale[0]), int(zero[0])), "uint8"
        if dtype == np.int8:
            return Quantization(float(scale[0]), int(zero[0]) + 128), "int8"
        raise self.unsupported(node, f"activations of type {dtype}; use uint8 or int8")

    def quantize_constant(self, node: onnx.NodeProto) -> None:
        """QuantizeLinear of a constant."""
        scale, zero, dtype = self._scale_and_zero(node)
        if dtype.kind not in "iu":
            raise self.unsupported(node, f"weights of type {dtype}; use integers")
        values = self.finite(node.input[0], self.constants[node.input[0]]).astype(np.float32)
        axis = self.attributes(node, axis=1, block_size=0, saturate=1, output_dtype=0, precision=0)["axis"]
        shape = [-1 if a == axis % max(values.ndim, 1) else 1 for a in range(values.ndim)]
        info = np.iinfo(dtype)
        q = np.rint(values / (scale.reshape(shape) if scale.size > 1 else scale[0])).astype(np.float64)
        q = np.clip(q + (zero.reshape(shape) if zero.size > 1 else zero[0]), info.min, info.max)
        self.constants[node.output[0]] = q.astype(dtype)

    def dequantize_constant(self, node: onnx.NodeProto) -> None:
        """DequantizeLinear of a constant: its integer levels are kept."""
        scale, zero, _ = self._scale_and_zero(node)
        values = self.constants[node.input[0]]
        if values.dtype.kind not in "iu" and "int4" not in str(values.dtype):
            raise self.unsupported(node, f"weights of type {values.dtype}; use integers")
        axis = self.attributes(node, axis=1, block_size=0, saturate=1, output_dtype=0, precision=0)["axis"]
        axis = axis % max(values.ndim, 1)
        if scale.size > 1 and (values.ndim == 0 or values.shape[axis] != scale.size):
            raise UsageError(f"{self.path}: node {self.label(node)}: {scale.size} scales for shape {values.shape}")
        shape = [-1 if a == axis else 1 for a in range(values.ndim)]
        levels = values.astype(np.int64) - (zero.reshape(shape) if zero.size > 1 else zero[0])
        self.dequantized[node.output[0]] = Dequantized(levels, scale, axis)
