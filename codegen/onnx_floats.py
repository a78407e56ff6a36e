"""Reading nodes as float32 operators, where they have no form in integers.

What the readers of lamella.codegen.floats work with: operands, and a few primitive operators of which every ONNX operator is
made. Shapes are those of the file: unlike quantised activations, float tensors may have any first axis.
"""

from copy import copy
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from lamella.codegen import float_math
from lamella.codegen.ir import Tensor
from lamella.codegen.onnx_builder import Builder
from lamella.codegen.operators.concat import Concat
from lamella.codegen.operators.float_binary import FloatBinary
from lamella.codegen.operators.float_dequantize import FloatDequantize
from lamella.codegen.operators.float_matmul import FloatMatmul
from lamella.codegen.operators.float_pick import FloatPick, picked
from lamella.codegen.operators.float_quantize import FloatQuantize
from lamella.codegen.operators.float_reduce import FloatReduce
from lamella.codegen.operators.float_unary import FloatUnary
from lamella.codegen.operators.reshape import Reshape
from lamella.codegen.operators.section import Section
from lamella.codegen.sources.onnx_file import LARGEST_TENSOR
from lamella.errors import UnsupportedError

#: Axes that a C kernel can walk (LAM_FLOAT_AXES).
MOST_AXES = 8


@dataclass(frozen=True)
class Operand:
    """An input of a float operator, with its shape in the file: a tensor, or a constant as float32 values."""

    shape: tuple[int, ...]
    tensor: Tensor | None = None
    value: np.ndarray | None = None

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)


