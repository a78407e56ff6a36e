"""A loop over a sequence (recurrent layers): an inner graph runs once a step and hands its states to the next one."""

from dataclasses import dataclass, replace

import numpy as np
import onnx

from lamella import tables
from lamella.codegen.ir import Graph, Node, Port, Quantization, Tensor
from lamella.codegen.onnx_constants import RAW
from lamella.codegen.operators import add, sampling, table
from lamella.codegen.operators.dense import Dense
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.slice import Slice


@dataclass(frozen=True)
class Scan:
    """body: inputs are the states, then the input's present step; outputs the next states, then the result.

    first: the level that fills each state before the first step. sequence: the output holds the results of all steps
    (1, steps, ...), else the last one's.
    """

    body: Graph
    steps: int
    first: tuple[int, ...]
    sequence: bool


def read(reader, node) -> None:
    """ONNX Scan over axis 1 of one quantised sequence: integer states, one result that is used."""
    a = reader.attributes(
        node,
        body=None,
        num_scan_inputs=None,
        scan_input_axes=None,
        scan_input_directions=None,
        scan_output_axes=None,
        scan_output_directions=None,
    )
    states = len(node.input) - (a["num_scan_inputs"] or 0)
    counts = (states + (a["num_scan_inputs"] or 0), len(node.output))
    if a["body"] is None or (len(a["body"].input), len(a["body"].output)) != counts or states < 1:
        raise reader.unsupported(node, "a body with other inputs and outputs than the node, or no state")
    axes = [*(a["scan_input_axes"] or [0]), *(a["scan_output_axes"] or [0] * (len(node.output) - states))]
    if a["num_scan_inputs"] != 1 or any(axis not in (1, -2) for axis in axes):
        raise reader.unsupported(node, "scanning another axis than 1, or several inputs; one (batch, steps, features)")
    if any([*(a["scan_input_directions"] or []), *(a["scan_output_directions"] or [])]):
        raise reader.unsupported(node, "scanning backwards; forwards is supported")
    x = reader.integer(node, states)
    if len(x.shape) != 3:
        raise reader.unsupported(node, f"an input of shape {x.shape}; (batch, steps, features) is supported")
    used = [k for k, name in enumerate(node.output) if name and reader.is_used(name)]
    if len(used) != 1:
        raise reader.unsupported(node, f"{len(used)} of its results are used; exactly one is supported")
    (result,) = used
    body = _read_body(reader, node, a["body"], x, states, result)
    first = tuple(_first(reader, node, k, body.inputs[k]) for k in range(states))
    y = body.tensor_of(body.outputs[-1])
    sequence = result >= states
    shape = (1, x.shape[1], *y.shape[1:]) if sequence else y.shape
    scan = Scan(body, x.shape[1], first, sequence)
    reader.add_integer("scan", node, [x], shape, y.quantization, scan, node.output[result])


def _read_body(reader, node, proto: onnx.GraphProto, x: Tensor, states: int, result: int) -> Graph:
    """The inner graph, its ports as Scan wants them; what surrounds it gives constants."""
    if any(n.op_type == "Scan" for n in proto.node):
        raise reader.unsupported(node, "a Scan inside a Scan")
    model = onnx.ModelProto()
    model.opset_import.extend(reader.model.opset_import)
    model.graph.CopyFrom(proto)
    outputs = [*proto.output[:states], *([proto.output[result]] if result >= states else [])]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    for k, value in enumerate(model.graph.input):
        initial = None if k == states else _initial(reader, node, k)
        shape = (1, *x.shape[2:]) if initial is None else initial.shape
        kind = value.type.tensor_type.elem_type
        if kind not in RAW:
            raise reader.unsupported(node, f"{value.name!r} of its body is not uint8 or int8; carry integers")
        value.type.CopyFrom(onnx.helper.make_tensor_type_proto(kind, shape))
    inner = type(reader)(model, reader.path)
    inner.constants = {**reader.constants, **inner.constants}
    inner.dequantized = dict(reader.dequantized)
    body = inner.graph()
    for k in range(states):
        before, after = (body.tensor_of(ports[k]) for ports in (body.inputs, body.outputs))
        if before.shape != after.shape or before.quantization != after.quantization:
            raise reader.unsupported(node, f"state {k} changes its shape or quantisation from step to step")
    if body.tensor_of(body.inputs[states]).quantization != x.quantization:
        raise reader.unsupported(node, "its body dequantises the input in another way than it was quantised")
    if result < states:
        body = replace(body, outputs=(*body.outputs, body.outputs[result]))
    taken = reader.names_taken()
    nodes = tuple(n if n.name not in taken else replace(n, name=f"{node.name}_{n.name}") for n in body.nodes)
    return replace(body, nodes=nodes)


