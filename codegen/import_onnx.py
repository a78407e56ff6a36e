"""Read a quantised ONNX file (QuantizeLinear / DequantizeLinear around float operators) into a Graph.

No private metadata is needed: formats, ternary layers and ranges are seen from the values. The method: every float
tensor of the file that is followed by QuantizeLinear stands for an integer activation; operators in between (Relu,
Clip, pooling, reshaping) are folded or moved behind it, which is exact because quantisation is monotone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from lamella.codegen import as_tflite, operators
from lamella.codegen.ir import Graph, Port, Sink
from lamella.codegen.onnx_constants import RAW
from lamella.codegen.onnx_file import LARGEST_TENSOR, load, unknown_nodes
from lamella.codegen.onnx_floats import Floats
from lamella.codegen.sources.tflite_writer import ORIGINS
from lamella.errors import UnsupportedError, UsageError

#: What models are made of that measure the ranges of their activations as they run (onnxruntime's quantize_dynamic).
DYNAMIC = frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"})


def read(path: str | Path, floats: bool = True, arithmetic: str = "lamella") -> Graph:
    """The graph of an ONNX file. floats: what has no form in integers runs in float32. arithmetic: as Graph has it. Raises
    UsageError if the file cannot be read, UnsupportedError if it holds what is not supported."""
    path = Path(path)
    model = load(path)
    if arithmetic == "tflite" and all(p.key != ORIGINS for p in model.metadata_props):
        raise UsageError(f"{path}: not a TFLite file, so --arithmetic tflite has no meaning; leave it out")
    reader = Reader(model, path, floats)
    reader.as_tflite = arithmetic == "tflite"
    return reader.graph()


def read_with_names(path: str | Path) -> tuple[Graph, dict[str, str]]:
    """A graph, and for each of its tensors that the file quantises the name of the integer tensor in the file."""
    path = Path(path)
    return read_model(load(path), path)


def read_model(model: onnx.ModelProto, path: Path, arithmetic: str = "lamella") -> tuple[Graph, dict[str, str]]:
    """As read_with_names, of a model in memory; messages name the path."""
    reader = Reader(model, path, floats=True)
    reader.as_tflite = arithmetic == "tflite"
    graph = reader.graph()
    names: dict[str, str] = {}
    for onnx_name, tensor in reader.integers.items():
        names.setdefault(tensor, onnx_name)
    return graph, names


class Reader(Floats):
    """One import: inputs, nodes in order, outputs. Operators' `read` functions use its public methods and its parents'."""

    def __init__(self, model: onnx.ModelProto, path: Path, floats: bool = False, is_body: bool = False):
        """is_body: of a loop. Its inputs of float32 stay so, whatever reads them, and may have any first axis."""
        super().__init__(model, path)
        self._with_floats = floats
        self._is_body = is_body
        self._in_float: dict[str, str] = {}  # nodes that run in float32, and why
        self._raw_dtypes: dict[str, str] = {}  # tensor of the graph's input -> raw type
        self._unknown = {id(node): node for node in unknown_nodes(model)}
        self._refused: list[str] = []  # messages of nodes that are not supported
        self._lost: set[str] = set()  # tensors that cannot be computed, because of those
        self._shapes: dict[str, tuple[int, ...]] | None = None
        self._is_float = not any(n.op_type == "QuantizeLinear" for n in model.graph.node)

    def graph(self) -> Graph:
        """Read everything. What is not supported is collected, so that one UnsupportedError names all of it."""
        inputs = self._read_inputs()
        if not self.model.graph.output:
            raise UnsupportedError(f"{self.path}: the model has no output")
        for node in self.model.graph.node:
            if id(node) in self._absorbed:
                continue
            if any(name in self._lost for name in node.input):
                self._lose(node)
                continue
            before = self.state() if self._with_floats else {}
            try:
                with self._sound(node):
                    self._read_node(node)
            except UnsupportedError as error:
                try:
                    self._fall_back(node, error, before)
                except UnsupportedError as refusal:
                    self._refused.append(str(refusal))
                    self._lost.update(node.output)
        if self._refused:
            raise UnsupportedError("\n".join(dict.fromkeys(self._refused)))
        ports = tuple(self._input_port(value, tensor) for value, tensor in inputs)
        outputs = tuple(self._output_port(value) for value in self.model.graph.output)
        name = self.model.graph.name
        arithmetic = "tflite" if self.as_tflite else "lamella"
        return Graph(name, ports, outputs, dict(self.tensors), tuple(self.nodes), self._in_float, arithmetic)

    def inner(self, body: onnx.ModelProto) -> "Reader":
        """A reader of a loop's body, which sees the constants around it."""
        found = type(self)(body, self.path, self._with_floats, is_body=True)
        found.constants = {**self.constants, **found.constants}
        found.dequantized = dict(self.dequantized)
        found.as_tflite = self.as_tflite
        return found

    def run_in_float(self, body: "Reader") -> None:
        """What runs in float32 inside a loop's body does so in the whole."""
        self._in_float.update(body._in_float)

    def _fall_back(self, node: onnx.NodeProto, why: UnsupportedError, before: dict) -> None:
        """A node that has no form in integers, in float32; the error if that is not wanted or not possible either."""
        if not self._with_floats:
            raise why
        self.restore(before)
        try:
            with self._sound(node):
                self.read_float(node)
        except UnsupportedError as error:
            self.restore(before)
            known = self.is_known_in_float(node) if id(node) in self._unknown else self._is_float
            raise (error if known else why) from None
        reason = str(why).removeprefix(f"{self.path}: node {self.label(node)}: ")
        self._in_float[self.label(node)] = "the file is not quantised" if self._is_float else reason

    @contextmanager
    def _sound(self, node: onnx.NodeProto) -> Iterator[None]:
        """Files may hold anything: what is no valid node ends as one that is not supported."""
        try:
            yield
        except (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError, MemoryError) as error:
            raise self.unsupported(
                node,
                f"its inputs and attributes are not those of a valid {node.op_type} ({type(error).__name__}: {error})",
            ) from error

    def _read_node(self, node: onnx.NodeProto) -> None:
        if id(node) in self._unknown:
            raise self._unsupported_operator(node)
        if node.op_type == "QuantizeLinear":
            self._read_quantize(node)
        elif node.op_type == "DequantizeLinear":
            self._read_dequantize(node)
        elif node.op_type in ("Identity", "Dropout"):
            if any(np.any(self.constants.get(name, True)) for name in node.input[2:] if name):
                raise self.unsupported(node, "training mode; export for inference")
            self._alias(node.input[0], node.output[0])
        elif not self._fold_shape(node) and not self.fold(node):
            operator = operators.by_onnx_type().get(node.op_type)
            if operator is None:
                raise self.unsupported(node, "its input is not constant")
            if not (self.as_tflite and as_tflite.read(self, node)):
                operator.read(self, node)

    def _unsupported_operator(self, node: onnx.NodeProto) -> UnsupportedError:
        remedy = "`lamella operators` lists what is; leave it outside the exported network or replace it"
        if node.op_type in DYNAMIC:
            remedy = "quantise with ranges from samples (quantize_static, or the float model with --calibrate), not dynamically"
        return self.unsupported(node, f"this operator is not supported; {remedy}")

    def _lose(self, node: onnx.NodeProto) -> None:
        """A node behind one that is not supported: where it quantises, reading goes on with a tensor of that shape."""
        self._lost.update(node.output)
        if node.op_type != "QuantizeLinear" or node.input[1] in self._lost:
            return
        if self._shapes is None:
            self._shapes = self._inferred_shapes()
        shape = self._shapes.get(node.input[0], self._shapes.get(node.output[0], ()))
        if shape and all(d > 0 for d in shape[1:]):
            self._lost.difference_update(node.output)
            quantization, _ = self.quantization(node)
            self.integers[node.output[0]] = self._add_tensor(node.input[0], (1, *shape[1:]), quantization)

    def _inferred_shapes(self) -> dict[str, tuple[int, ...]]:
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model).graph.value_info
        except Exception:  # foreign domains, text that is none: then nothing is said about what lies behind
            return {}
        return {
            v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
            for v in inferred
            if v.type.tensor_type.HasField("shape")
        }

    def _read_inputs(self) -> list[tuple[onnx.ValueInfoProto, str]]:
        found = []
        for value in self.model.graph.input:
            if value.name in self.constants:
                continue
            tensor_type = value.type.tensor_type
            if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
                raise UnsupportedError(f"{self.path}: input {value.name!r} has no shape; export with a fixed shape")
            shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor_type.shape.dim]
            is_float_state = self._is_body and tensor_type.elem_type == onnx.TensorProto.FLOAT
            if is_float_state:
                found.append((value, self._float_input(value.name, tuple(shape))))
                continue
            if not shape:
                raise UnsupportedError(f"{self.path}: input {value.name!r} is a scalar; a batch axis is expected")
            if any(d is not None and d < 1 for d in shape[1:]):
                raise UnsupportedError(f"{self.path}: input {value.name!r} has an axis of length 0: {tuple(shape)}")
            if any(d is None for d in shape[1:]):
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
            names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
            kind = names.get(element, str(element))
            raise UnsupportedError(
                f"{self.path}: input {value.name!r} has element type {kind}; float32, uint8 and int8 are supported"
            )
        users = self._consumers.get(value.name, [])
        if wanted == "QuantizeLinear":
            if self._is_float and not self._with_floats:
                self._refuse_float()
            try:
                sink = self._sink(
                    value.name, lambda why: UnsupportedError(f"{self.path}: input {value.name!r}: {why}"), absorb=False
                )
            except UnsupportedError:
                if not self._with_floats:
                    raise
                return self._float_input(value.name, shape)
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

    def _float_input(self, name: str, shape: tuple[int, ...]) -> str:
        rows = shape[:1] != (1,)  # only a state of a loop may have them
        tensor = self._add_tensor(name, (1, *shape) if rows else shape, None)
        if rows:
            self.rows.add(tensor)
        self._raw_dtypes[tensor] = "float32"
        self._floats[name] = tensor
        return tensor

    def _refuse_float(self) -> None:
        for name, array in self.constants.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UsageError(f"{self.path}: weights {name!r} hold NaN or infinity; train or export the model again")
        if self._unknown:
            raise UnsupportedError("\n".join(str(self._unsupported_operator(n)) for n in self._unknown.values()))
        raise UnsupportedError(
            f"{self.path}: a float model; give samples of its input, --calibrate X.npz, or a quantised file: of `lamella "
            "train` or of any tool that writes QDQ, QOperator or TFLite"
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
        if self._inside(value.name) in self.rows and not self._is_body:
            raise UnsupportedError(f"{self.path}: output {value.name!r}: axis 0 must remain the batch")
        if value.name in self._values and producer is not None and producer.op_type == "DequantizeLinear":
            _, raw = self.quantization(producer)
            return Port(value.name, self._values[value.name], "float32", raw)
        if value.name in self._floats and value.type.tensor_type.elem_type in (onnx.TensorProto.FLOAT, 0):
            return Port(value.name, self._floats[value.name], "float32", "float32")
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
        if source in self.deferred and source not in self._values:
            self.deferred[source].quantize(self, node)
        quantization, _ = self.quantization(node)
        tensor = self._values.get(source)
        if tensor is None and self.quantized(node, source):
            return
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
        for table in (self.constants, self.dequantized, self._values, self.integers, self._floats):
            if source in table:
                table[target] = table[source]

    def _inside(self, name: str) -> str | None:
        """The tensor that stands for an ONNX tensor."""
        return self._values.get(name, self.integers.get(name, self._floats.get(name)))

    def _fold_shape(self, node: onnx.NodeProto) -> bool:
        """The shape of an activation is constant, the batch being 1."""
        if node.op_type != "Shape":
            return False
        tensor = self._inside(node.input[0])
        if tensor is None:
            return False
        a = self.attributes(node, start=0, end=None)
        self.constants[node.output[0]] = np.array(self.shape_of(self.tensors[tensor]), np.int64)[a["start"] : a["end"]]
        return True

    def _rescale(self, node: onnx.NodeProto, tensor: str, sink: Sink) -> str:
        from lamella.codegen.operators import rescale

        source = self.tensors[tensor]
        return self.add(
            "rescale", node, [source], source.shape, sink.quantization, rescale.attributes(self, node, source, sink)
        ).name