class Floats(Builder):
    """The float32 part of a graph under construction."""

    def __init__(self, model: onnx.ModelProto, path: Path):
        super().__init__(model, path)
        self._floats: dict[str, str] = {}  # float ONNX tensor -> float32 tensor
        self._producers = {name: node for node in model.graph.node for name in node.output}

    def state(self) -> dict:
        """What reading a node changes, to be restored if that fails."""
        names = [
            "tensors",
            "nodes",
            "integers",
            "_values",
            "deferred",
            "rows",
            "_absorbed",
            "_renamed",
            "_floats",
            "constants",
            "dequantized",
        ]
        found = {name: copy(getattr(self, name)) for name in names}
        found["_renamed"] = {key: list(value) for key, value in self._renamed.items()}
        return found

    def restore(self, state: dict) -> None:
        """Back to a state."""
        for name, value in state.items():
            setattr(self, name, value)

    # Operands

    def operand(self, node: onnx.NodeProto, index: int) -> Operand:
        """An input of a node."""
        found = self.optional(node, index)
        if found is None:
            raise self.unsupported(node, f"input {index} is missing")
        return found

    def optional(self, node: onnx.NodeProto, index: int) -> Operand | None:
        """An input of a node; None if it is left out."""
        name = node.input[index] if index < len(node.input) else ""
        return self._operand(node, name) if name else None

    def _operand(self, node: onnx.NodeProto, name: str) -> Operand:
        if name in self._floats:
            return self._of(self.tensors[self._floats[name]])
        if name in self.dequantized:
            return self.fixed(self.dequantized[name].real())
        if name in self.constants:
            value = self.finite(name, self.constants[name])
            if value.dtype not in (np.float32, np.float16):
                raise self.unsupported(node, f"its input {name!r} has element type {value.dtype}; float32 is supported")
            return self.fixed(value)
        if name in self._values:
            x = self.tensors[self._values[name]]
            made = self._append_node(
                "float_dequantize", node, [x], x.shape, None, FloatDequantize(), name, self.is_rows(x)
            )
            self._floats[name] = made.name
            return self._of(made)
        if name in self.deferred:
            self.read_float(self._producers[name])
            return self._operand(node, name)
        raise self.unsupported(node, f"its input {name!r} cannot be computed in float32")

    def fixed(self, value: np.ndarray) -> Operand:
        """A constant operand."""
        value = np.asarray(value, np.float32)
        return Operand(value.shape, value=value)

    def _of(self, tensor: Tensor) -> Operand:
        return Operand(self.shape_of(tensor), tensor)

    def float_tensor(self, name: str) -> Tensor | None:
        """The float32 tensor that stands for an ONNX tensor."""
        return self.tensors.get(self._floats.get(name, ""))

    def length(self, node: onnx.NodeProto, *sizes: int) -> None:
        """Refuse a result of absurd size before anything of that size is computed."""
        if any(size > LARGEST_TENSOR for size in (*sizes, prod(sizes))):
            raise self.unsupported(node, f"its result would have more than {LARGEST_TENSOR} elements")

    # Results

    def read_float(self, node: onnx.NodeProto) -> None:
        """Append a node as float32 operators. Raises UnsupportedError where it cannot be."""
        from lamella.codegen import floats

        if not self.is_known_in_float(node):
            raise self.unsupported(node, "this operator is not supported in float32")
        floats.readers()[node.op_type](self, node)

    def is_known_in_float(self, node: onnx.NodeProto) -> bool:
        """Whether there is a reader for a node."""
        from lamella.codegen import floats

        return node.domain in ("", "ai.onnx") and node.op_type in floats.readers()

    def give(self, node: onnx.NodeProto, result: Operand, index: int = 0) -> None:
        """An operand is what an output of the node stands for."""
        name = node.output[index]
        if result.value is not None:
            self.constants[name] = result.value
        else:
            self._floats[name] = result.tensor.name

    def float_node(
        self, op: str, node: onnx.NodeProto, operands: list[Operand], shape: tuple[int, ...], attributes
    ) -> Operand:
        """Append an operator; its inputs are those operands that are tensors."""
        inputs = [o.tensor for o in operands if o.tensor is not None]
        shape = tuple(int(d) for d in shape)
        if prod(shape) < 1:
            raise self.unsupported(node, f"its result would have shape {shape}")
        if len(shape) > MOST_AXES:
            raise self.unsupported(node, f"its result would have {len(shape)} axes; {MOST_AXES} are supported")
        rows = not shape or shape[0] != 1
        inside = (1, *shape) if rows else shape
        return self._of(self._append_node(op, node, inputs, inside, None, attributes, node.output[0], rows))

    def quantized(self, node: onnx.NodeProto, source: str) -> bool:
        """QuantizeLinear of a float32 tensor; False if it is none."""
        x = self.float_tensor(source)
        if x is None:
            return False
        quantization, _ = self.quantization(node)
        made = self._append_node(
            "float_quantize", node, [x], x.shape, quantization, FloatQuantize(), node.output[0], self.is_rows(x)
        )
        self.integers[node.output[0]] = made.name
        return True

    # Primitives

    def unary(self, node: onnx.NodeProto, function: str, x: Operand, a: float = 0.0, b: float = 0.0) -> Operand:
        """A function of every value."""
        a, b = float(np.float32(a)), float(np.float32(b))
        if not np.isfinite([a, b]).all():
            raise self.unsupported(node, f"parameters {a}, {b}; they must be finite")
        if x.value is not None:
            return self.fixed(float_math.unary(function, x.value, a, b))
        return self.float_node("float_unary", node, [x], x.shape, FloatUnary(function, a, b))

    def binary(self, node: onnx.NodeProto, function: str, a: Operand, b: Operand) -> Operand:
        """A function of two values, spread over each other's axes."""
        if a.value is not None and b.value is not None:
            return self.fixed(float_math.binary(function, a.value, b.value))
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise self.unsupported(node, f"shapes {a.shape} and {b.shape} do not fit") from None
        shapes = tuple((1,) * (len(shape) - x.rank) + x.shape for x in (a, b))
        return self.float_node(
            "float_binary", node, [a, b], shape, FloatBinary(function, shape, shapes, a.value, b.value)
        )

    def scalar(self, node: onnx.NodeProto, function: str, x: Operand, value: float) -> Operand:
        """A function of every value and one number."""
        return self.binary(node, function, x, self.fixed(np.float32(value)))

    def reduce(
        self,
        node: onnx.NodeProto,
        function: str,
        x: Operand,
        axes,
        start: float | None = 0.0,
        mean: bool = False,
        keep: bool = True,
    ) -> Operand:
        """Values over some axes brought together; keep: the axes stay, with length 1."""
        axes = tuple(sorted({int(a) % x.rank for a in axes})) if x.rank else ()
        x = self.materialised(node, x)
        divisor = float(prod(x.shape[k] for k in axes)) if mean else 1.0
        kept = [1 if k in axes else d for k, d in enumerate(x.shape)]
        shape = tuple(kept) if keep else tuple(d for k, d in enumerate(x.shape) if k not in axes)
        return self.float_node("float_reduce", node, [x], shape, FloatReduce(function, x.shape, axes, start, divisor))

    def view(self, node: onnx.NodeProto, x, shape, output: str | None = None):  # type: ignore[override]
        """The same values under another shape."""
        if isinstance(x, Tensor):
            return super().view(node, x, shape, output)
        if x.value is not None:
            return self.fixed(x.value.reshape(shape))
        if prod(shape) != prod(x.shape):
            raise self.unsupported(node, f"shape {tuple(shape)} for values of shape {x.shape}")
        return self.float_node("reshape", node, [x], shape, Reshape())

    def pick(self, node: onnx.NodeProto, x: Operand, at: list, fill: float = 0.0) -> Operand:
        """Values at other places: for each axis of the result the offsets in x, below 0 where there is none."""
        if prod(x.shape) >= 1 << 31:
            raise self.unsupported(node, "an input of 2^31 values")
        at = tuple(np.asarray(a, np.int64).astype(np.int32) for a in at) or (np.zeros(1, np.int32),)
        attributes = FloatPick(at, fill)
        if x.value is not None:
            self.length(node, *attributes.shape)
            return self.fixed(picked(attributes, x.value.reshape(1, -1))[0])
        return self.float_node("float_pick", node, [x], attributes.shape, attributes)

    def indexed(self, node: onnx.NodeProto, x: Operand, indices: list, fill: float = 0.0) -> Operand:
        """x at indices[k] along axis k, all combinations; an index below 0 stands for `fill`."""
        steps = strides(x.shape)
        at = [np.where(np.asarray(i) < 0, -1, np.asarray(i) * step) for i, step in zip(indices, steps, strict=True)]
        if all(np.array_equal(i, np.arange(d)) for i, d in zip(indices, x.shape, strict=True)):
            return x
        start = self._section(x, indices)
        if start is not None:
            shape = tuple(len(i) for i in indices)
            return self.float_node("section", node, [x], shape, Section(4 * start))
        return self.pick(node, x, at, fill)

    def _section(self, x: Operand, indices: list) -> int | None:
        """Where those values begin, if they lie in one piece of a tensor."""
        if x.tensor is None or any(len(i) == 0 or i[0] < 0 or (np.diff(i) != 1).any() for i in indices):
            return None
        whole = [k for k, (i, d) in enumerate(zip(indices, x.shape, strict=True)) if len(i) != d]
        if any(len(i) != 1 for i in indices[: whole[-1]]):
            return None
        return sum(int(i[0]) * step for i, step in zip(indices, strides(x.shape), strict=True))

    def transposed(self, node: onnx.NodeProto, x: Operand, axes) -> Operand:
        """Axes in another order."""
        if x.value is not None:
            return self.fixed(x.value.transpose(axes))
        shape = [x.shape[k] for k in axes]
        if [k for k in axes if x.shape[k] > 1] == [k for k in range(x.rank) if x.shape[k] > 1]:
            return self.view(node, x, tuple(shape))
        steps = strides(x.shape)
        return self.pick(node, x, [np.arange(x.shape[k]) * steps[k] for k in axes])

    def product(
        self, node: onnx.NodeProto, a: Operand, b: Operand, swapped: tuple[bool, bool] = (False, False)
    ) -> Operand:
        """Matrices multiplied, of operands with two axes or more; swapped: the last two lie the other way round."""
        shapes = tuple(
            (*x.shape[:-2], x.shape[-1], x.shape[-2]) if s else x.shape for x, s in zip((a, b), swapped, strict=True)
        )
        if shapes[0][-1] != shapes[1][-2]:
            raise self.unsupported(node, f"shapes {shapes[0]} and {shapes[1]} do not fit")
        if a.value is not None and b.value is not None:
            raise self.unsupported(node, "two constant inputs")
        attributes = FloatMatmul(shapes, swapped, a.value, b.value)
        return self.float_node("float_matmul", node, [a, b], attributes.shape, attributes)

    def joined(self, node: onnx.NodeProto, parts: list[Operand], axis: int) -> Operand:
        """Tensors one behind the other along an axis."""
        shape = list(parts[0].shape)
        axis %= len(shape)
        if any(
            [*p.shape[:axis], *p.shape[axis + 1 :]] != [*shape[:axis], *shape[axis + 1 :]] or 0 in p.shape
            for p in parts
        ):
            raise self.unsupported(node, f"shapes {', '.join(str(p.shape) for p in parts)}")
        shape[axis] = sum(p.shape[axis] for p in parts)
        if all(p.value is not None for p in parts):
            return self.fixed(np.concatenate([p.value for p in parts], axis))
        rows = shape[0] != 1  # then all parts get an axis of 1 in front, as the result does
        tensors = [self._in_front(node, p, rows) for p in parts if p.value is None]
        constants = tuple(
            (k, np.asarray(p.value, np.float32).reshape((1,) * rows + p.shape))
            for k, p in enumerate(parts)
            if p.value is not None
        )
        attributes = Concat(axis + rows, (None,) * len(tensors), constants)
        return self.float_node("concat", node, tensors, tuple(shape), attributes)

    def _in_front(self, node: onnx.NodeProto, x: Operand, wanted: bool) -> Operand:
        """The same values, with an axis of 1 in front of those of the file or without."""
        if self.is_rows(x.tensor) == wanted:
            return x
        shape = (1, *x.shape) if wanted else x.shape
        return Operand(
            x.shape, self._append_node("reshape", node, [x.tensor], shape, None, Reshape(), node.output[0], wanted)
        )

    def materialised(self, node: onnx.NodeProto, x: Operand) -> Operand:
        """A tensor; constants are refused."""
        if x.tensor is not None:
            return x
        raise self.unsupported(node, "one of its inputs is constant where only a tensor is supported")


def strides(shape: tuple[int, ...]) -> list[int]:
    """Values between neighbours along each axis."""
    return [prod(shape[k + 1 :]) for k in range(len(shape))]


__all__ = ["Floats", "Operand", "UnsupportedError", "strides"]
