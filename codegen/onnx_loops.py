"""Reading ONNX Scan: a loop whose states, sequences and results are all quantised integers or all float32 values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import onnx

from lamella.codegen import operators
from lamella.codegen.ir import Graph, Quantization, Tensor
from lamella.codegen.onnx_constants import RAW
from lamella.codegen.onnx_floats import Operand
from lamella.codegen.operators.reshape import Reshape
from lamella.codegen.operators.scan import Result, Scan
from lamella.codegen.operators.slice import Slice

FLOAT = onnx.TensorProto.FLOAT


@dataclass(frozen=True)
class _Given:
    """A tensor of the outer graph, or a constant as the body's states lie (then quantised values are those of the file); shape:
    that in the file. For a sequence that of one step."""

    shape: tuple[int, ...]
    tensor: Tensor | None = None
    value: np.ndarray | None = None
    steps: int = 0


def read(reader, node, floats: bool) -> None:
    """Append a Scan. floats: what is carried is float32."""
    a = reader.attributes(
        node,
        body=None,
        num_scan_inputs=None,
        scan_input_axes=None,
        scan_input_directions=None,
        scan_output_axes=None,
        scan_output_directions=None,
    )
    n_sequences, states = a["num_scan_inputs"] or 0, len(node.input) - (a["num_scan_inputs"] or 0)
    counts = (len(node.input), len(node.output))
    if a["body"] is None or (len(a["body"].input), len(a["body"].output)) != counts or states < 1 or n_sequences < 1:
        raise reader.unsupported(node, "a body with other inputs and outputs than the node, or no state or sequence")
    outs = len(node.output) - states
    axes, out_axes = a["scan_input_axes"] or [0] * n_sequences, a["scan_output_axes"] or [0] * outs
    back, out_back = a["scan_input_directions"] or [0] * n_sequences, a["scan_output_directions"] or [0] * outs
    if [len(axes), len(back)] != [n_sequences] * 2 or [len(out_axes), len(out_back)] != [outs] * 2:
        raise reader.unsupported(node, "axes or directions of another number than its sequences")
    for value in a["body"].input:
        if value.type.tensor_type.elem_type not in ([FLOAT] if floats else RAW):
            why = (
                "not float32"
                if floats
                else "float32 or of another type; give the float model and samples, --calibrate X.npz"
            )
            raise reader.unsupported(node, f"{value.name!r}, which its body is given, is {why}")
    carries = _float if floats else _integer
    sequences = [carries(reader, node, states + k, axis) for k, axis in enumerate(axes)]
    given = [carries(reader, node, k) for k in range(states)]
    steps = {s.steps for s in sequences}
    used = [k for k, name in enumerate(node.output) if name and reader.is_used(name)]
    if len(steps) != 1 or not used:
        raise reader.unsupported(node, "sequences of different lengths" if used else "none of its results is used")
    inner, body = _body(reader, node, a["body"], [*given, *sequences], states, used)
    first = tuple(_first(g, port.offset) for g, port in zip(given, body.inputs, strict=False))
    kept = [k for k in used if k >= states]
    results = tuple(
        Result(k, False) if k < states else Result(states + kept.index(k), True, bool(out_back[k - states]))
        for k in used
    )
    scan = Scan(body, steps.pop(), first, tuple(map(bool, back)), results)
    inputs = [x.tensor for x in (*sequences, *given) if x.tensor is not None]
    ends = [body.tensor_of(body.outputs[r.output]) for r in results]
    shapes = [inner.shape_of(t) for t in ends]
    at = [out_axes[k - states] if k >= states else None for k in used]
    if floats:
        _give_floats(reader, node, inputs, scan, shapes, used, at)
    else:
        _give_integers(reader, node, inputs, scan, [t.quantization for t in ends], shapes, used, at)
        reader.run_in_float(inner)


def _integer(reader, node, k: int, axis: int | None = None) -> _Given:
    """An input of quantised values; axis: the one that is scanned of a sequence."""
    value = reader.constants.get(node.input[k])
    if axis is None and value is not None:
        if value.ndim < 2 or value.shape[0] != 1:
            raise reader.unsupported(
                node,
                f"its initial state {node.input[k]!r} has shape {value.shape}; the first axis must be a batch of 1",
            )
        return _Given(value.shape, value=value)
    x = reader.integer(node, k)
    shape = reader.shape_of(x)
    if axis is None:
        return _Given(shape, x)
    axis %= len(shape)
    step = (*shape[:axis], *shape[axis + 1 :])
    if prod(shape[:axis]) != 1 or step[:1] != (1,):
        raise reader.unsupported(node, f"scanning axis {axis} of shape {shape}; a batch of 1 is supported")
    return _Given(step, x, steps=shape[axis])


def _float(reader, node, k: int, axis: int | None = None) -> _Given:
    """An input of float32 values; a sequence with its steps one behind the other."""
    x = reader.operand(node, k)
    if axis is None:
        return _Given(x.shape, x.tensor, x.value)
    axis %= max(x.rank, 1)
    x = reader.materialised(node, x)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if prod(x.shape[:axis]) != 1:
        x = reader.transposed(node, x, [axis, *(j for j in range(x.rank) if j != axis)])
        axis = 0
    return _Given(shape, x.tensor, steps=x.shape[axis])


def _first(given: _Given, offset: int) -> np.ndarray | None:
    if given.value is None:
        return None
    if given.value.dtype == np.float32:
        return np.ascontiguousarray(given.value)
    return (given.value.astype(np.int16) + offset).astype(np.uint8)


def _body(
    reader, node, proto: onnx.GraphProto, given: Sequence[_Given], states: int, used: Sequence[int]
) -> tuple[object, Graph]:
    """The reader of the inner graph, and the graph: its inputs are those of the node, its outputs the next states and the
    results in use. What surrounds it gives constants."""
    if any(n.op_type == "Scan" for n in proto.node):
        raise reader.unsupported(node, "a Scan inside a Scan")
    model = onnx.ModelProto()
    model.opset_import.extend(reader.model.opset_import)
    model.graph.CopyFrom(proto)
    del model.graph.output[:]
    model.graph.output.extend([*proto.output[:states], *(proto.output[k] for k in used if k >= states)])
    for value, one in zip(model.graph.input, given, strict=True):
        kind = value.type.tensor_type.elem_type
        value.type.CopyFrom(onnx.helper.make_tensor_type_proto(kind, one.shape))
    inner = reader.inner(model)
    body = inner.graph()
    for k, one in enumerate(given):
        before = body.tensor_of(body.inputs[k])
        if one.tensor is not None and one.tensor.quantization != before.quantization:
            raise reader.unsupported(
                node, f"its body dequantises {node.input[k]!r} in another way than it was quantised"
            )
    for k in range(states):
        before, after = (body.tensor_of(ports[k]) for ports in (body.inputs, body.outputs))
        if before.shape != after.shape or before.quantization != after.quantization:
            raise reader.unsupported(node, f"state {k} changes its shape or quantisation from step to step")
        origin = _origin(body, after.name)
        if origin in [port.tensor for port in body.inputs[:states]] and origin != before.name:
            raise reader.unsupported(node, f"state {k} is another state of the step before; compute something between")
    taken = reader.names_taken()
    nodes = tuple(n if n.name not in taken else replace(n, name=f"{node.name}_{n.name}") for n in body.nodes)
    return inner, replace(body, nodes=nodes)


def _origin(body: Graph, name: str) -> str:
    """The tensor whose memory a tensor of a body will lie in."""
    views = {n.output: n.inputs[0] for n in body.nodes if operators.get(n.op).is_view or n.op == "slice"}
    while name in views:
        name = views[name]
    return name


def _give_integers(
    reader,
    node,
    inputs: list[Tensor],
    scan: Scan,
    quantizations: list[Quantization],
    shapes: list[tuple[int, ...]],
    used: list[int],
    axes: list[int | None],
) -> None:
    """Integer results. Several lie in one tensor, whose quantisation says nothing: parts of it are read, each with its own."""
    wholes = []
    for shape, axis in zip(shapes, axes, strict=True):
        at = None if axis is None else axis % (len(shape) + 1)
        if at is not None and prod(shape[:at]) != 1:
            raise reader.unsupported(node, f"results of steps along axis {axis}; a batch of 1 before it is supported")
        wholes.append(shape if at is None else (*shape[:at], scan.steps, *shape[at:]))
    if len(used) == 1:
        reader.add_integer("scan", node, inputs, wholes[0], quantizations[0], scan, node.output[used[0]])
        return
    packed = reader.add_hidden("scan", node, inputs, (1, sum(map(prod, wholes))), quantizations[0], scan)
    start = 0
    for k, whole, quantization in zip(used, wholes, quantizations, strict=True):
        part = reader.add_hidden("slice", node, [packed], (1, prod(whole)), quantization, Slice(1, start))
        reader.add_integer("reshape", node, [part], whole, quantization, Reshape(), node.output[k])
        start += prod(whole)


def _give_floats(
    reader,
    node,
    inputs: list[Tensor],
    scan: Scan,
    shapes: list[tuple[int, ...]],
    used: list[int],
    axes: list[int | None],
) -> None:
    """Float32 results, each a part of one tensor."""
    wholes = [
        (scan.steps, *shape) if result.sequence else shape for result, shape in zip(scan.results, shapes, strict=True)
    ]
    sizes = [prod(whole) for whole in wholes]
    packed = reader.float_node("scan", node, [Operand(x.shape, x) for x in inputs], (1, sum(sizes)), scan)
    start = 0
    for k, whole, size, axis in zip(used, wholes, sizes, axes, strict=True):
        y = reader.indexed(node, packed, [np.zeros(1, np.int64), np.arange(start, start + size)])
        start += size
        y = reader.view(node, y, whole)
        if axis is not None and axis % len(whole):
            order = list(range(1, len(whole)))
            order.insert(axis % len(whole), 0)
            y = reader.transposed(node, y, order)
        reader.give(node, y, k)
