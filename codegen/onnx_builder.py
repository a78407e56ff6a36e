"""The graph under construction: what operators' `read` functions ask for, and how they append to it."""

from pathlib import Path
from typing import Protocol

import numpy as np
import onnx

from lamella import requant
from lamella.codegen import operators
from lamella.codegen.ir import Node, Quantization, Requant, Sink, Tensor, body_of
from lamella.codegen.onnx_sinks import Sinks
from lamella.codegen.sources.onnx_file import LARGEST_TENSOR, LONGEST_AXIS
from lamella.errors import UsageError

#: Operators whose results TensorFlow Lite Micro rounds twice.
ROUNDED_TWICE = ("Clip", "Conv", "ConvTranspose", "Gemm", "MatMul", "Mul", "PRelu", "QuantizeLinear", "Relu")


class Deferred(Protocol):
    """A function of one activation whose values the file does not quantise; operators/table.py makes them."""

    def quantize(self, reader: "Builder", node: onnx.NodeProto) -> None:
        """Append what computes it, as the input of a QuantizeLinear."""


class Builder(Sinks):
    """Tensors and nodes of the graph so far, and which tensors of the file they stand for."""

    def __init__(self, model: onnx.ModelProto, path: Path):
        super().__init__(model, path)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.integers: dict[str, str] = {}  # integer ONNX tensor -> tensor
        self._values: dict[str, str] = {}  # float ONNX tensor -> tensor whose dequantised value it has
        self.deferred: dict[str, Deferred] = {}  # float ONNX tensor that is not quantised -> what it is
        self.as_tflite = False  # round as TensorFlow Lite Micro does
        self.rows: set[str] = set()  # tensors with an axis of 1 in front that the file's do not have

    def activation(self, node: onnx.NodeProto, index: int, rows: bool = False) -> Tensor:
        """The quantised activation behind an input of a node. `rows`: one whose first axis was merged with others will do,
        and then has an axis of 1 in front (see is_rows)."""
        name = node.input[index] if index < len(node.input) else ""
        tensor = self._values.get(name)
        if tensor is None:
            kind = "constant" if name in self.constants or name in self.dequantized else "not quantised"
            raise self.unsupported(
                node,
                f"its input {name!r} is {kind}; put QuantizeLinear and DequantizeLinear before it, as quantize_static does",
            )
        if tensor in self.rows and not rows:
            raise self.unsupported(
                node, f"its input has shape {self.tensors[tensor].shape[1:]}; axis 0 must remain the batch"
            )
        return self.tensors[tensor]

    def is_rows(self, x: Tensor) -> bool:
        """Whether the axis of 1 in front of a tensor is not there in the file."""
        return x.name in self.rows

    def shape_of(self, x: Tensor) -> tuple[int, ...]:
        """The shape of a tensor in the file."""
        return x.shape[1:] if self.is_rows(x) else x.shape

    def integer(self, node: onnx.NodeProto, index: int) -> Tensor:
        """The tensor behind an input of a node that takes quantised integers as they are."""
        name = node.input[index]
        if name not in self.integers:
            raise self.unsupported(node, f"its input {name!r} is not quantised; give it what QuantizeLinear gives")
        return self.tensors[self.integers[name]]

    def names_taken(self) -> set[str]:
        """Names of all nodes so far, those inside loops included."""
        inner = (body_of(node) for node in self.nodes)
        return {n.name for n in self.nodes} | {n.name for body in inner if body is not None for n in body.nodes}

    def is_activation(self, name: str) -> bool:
        """Whether an ONNX tensor is a quantised activation."""
        return name in self._values

    def bias(self, node: onnx.NodeProto, index: int, n: int, x_scale: float, w_scales: np.ndarray) -> np.ndarray:
        """int64 bias of shape (n,) at scale x_scale * w_scale; zeros if the input is left out."""
        name = node.input[index] if index < len(node.input) else ""
        if not name:
            return np.zeros(n, np.int64)
        w = np.broadcast_to(w_scales, (n,))
        if name in self.dequantized:
            found = self.dequantized[name]
            expected = (np.float32(x_scale) * w.astype(np.float32)).astype(np.float64)
            if found.levels.shape == (n,) and np.allclose(
                np.broadcast_to(found.scales, (n,)), expected, rtol=1e-5, atol=0
            ):
                return found.levels.astype(np.int64)
        return requant.quantize_bias(self.bias_values(node, self.constant(node, index), n), x_scale, w)

    def bias_values(self, node: onnx.NodeProto, values: np.ndarray, n: int) -> np.ndarray:
        """A real bias checked to be a vector of n (or to broadcast to one)."""
        values = np.asarray(values, np.float64).reshape(-1)
        if values.size not in (1, n):
            raise UsageError(f"{self.path}: node {self.label(node)}: bias of {values.size} values for {n} channels")
        return np.broadcast_to(values, (n,))

    def add(
        self,
        op: str,
        node: onnx.NodeProto,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        quantization: Quantization,
        attributes,
        output: str | None = None,
    ) -> Tensor:
        """Append a node; its output tensor stands for the ONNX output, and for what was absorbed behind it."""
        onnx_name = output or node.output[0]
        tensor = self._append(op, node, inputs, shape, quantization, attributes, onnx_name)
        names = [onnx_name]
        while names:
            current = names.pop()
            self._values[current] = tensor.name
            names += self._renamed.get(current, [])
        return tensor

    def add_hidden(
        self,
        op: str,
        node: onnx.NodeProto,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        quantization: Quantization,
        attributes,
    ) -> Tensor:
        """Append a node whose output stands for no tensor of the file."""
        return self._append(op, node, inputs, shape, quantization, attributes, f"{node.output[0]}_inner")

    def add_integer(
        self,
        op: str,
        node: onnx.NodeProto,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        quantization: Quantization,
        attributes,
        output: str,
    ) -> Tensor:
        """Append a node whose output stands for a tensor of integers in the file; shape: that in the file."""
        rows = shape[:1] != (1,)
        inside = (1, *shape) if rows else shape
        tensor = self._append_node(op, node, inputs, inside, quantization, attributes, output, rows)
        self.integers[output] = tensor.name
        return tensor

    def view(self, node: onnx.NodeProto, x: Tensor, shape: tuple[int, ...], output: str | None = None) -> Tensor:
        """The same bytes under another shape; `output`: the ONNX tensor that this is, if it is one."""
        from lamella.codegen.operators.reshape import Reshape

        if output is None:
            return self.add_hidden("reshape", node, [x], shape, x.quantization, Reshape())
        return self.add("reshape", node, [x], shape, x.quantization, Reshape(), output)

    def _append(
        self,
        op: str,
        node: onnx.NodeProto,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        quantization: Quantization,
        attributes,
        wanted: str,
    ) -> Tensor:
        if any(d < 1 for d in shape):
            raise self.unsupported(node, f"its result would have shape {shape}")
        rows = shape[0] != 1 if op == "reshape" else any(self.is_rows(x) for x in inputs)
        if rows and op == "reshape":
            shape = (1, *shape)
        if shape[0] != 1:
            raise self.unsupported(node, f"its result has shape {shape}; axis 0 must remain the batch")
        return self._append_node(op, node, inputs, shape, quantization, attributes, wanted, rows)

    def _append_node(
        self,
        op: str,
        node: onnx.NodeProto,
        inputs: list[Tensor],
        shape: tuple[int, ...],
        quantization: Quantization | None,
        attributes,
        wanted: str,
        rows: bool,
    ) -> Tensor:
        """rows: the first axis, of length 1, is not there in the file."""
        if np.prod([float(d) for d in shape]) > LARGEST_TENSOR:
            raise self.unsupported(node, f"its result has more than {LARGEST_TENSOR} elements")
        longest = max((d for s in (shape, *(t.shape for t in inputs)) for d in s), default=0)
        if operators.get(op).short_sizes and longest > LONGEST_AXIS:
            raise self.unsupported(
                node, f"an axis of {longest:,}; up to {LONGEST_AXIS:,} elements along one are supported"
            )
        name = self._add_tensor(wanted, tuple(int(d) for d in shape), quantization)
        if rows:
            self.rows.add(name)
        label = node.name or node.output[0]
        if op == "reshape" and node.op_type not in operators.get("reshape").onnx:
            label += "_view"  # the node's own name is for the operator that computes
        taken = self.names_taken()
        taken |= {n.name for n in attributes.body.nodes} if op == "scan" else set()
        unique = (
            label
            if label not in taken
            else next(f"{label}_{k}" for k in range(2, 10**6) if f"{label}_{k}" not in taken)
        )
        self.nodes.append(Node(op, unique, tuple(t.name for t in inputs), name, attributes))
        return self.tensors[name]

    def _add_tensor(self, name: str, shape: tuple[int, ...], quantization: Quantization | None) -> str:
        unique = name
        k = 2
        while unique in self.tensors:
            unique, k = f"{name}_{k}", k + 1
        self.tensors[unique] = Tensor(unique, shape, quantization)
        return unique

    def requant(self, node: onnx.NodeProto, x_scale: float, w_scales, sink: Sink) -> Requant:
        """Multipliers and shifts from the scales (lamella.requant), range from the sink."""
        rule = requant.quantize_multiplier
        if self.as_tflite and node.op_type in ROUNDED_TWICE:
            rule = requant.quantize_multiplier_twice
        try:
            m, s = requant.quantize_multipliers(
                x_scale, np.atleast_1d(np.asarray(w_scales)), sink.quantization.scale, rule
            )
        except ValueError as error:
            raise self.unsupported(
                node, f"{error}: the scales of input, weights and output do not fit together"
            ) from None
        return Requant(m, s, sink.quantization.zero, sink.low, sink.high)