def _initial(reader, node, k: int) -> np.ndarray:
    value = reader.constants.get(node.input[k])
    if value is None or value.ndim < 2 or value.shape[0] != 1:
        raise reader.unsupported(
            node, f"its initial state {node.input[k]!r} is no constant of shape (batch, ...); make it one"
        )
    return value


def _first(reader, node, k: int, port: Port) -> int:
    levels = np.unique(_initial(reader, node, k))
    if levels.size != 1:
        raise reader.unsupported(node, f"its initial state {node.input[k]!r} has different values; give it one")
    return int(levels[0]) + port.offset


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact integer result: the body's references, step by step."""
    import torch

    from lamella.codegen import operators

    a: Scan = node.attributes
    body, (x,) = a.body, inputs
    shapes = [body.tensor_of(port).shape for port in body.inputs]
    states = [torch.full((len(x), *s[1:]), f, dtype=torch.uint8) for s, f in zip(shapes, a.first, strict=False)]
    results = []
    for t in range(a.steps):
        values = {p.tensor: v for p, v in zip(body.inputs, (*states, x[:, t]), strict=True)}
        for inner in body.nodes:
            operands = [values[name] for name in inner.inputs]
            values[inner.output] = operators.get(inner.op).reference(body, inner, operands)
        *states, y = (values[port.tensor] for port in body.outputs)
        results.append(y)
    return torch.stack(results, 1) if a.sequence else results[-1]


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates for one sample: those of the body, every step."""
    from lamella.codegen import operators

    a: Scan = node.attributes
    return a.steps * sum(operators.get(n.op).macs(a.body, n) for n in a.body.nodes)


def copied_bytes(scan: Scan) -> int:
    """Bytes that one step moves to and from the body's memory."""
    states = sum(scan.body.tensor_of(port).bytes for port in scan.body.inputs[:-1])
    result = scan.body.tensor_of(scan.body.outputs[-1]).bytes if scan.sequence else 0
    return scan.body.tensor_of(scan.body.inputs[-1]).bytes + states + result


def sample(draw) -> Graph:
    """A random simple recurrent network: h = tanh(W x + U h), and the product of its halves or the state as result."""
    steps, features, units = draw.integer(1, 5), draw.integer(1, 6), 2 * draw.integer(1, 5)
    x = draw.tensor("x", (1, steps, features))
    h = Quantization(float(np.float32(1 / 128)), 128)
    step_x, state = Tensor("step_x", (1, features), x.quantization), Tensor("h", (1, units), h)
    tensors, nodes = {"step_x": step_x, "h": state}, []

    def append(op: str, inputs: list[Tensor], y: Tensor, attributes) -> Tensor:
        tensors[y.name] = y
        nodes.append(Node(op, f"{y.name}_node", tuple(t.name for t in inputs), y.name, attributes))
        return y

    def dense(name: str, of: Tensor) -> Tensor:
        levels, scales = draw.levels((units, of.bytes)), draw.scales(units)
        y = draw.quantization(of.quantization.scale * float(scales.max()) * 40)
        requant = draw.requant(of.quantization.scale, scales, y)
        bias = draw.integers((units,), -3000, 3000)
        return append("dense", [of], Tensor(name, (1, units), y), Dense(levels, scales, bias, requant))

    parts = [dense("wx", step_x), dense("uh", state)]
    scales = [part.quantization.scale for part in parts]
    q = draw.quantization(max(scales))
    multipliers, shift = add.multipliers_of(*scales, q.scale)
    total = append("add", parts, Tensor("sum", (1, units), q), add.Add(multipliers, shift, q.zero, 0, 255))
    values = tables.tabulate(np.tanh, q.scale, q.zero, h.scale, h.zero)
    after = append("table", [total], Tensor("next", (1, units), h), table.Table(values, "tanh"))
    sequence = draw.choice([True, False])
    y = after
    if draw.choice([True, False]):
        y = append("slice", [after], Tensor("part", (1, units // 2), h), Slice(1, draw.integer(0, units // 2)))
    ports = tuple(Port(t.name, t.name, "uint8", "uint8") for t in (state, step_x, after, y))
    body = Graph("body", ports[:2], ports[2:], tensors, tuple(nodes))
    scan = Scan(body, steps, (draw.integer(0, 255),), sequence)
    return sampling.graph("scan", [x], Tensor("y", (1, *([steps] if sequence else []), *y.shape[1:]), h), scan)


def steps_text(graph: Graph, node: Node) -> str:
    """Number of steps."""
    return f"{node.attributes.steps} steps"


OPERATOR = Operator(
    name="scan",
    title="loop over a sequence with states (ONNX Scan): GRU, LSTM and other recurrent layers",
    onnx=("Scan",),
    read=read,
    reference=reference,
    macs=macs,
    details=steps_text,
    sample=sample,
)
