"""Read a quantised ONNX file (QuantizeLinear / DequantizeLinear around float operators) into a Graph.

No private metadata is needed: formats, ternary layers and ranges are seen from the values. The method: every float
tensor of the file that is followed by QuantizeLinear stands for an integer activation; operators in between (Relu,
Clip, pooling, reshaping) are folded or moved behind it, which is exact because quantisation is monotone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path

import numpy as np
import onnx

from lamella import requant
from lamella.codegen import operators
from lamella.codegen.ir import Graph, Node, Port, Quantization, Requant, Tensor, body_of
from lamella.codegen.onnx_constants import RAW, Constants
from lamella.codegen.onnx_file import LARGEST_TENSOR, load
from lamella.errors import UnsupportedError, UsageError


@dataclass(frozen=True)
class Sink:
    """Where a float result goes: quantisation and range (activation functions included) of the integer result."""

    quantization: Quantization
    low: int = 0
    high: int = 255
    raw: str = "uint8"  # integer type in the file


def read(path: str | Path) -> Graph:
    """The graph of an ONNX file. Raises UsageError if it cannot be read, UnsupportedError if it holds what is not supported."""
    path = Path(path)
    model = load(path)
    return Reader(model, path).graph()


def read_with_names(path: str | Path) -> tuple[Graph, dict[str, str]]:
    """A graph, and for each of its tensors that the file quantises the name of the integer tensor in the file."""
    path = Path(path)
    return read_model(load(path), path)


def read_model(model: onnx.ModelProto, path: Path) -> tuple[Graph, dict[str, str]]:
    """As read_with_names, of a model in memory; messages name the path."""
    reader = Reader(model, path)
    graph = reader.graph()
    names: dict[str, str] = {}
    for onnx_name, tensor in reader.integers.items():
        names.setdefault(tensor, onnx_name)
    return graph, names


class Reader(Constants):
    """The activation side of one import. Operators' `read` functions use its public methods."""

    def __init__(self, model: onnx.ModelProto, path: Path):
        super().__init__(model, path)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self._values: dict[str, str] = {}  # float ONNX tensor -> tensor whose dequantised value it has
        self.integers: dict[str, str] = {}  # integer ONNX tensor -> tensor
        self._raw_dtypes: dict[str, str] = {}  # tensor of the graph's input -> raw type
        self._absorbed: set[int] = set()  # nodes already folded into another, by id
        self._renamed: dict[str, list[str]] = {}  # float tensor -> results of the absorbed nodes behind it
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._outputs = {o.name for o in model.graph.output}

    # -- the way through ---------------------------------------------------------------------------------------------

    def graph(self) -> Graph:
        """Read everything."""
        inputs = self._read_inputs()
        for node in self.model.graph.node:
            if id(node) in self._absorbed:
                continue
            if node.op_type == "QuantizeLinear":
                self._read_quantize(node)
            elif node.op_type == "DequantizeLinear":
                self._read_dequantize(node)
            elif node.op_type in ("Identity", "Dropout"):
                self._alias(node.input[0], node.output[0])
            elif not self._fold_shape(node) and not self.fold(node):
                operator = operators.by_onnx_type().get(node.op_type)
                if operator is None:
                    raise self.unsupported(node, "its input is not constant")
                operator.read(self, node)
        ports = tuple(self._input_port(value, tensor) for value, tensor in inputs)
        outputs = tuple(self._output_port(value) for value in self.model.graph.output)
        name = self.model.graph.name
        return Graph(name, ports, outputs, dict(self.tensors), tuple(self.nodes))

    def _read_inputs(self) -> list[tuple[onnx.ValueInfoProto, str]]:
        found = []
        for value in self.model.graph.input:
            if value.name in self.constants:
                continue
            tensor_type = value.type.tensor_type
            if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
                raise UnsupportedError(f"{self.path}: input {value.name!r} has no shape; export with a fixed shape")
            shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor_type.shape.dim]
            if not shape:
                raise UnsupportedError(f"{self.path}: input {value.name!r} is a scalar; a batch axis is expected")
            if any(d is None or d < 1 for d in shape[1:]):
                raise UnsupportedError(
                    f"{self.path}: input {value.name!r} has a symbolic axis other than the batch "
                    f"({', '.join(d.dim_param or str(d.dim_value) for d in tensor_type.shape.dim)}); export with fixed sizes"
                )
            if shape[0] not in (None, 0, 1):
                raise UnsupportedError(
                    f"{self.path}: input {value.name!r} has batch {shape[0]}; export with batch 1 or symbolic"
                )
            shape = (1, *shape[1:])
            if np.prod([float(d) for d in shape]) > LARGEST_TENSOR:
                raise UnsupportedError(f"{self.path}: input {value.name!r} has more than {LARGEST_TENSOR} elements")
            found.append((value, self._input_tensor(value, shape)))
        if not found:
            raise UnsupportedError(f"{self.path}: the model has no input")
        return found

    def _input_tensor(self, value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> str:
        element = value.type.tensor_type.elem_type
        wanted = {onnx.TensorProto.FLOAT: "QuantizeLinear"}.get(element) or (
            "DequantizeLinear" if element in RAW else None
        )
        if wanted is None:
            kind = onnx.TensorProto.DataType.Name(element).lower()
            raise UnsupportedError(
                f"{self.path}: input {value.name!r} has element type {kind}; float32, uint8 and int8 are supported"
            )
        users = self._consumers.get(value.name, [])
        if wanted == "QuantizeLinear":
            if not any(n.op_type == "QuantizeLinear" for n in self.model.graph.node):
                self._refuse_float()
            sink = self._sink(
                value.name, lambda why: UnsupportedError(f"{self.path}: input {value.name!r}: {why}"), absorb=False
            )
            quantization, raw = sink.quantization, sink.raw
        else:
            if not users or any(n.op_type != wanted or n.input[0] != value.name for n in users):
                names = ", ".join(n.name or n.op_type for n in users) or "nothing"
                raise UnsupportedError(
                    f"{self.path}: input {value.name!r} goes to {names}; an integer input must go to DequantizeLinear "
                    "alone, so that its scale is known"
                )
            parameters = [self.quantization(n) for n in users]
            if len(set(parameters)) > 1:
                raise UnsupportedError(
                    f"{self.path}: input {value.name!r} is dequantised in different ways; use one scale"
                )
            quantization, raw = parameters[0]
            if RAW[element] != raw:
                raise UsageError(f"{self.path}: input {value.name!r} and its zero point differ in type")
        name = self._add_tensor(value.name, shape, quantization)
        self._raw_dtypes[name] = raw
        if wanted == "QuantizeLinear":
            self._values[value.name] = name
        else:
            self.integers[value.name] = name
        return name

    def _refuse_float(self) -> None:
        for name, array in self.constants.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UsageError(f"{self.path}: weights {name!r} hold NaN or infinity; train or export the model again")
        raise UnsupportedError(
            f"{self.path}: a float model; it must be quantised first: export from `lamella train`, or use "
            "onnxruntime.quantization.quantize_static with QuantFormat.QDQ"
        )

    def _input_port(self, value: onnx.ValueInfoProto, tensor: str) -> Port:
        raw = self._raw_dtypes[tensor]
        dtype = "float32" if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT else raw
        return Port(value.name, tensor, dtype, raw)

    def _output_port(self, value: onnx.ValueInfoProto) -> Port:
        producer = next((n for n in self.model.graph.node if value.name in n.output), None)
        while producer is not None and producer.op_type in (
            "Identity",
            "Dropout",
            "Reshape",
            "Flatten",
            "Squeeze",
            "Unsqueeze",
            "Transpose",
            "Slice",
            "Split",
            "Gather",
        ):
            producer = next((n for n in self.model.graph.node if producer.input[0] in n.output), None)
        if value.name in self._values and producer is not None and producer.op_type == "DequantizeLinear":
            _, raw = self.quantization(producer)
            return Port(value.name, self._values[value.name], "float32", raw)
        if value.name in self.integers:
            raw = RAW.get(value.type.tensor_type.elem_type, "uint8")
            return Port(value.name, self.integers[value.name], raw, raw)
        raise UnsupportedError(
            f"{self.path}: output {value.name!r} is not quantised; end the model in QuantizeLinear and DequantizeLinear"
        )

    def _read_quantize(self, node: onnx.NodeProto) -> None:
        source = node.input[0]
        if source in self.constants:
            self.quantize_constant(node)
            return
        quantization, _ = self.quantization(node)
        tensor = self._values.get(source)
        if tensor is None:
            raise self.unsupported(node, f"its input {source!r} has no quantised value")
        if self.tensors[tensor].quantization != quantization:
            tensor = self._rescale(node, tensor, Sink(quantization))
        self.integers[node.output[0]] = tensor

    def _read_dequantize(self, node: onnx.NodeProto) -> None:
        source = node.input[0]
        if source in self.constants:
            self.dequantize_constant(node)
            return
        if source not in self.integers:
            raise self.unsupported(node, f"its input {source!r} is not a quantised tensor")
        quantization, _ = self.quantization(node)
        tensor = self.integers[source]
        if self.tensors[tensor].quantization != quantization:
            raise self.unsupported(node, "its scale or zero point differ from those of the QuantizeLinear before it")
        self._values[node.output[0]] = tensor

    def _alias(self, source: str, target: str) -> None:
        for table in (self.constants, self.dequantized, self._values, self.integers):
            if source in table:
                table[target] = table[source]

    def _fold_shape(self, node: onnx.NodeProto) -> bool:
        """The shape of an activation is constant, the batch being 1."""
        if node.op_type != "Shape" or node.attribute:
            return False
        tensor = self._values.get(node.input[0], self.integers.get(node.input[0]))
        if tensor is None:
            return False
        self.constants[node.output[0]] = np.array(self.tensors[tensor].shape, np.int64)
        return True

    # -- for the operators -------------------------------------------------------------------------------------------

    def activation(self, node: onnx.NodeProto, index: int) -> Tensor:
        """The quantised activation behind an input of a node."""
        name = node.input[index] if index < len(node.input) else ""
        tensor = self._values.get(name)
        if tensor is None:
            kind = "constant" if name in self.constants or name in self.dequantized else "not quantised"
            raise self.unsupported(
                node,
                f"its input {name!r} is {kind}; put QuantizeLinear and DequantizeLinear before it, as quantize_static does",
            )
        return self.tensors[tensor]

    def integer(self, node: onnx.NodeProto, index: int) -> Tensor:
        """The tensor behind an input of a node that takes quantised integers as they are."""
        name = node.input[index]
        if name not in self.integers:
            raise self.unsupported(node, f"its input {name!r} is not quantised; give it what QuantizeLinear gives")
        return self.tensors[self.integers[name]]

    def is_used(self, name: str) -> bool:
        """Whether anything reads an ONNX tensor, or the model gives it out."""
        return name in self._outputs or bool(self._consumers.get(name))

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

    def sink(self, node: onnx.NodeProto, output: str | None = None) -> Sink:
        """Quantisation and range that the result of a node gets; Relu and Clip on the way are folded in and absorbed.

        Operators that keep quantised values (pooling by maximum, reshaping, padding) may stand in between.
        """
        return self._sink(output or node.output[0], lambda why: self.unsupported(node, why), absorb=True)

    def _sink(self, name: str, fail: Callable[[str], UnsupportedError], absorb: bool) -> Sink:
        consumers = [n for n in self._consumers.get(name, []) if n.op_type != "Shape"]  # which needs no values
        if name in self._outputs or not consumers:
            raise fail(f"{name!r} is not quantised; put QuantizeLinear and DequantizeLinear behind it")
        alone = absorb and len(consumers) == 1
        found = {self._sink_at(consumer, name, fail, alone) for consumer in consumers}
        if len(found) > 1:
            raise fail(f"{name!r} is quantised in different ways; use one scale")
        return found.pop()

    def _sink_at(
        self, consumer: onnx.NodeProto, name: str, fail: Callable[[str], UnsupportedError], alone: bool
    ) -> Sink:
        """What one reader of a float tensor says of its quantisation; `alone`: a Relu or Clip may be absorbed."""
        known = operators.by_onnx_type().get(consumer.op_type)
        if consumer.op_type == "QuantizeLinear":
            quantization, raw = self.quantization(consumer)
            return Sink(quantization, raw=raw)
        if consumer.op_type in ("Identity", "Dropout"):
            self._renamed.setdefault(name, []).append(consumer.output[0])
            return self._sink(consumer.output[0], fail, alone)
        if consumer.op_type in ("Relu", "Clip"):
            inner = self._sink(consumer.output[0], fail, alone)
            if not alone:
                return replace(inner, low=0, high=255)
            low, high = self.clip_bounds(consumer, inner.quantization)
            self._absorb(consumer, name)
            return replace(inner, low=max(inner.low, low), high=min(inner.high, high))
        if known is not None and known.keeps_quantization and consumer.input[0] == name:
            used = [o for o in consumer.output if o in self._outputs or self._consumers.get(o)]
            found = {self._sink(output, fail, absorb=False) for output in used or consumer.output[:1]}
            if len(found) > 1:
                raise fail(f"parts of {name!r} are quantised in different ways; use one scale")
            return found.pop()
        raise fail(
            f"{name!r} goes to {self.label(consumer)} without being quantised; "
            "put QuantizeLinear and DequantizeLinear in between"
        )

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The node that reads an ONNX tensor, if there is just one and the tensor is no output of the model."""
        consumers = self._consumers.get(name, [])
        return consumers[0] if len(consumers) == 1 and name not in self._outputs else None

    def absorb(self, node: onnx.NodeProto) -> None:
        """Mark a node as done: it has become part of the one being read."""
        self._absorbed.add(id(node))

    def _absorb(self, node: onnx.NodeProto, source: str) -> None:
        """A Relu or Clip that has become part of the operator before it: its output is that operator's."""
        self._absorbed.add(id(node))
        self._renamed.setdefault(source, []).append(node.output[0])

    def clip_bounds(self, node: onnx.NodeProto, quantization: Quantization) -> tuple[int, int]:
        """Relu or Clip as a range of quantised values: bound -> zero + floor(bound / scale + 1/2), within 0..255."""
        if node.op_type == "Relu":
            low, high = 0.0, None
        else:
            old = self.attributes(node, min=None, max=None)
            low, high = self.constant(node, 1, old["min"]), self.constant(node, 2, old["max"])

        def level(bound, missing: int) -> int:
            if bound is None:
                return missing
            value = float(np.asarray(bound).reshape(-1)[0]) / quantization.scale + 0.5
            return min(255, max(0, quantization.zero + floor(min(max(value, -1e9), 1e9))))

        low, high = level(low, 0), level(high, 255)
        return low, max(low, high)

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
        """Append a node whose output stands for a tensor of integers in the file."""
        tensor = self._append(op, node, inputs, shape, quantization, attributes, output)
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
        if shape[0] != 1:
            raise self.unsupported(node, f"its result has shape {shape}; axis 0 must remain the batch")
        if np.prod([float(d) for d in shape]) > LARGEST_TENSOR:
            raise self.unsupported(node, f"its result has more than {LARGEST_TENSOR} elements")
        name = self._add_tensor(wanted, tuple(int(d) for d in shape), quantization)
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

    def _add_tensor(self, name: str, shape: tuple[int, ...], quantization: Quantization) -> str:
        unique = name
        k = 2
        while unique in self.tensors:
            unique, k = f"{name}_{k}", k + 1
        self.tensors[unique] = Tensor(unique, shape, quantization)
        return unique

    def _rescale(self, node: onnx.NodeProto, tensor: str, sink: Sink) -> str:
        from lamella.codegen.operators import rescale

        source = self.tensors[tensor]
        return self.add(
            "rescale", node, [source], source.shape, sink.quantization, rescale.attributes(self, node, source, sink)
        ).name

    def requant(self, node: onnx.NodeProto, x_scale: float, w_scales, sink: Sink) -> Requant:
        """Multipliers and shifts from the scales (lamella.requant), range from the sink."""
        try:
            m, s = requant.quantize_multipliers(x_scale, np.atleast_1d(np.asarray(w_scales)), sink.quantization.scale)
        except ValueError as error:
            raise self.unsupported(
                node, f"{error}: the scales of input, weights and output do not fit together"
            ) from None
        return Requant(m, s, sink.quantization.zero, sink.low, sink.high)
