"""The first layers of a network as a loop over strips of rows, so that the images between them never lie in RAM as a whole.

Each step takes a few rows of the input and brings every layer as many rows further as its strides make of them; where that is
less than one row, the layer waits for as many steps as make one. A layer reads
the rows that its window spans: the new ones of the tensor before it and some older ones, which are kept from step to step in a
window (operators/strip_window.py). Rows above and below an image are rows of the window as any others, filled with what
padding means to the reader; so inside a step every layer is an ordinary one without vertical padding, run by any kernel.

A tensor lags behind: after step t it has its rows up to (t + 1) * rows - delay. The first rows that a layer makes may lie above
its image, and the last ones below it; nothing reads them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lamella.codegen.ir import Graph, Node, Port, Quantization, Tensor, every_node
from lamella.codegen.operators.slice import Slice
from lamella.codegen.operators.strip_window import StripWindow
from lamella.codegen.operators.strips import Strips
from lamella.codegen.operators.windows import Window

#: Operators of single values: a row of the result needs the same row of the inputs.
BY_VALUE = ("add", "mul", "rescale", "table")


@dataclass(frozen=True)
class Reading:
    """How the rows of a result follow from those of the input: row k from `reach` rows, the first of them k * stride - top.

    fill: what rows outside the image are to the operator.
    """

    reach: int = 1
    stride: int = 1
    top: int = 0
    fill: int = 0

    def beyond(self, in_rows: int, out_rows: int) -> bool:
        """Whether rows outside the image are read."""
        return self.top > 0 or (out_rows - 1) * self.stride + self.reach - self.top > in_rows


@dataclass(frozen=True)
class Flow:
    """A tensor in the loop: new rows every `period` steps, its lag, the rows of its window (0: it needs none) and their
    filling."""

    rows: int
    period: int
    delay: int
    window: int = 0
    fill: int = 0


def reading(graph: Graph, node: Node) -> Reading | None:
    """How a node reads its inputs, if it can run by strips."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    if x.is_float or y.is_float:
        return None
    if node.op in ("transpose", "reshape"):
        return Reading() if _turns_to_turned(graph, node) else None
    if len(x.shape) != 4 or len(y.shape) != 4 or y.shape[2] < 2:
        return None
    if node.op in BY_VALUE:
        alike = all(graph.tensors[name].shape == y.shape for name in node.inputs)
        return Reading() if alike else None
    if node.op == "concat":
        return Reading() if node.attributes.axis == 1 and not node.attributes.constants else None
    if node.op not in ("conv2d", "maxpool2d", "avgpool2d"):
        return None
    w, pool = node.attributes.window, getattr(node.attributes, "pool", None)
    found = Reading(w.reach(0), w.stride[0], w.pads[0], 0 if node.op == "maxpool2d" else x.quantization.zero)
    if pool is not None:
        reach = (pool.window.reach(0) - 1) * w.stride[0] + w.reach(0)
        found = replace(found, reach=reach, stride=w.stride[0] * pool.window.stride[0])
    if getattr(node.attributes, "by_count", False) and found.beyond(x.shape[2], y.shape[2]):
        return None  # its divisor depends on the edge
    return found


def _turns_to_turned(graph: Graph, node: Node) -> bool:
    """Whether a node brings the model's input, (1, rows, columns, channels), into planes."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    if x.name != graph.inputs[0].tensor or len(x.shape) != 4 or len(y.shape) != 4 or y.shape[2] < 2:
        return False
    if (y.shape[2], y.shape[3], y.shape[1]) != x.shape[1:]:
        return False
    a = node.attributes
    return y.shape[1] == 1 if node.op == "reshape" else (a.outer, a.cols, a.inner) == (1, y.shape[1], 1)


def cuts(graph: Graph) -> Iterator[int]:
    """Numbers of first nodes that can become a loop: one tensor goes in, the model's only input, and one comes out."""
    if len(graph.inputs) != 1:
        return
    left = {port.tensor for port in graph.outputs}
    source = graph.inputs[0].tensor
    made = {source}
    fills: dict[str, set[int]] = {}
    for k, node in enumerate(graph.nodes, 1):
        how = reading(graph, node)
        if (
            how is None
            or not set(node.inputs) <= made
            or (source in node.inputs and made != {source} and _turned(graph))
        ):
            return
        made.add(node.output)
        for name in node.inputs:
            if _beyond(graph, node, name, how):
                fills.setdefault(name, set()).add(how.fill)
                if len(fills[name]) > 1:
                    return
        later = left | {name for n in graph.nodes[k:] for name in n.inputs}
        if made & later == {node.output} and node.op not in ("transpose", "reshape"):
            yield k


