"""A loop over a sequence (recurrent layers): an inner graph runs once a step and hands its states to the next one."""

from dataclasses import dataclass
from math import prod

import numpy as np

from lamella import tables
from lamella.codegen.ir import Graph, Node, Port, Quantization, Tensor
from lamella.codegen.operators import add, sampling, table
from lamella.codegen.operators.dense import Dense
from lamella.codegen.operators.record import Operator
from lamella.codegen.operators.slice import Slice


@dataclass(frozen=True)
class Result:
    """What a loop gives: an output of its body, by index, of every step (backwards: the last step's lies first) or of the
    last one."""

    output: int
    sequence: bool
    backwards: bool = False


@dataclass(frozen=True)
class Scan:
    """body: inputs are the states, then the sequences' present steps; outputs the next states, then others.

    first: each state before the first step, as it lies inside; None: the node's inputs behind the sequences give it.
    backwards: for each sequence whether its last step comes first. results: lie one behind the other in the output, which has
    the shape of the result if there is just one.
    """

    body: Graph
    steps: int
    first: tuple[np.ndarray | None, ...]
    backwards: tuple[bool, ...]
    results: tuple[Result, ...]


def result_shape(scan: Scan, result: Result) -> tuple[int, ...]:
    """Of a result inside, the axis of steps behind that of the batch."""
    shape = scan.body.tensor_of(scan.body.outputs[result.output]).shape
    return (1, scan.steps, *shape[1:]) if result.sequence else shape


def read(reader, node) -> None:
    """ONNX Scan whose states and sequences are integers."""
    from lamella.codegen import onnx_loops  # which makes this operator

    onnx_loops.read(reader, node, floats=False)


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """Exact result: the body's references, step by step."""
    import torch

    from lamella.codegen import operators

    a: Scan = node.attributes
    body, n = a.body, len(inputs[0])
    shapes = [body.tensor_of(port).shape[1:] for port in body.inputs]
    sequences = [x.reshape(n, a.steps, *s) for x, s in zip(inputs, shapes[len(a.first) :], strict=False)]
    given = iter(inputs[len(sequences) :])
    states = [
        next(given).reshape(n, *s) if first is None else torch.from_numpy(np.repeat(first.reshape(1, *s), n, axis=0))
        for first, s in zip(a.first, shapes, strict=False)
    ]
    steps = []
    for t in range(a.steps):
        pieces = [x[:, a.steps - 1 - t if back else t] for x, back in zip(sequences, a.backwards, strict=True)]
        values = {p.tensor: v for p, v in zip(body.inputs, (*states, *pieces), strict=True)}
        for inner in body.nodes:
            operands = [values[name] for name in inner.inputs]
            values[inner.output] = operators.get(inner.op).reference(body, inner, operands)
        steps.append([values[port.tensor] for port in body.outputs])
        states = steps[-1][: len(states)]
    found = []
    for result in a.results:
        order = (steps[::-1] if result.backwards else steps) if result.sequence else steps[-1:]
        found.append(torch.stack([values[result.output] for values in order], 1).reshape(n, -1))
    return torch.cat(found, 1).reshape(n, *graph.tensors[node.output].shape[1:])


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates for one sample: those of the body, every step."""
    from lamella.codegen import operators

    a: Scan = node.attributes
    return a.steps * sum(operators.get(n.op).macs(a.body, n) for n in a.body.nodes)


def copied_bytes(scan: Scan) -> int:
    """Bytes that one step moves to and from the body's memory."""
    body = scan.body
    moved = [*body.inputs, *(body.outputs[r.output] for r in scan.results if r.sequence)]
    return sum(body.tensor_of(port).bytes for port in moved)


def sample(draw) -> Graph:
    """A random simple recurrent network, h = tanh(W x + U h), in either direction; of the product of its halves and of the
    state one result or several."""
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
    y = after
    if draw.choice([True, False]):
        y = append("slice", [after], Tensor("part", (1, units // 2), h), Slice(1, draw.integer(0, units // 2)))
    ports = tuple(Port(t.name, t.name, "uint8", "uint8") for t in (state, step_x, after, y))
    body = Graph("body", ports[:2], ports[2:], tensors, tuple(nodes))
    first = draw.choice([
        np.full(state.shape, draw.integer(0, 255), np.uint8), draw.integers(state.shape, 0, 255).astype(np.uint8), None
    ])  # fmt: skip
    back = draw.choice([True, False])
    ways = [Result(1, True, back), Result(1, False), Result(0, False), Result(0, True)]
    scan = Scan(body, steps, (first,), (back,), draw.choice([(ways[0],), (ways[1],), tuple(ways[:3]), tuple(ways[1:])]))
    shapes = [result_shape(scan, r) for r in scan.results]
    whole = shapes[0] if len(shapes) == 1 else (1, sum(prod(s) for s in shapes))
    inputs = [x] if first is not None else [x, Tensor("given", state.shape, h)]
    return sampling.graph("scan", inputs, Tensor("y", whole, h), scan)


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