def _turned(graph: Graph) -> bool:
    """Whether the input is (1, rows, columns, channels) and turned first."""
    return graph.nodes[0].op in ("transpose", "reshape")


def _beyond(graph: Graph, node: Node, name: str, how: Reading) -> bool:
    if node.op in ("transpose", "reshape"):
        return False
    return how.beyond(graph.tensors[name].shape[2], graph.tensors[node.output].shape[2])


def flows(graph: Graph, cut: int, rows: int) -> dict[str, Flow] | None:
    """Every tensor of the first nodes in a loop with strips of so many rows of the input; None where that does not come
    out even, or where branches of different strides meet."""
    source = graph.inputs[0].tensor
    shrinks, found, depth = {source: 1}, {source: Flow(rows, 1, 0)}, {}
    for node in graph.nodes[:cut]:
        how = reading(graph, node)
        shrink = shrinks[node.inputs[0]] * how.stride
        if {shrinks[name] * how.stride for name in node.inputs} != {shrink} or max(rows, shrink) % min(rows, shrink):
            return None
        if shrink > rows and (shrink // rows).bit_count() > 1:
            return None  # periods are powers of two: no division at run time
        shrinks[node.output] = shrink
        before = [found[name] for name in node.inputs]
        delay = max(-(-(x.delay + how.reach - how.top) // how.stride) - 1 for x in before)
        y = Flow(max(rows // shrink, 1), max(shrink // rows, 1), delay)
        found[node.output] = y
        for name, x in zip(node.inputs, before, strict=True):
            span, beyond = _span(x, how, y), _beyond(graph, node, name, how)
            if span > x.rows or beyond:
                depth[name] = max(depth.get(name, 0), span, x.rows)
                found[name] = replace(found[name], fill=how.fill if beyond else found[name].fill)
    return {name: replace(flow, window=depth.get(name, 0)) for name, flow in found.items()}


def _span(x: Flow, how: Reading, y: Flow) -> int:
    """Rows of x from the first that a node reads when it makes its rows y to the last that there are."""
    return y.rows * how.stride - x.delay + y.delay * how.stride + how.top


def streamed(graph: Graph, cut: int, rows: int, by_row: bool = False) -> Graph | None:
    """The graph with its first `cut` nodes as a loop over strips of `rows` rows; None if that cannot be."""
    found = flows(graph, cut, rows)
    if found is None or max(flow.delay for flow in found.values()) > 65535:
        return None
    source, result = graph.inputs[0], graph.nodes[cut - 1].output
    x, y = graph.tensors[source.tensor], graph.tensors[result]
    planes, height, width = (1, x.shape[1], x.shape[2] * x.shape[3]) if _turned(graph) else x.shape[1:]
    last = found[result]
    made = _Body(graph, cut, found)
    body, periods = made.graph(), made.periods
    first = graph.nodes[:cut]
    names = {name for node in first for name in (*node.inputs, node.output)}
    whole = Graph(
        "whole",
        (Port(source.name, source.tensor, "uint8", "uint8"),),
        (Port(result, result, "uint8", "uint8"),),
        {name: graph.tensors[name] for name in names},
        first,
    )
    loop = Strips(
        body=body,
        steps=last.period * -(-(y.shape[2] + last.delay) // last.rows),
        delay=last.delay,
        periods={inner.name: period for inner, period in zip(body.nodes, periods, strict=True) if period > 1},
        whole=whole,
        image=(planes, height, width),
        by_row=by_row,
        flip=source.offset if by_row else 0,
    )
    node = Node("strips", _unused(graph, "strips"), (source.tensor,), result, loop)
    left = {name for n in graph.nodes[cut:] for name in (*n.inputs, n.output)} | {x.name, y.name}
    left |= {port.tensor for port in graph.outputs}
    tensors = {name: t for name, t in graph.tensors.items() if name in left}
    return replace(graph, tensors=tensors, nodes=(node, *graph.nodes[cut:]))


def result_rows(graph: Graph) -> int:
    """Rows that the loop over strips makes of its result at once."""
    body: Graph = next(node.attributes.body for node in graph.nodes if node.op == "strips")
    return body.tensor_of(body.outputs[-1]).shape[2]


def _unused(graph: Graph, name: str) -> str:
    """A name that no node has."""
    taken = {placed.node.name for placed in every_node(graph)}
    return next(n for n in (name + "_" * k for k in range(len(taken) + 1)) if n not in taken)


class _Body:
    """What one step does, as a graph."""

    def __init__(self, graph: Graph, cut: int, found: dict[str, Flow]):
        self.source, self.flows, self.nodes_before = graph, found, graph.nodes[:cut]
        self.taken = {placed.node.name for placed in every_node(graph)} | set(graph.tensors)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.periods: list[int] = []  # of the nodes
        self.windows: dict[str, str] = {}  # of a tensor
        self.before: list[str] = []  # the windows as the step finds them
        self.step = self._tensor("step", (1, 2), Quantization(1.0, 0))

    def graph(self) -> Graph:
        """All of it."""
        x = self.source.inputs[0].tensor
        self._strip(x)
        for node in self.nodes_before:
            self._append(node)
            self._strip(node.output)
        inputs = [*self.before, self.step, x]
        outputs = [*self.windows.values(), self.step, self.nodes_before[-1].output]
        ports = [tuple(Port(name, name, "uint8", "uint8") for name in names) for names in (inputs, outputs)]
        return Graph("body", *ports, self.tensors, tuple(self.nodes))

    def _name(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _tensor(self, name: str, shape: tuple[int, ...], quantization: Quantization) -> str:
        name = self._name(name)
        self.tensors[name] = Tensor(name, shape, quantization)
        return name

    def _strip(self, name: str) -> None:
        """The new rows of a tensor, and the window that they go into."""
        t, flow = self.source.tensors[name], self.flows[name]
        rows_last = self.nodes_before[0].inputs[0] == name and _turned(self.source)
        shape = (1, flow.rows, *t.shape[2:]) if rows_last else (*t.shape[:2], flow.rows, t.shape[3])
        self.tensors[name] = replace(t, shape=shape)
        if not flow.window:
            return
        shape = (*t.shape[:2], flow.window, t.shape[3])
        before, after = (self._tensor(f"{name}_{word}", shape, t.quantization) for word in ("window_before", "window"))
        attributes = StripWindow(flow.delay, t.shape[2], flow.fill, flow.period)
        node = Node("strip_window", self._name(f"{name}_rows"), (before, name, self.step), after, attributes)
        self._add(node, flow.period)
        self.before.append(before)
        self.windows[name] = after

    def _append(self, node: Node) -> None:
        """A node over strips: reads windows, or the new rows themselves where these are all it needs."""
        how, y = reading(self.source, node), self.flows[node.output]
        inputs = tuple(self._read(node, name, how, y) for name in node.inputs)
        attributes = node.attributes
        if hasattr(attributes, "window"):
            _, left, _, right = attributes.window.pads
            window: Window = replace(attributes.window, pads=(0, left, 0, right))
            attributes = replace(attributes, window=window)
        if node.op == "transpose":
            attributes = replace(attributes, rows=y.rows * self.source.tensors[node.output].shape[3])
        self._add(replace(node, inputs=inputs, attributes=attributes), y.period)

    def _read(self, node: Node, name: str, how: Reading, y: Flow) -> str:
        """The tensor that a node finds its rows in."""
        x = self.flows[name]
        span, needed = _span(x, how, y), (y.rows - 1) * how.stride + how.reach
        fits = span - needed < how.stride  # rows behind the last one that is read change nothing
        if fits and span == x.rows and not _beyond(self.source, node, name, how):
            return name
        if fits and span == x.window:
            return self.windows[name]
        t = self.source.tensors[name]
        shape = (*t.shape[:2], needed, t.shape[3])
        rows = self._tensor(f"{name}_of_{node.name}", shape, t.quantization)
        source, height = (self.windows[name], x.window) if x.window else (name, x.rows)
        part = Slice(2, height - span)
        self._add(Node("slice", self._name(f"{node.name}_rows"), (source,), rows, part), y.period)
        return rows

    def _add(self, node: Node, period: int) -> None:
        self.nodes.append(node)
        self.periods.append(period)
