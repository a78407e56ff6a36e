"""GRU and LSTM as loops over primitive nodes: what is trained, evaluated in integers and exported is one composition.

The cells are those of torch.nn.GRU and torch.nn.LSTM, gates in the same order. No torch.
"""

from dataclasses import dataclass, field, replace

from lamella.errors import UnsupportedError
from lamella.trainer.graph import (
    AddNode,
    DropoutNode,
    FunctionNode,
    LayerNode,
    MultiplyNode,
    Node,
    ScanNode,
    SliceNode,
    StateNode,
    StepNode,
    SubtractNode,
)


@dataclass(frozen=True, kw_only=True)
class RecurrentNode(Node):
    """A GRU or LSTM as it was traced, all its layers; it gives the whole sequence (steps, units)."""

    path: str
    kind: str  # "gru" or "lstm"
    layers: int
    dropout: float = 0.0  # between layers


@dataclass(frozen=True, kw_only=True)
class LastNode(Node):
    """The last step of a sequence."""


@dataclass
class _Body:
    """Nodes of a loop as they are written; every method gives the name of the node that it adds."""

    prefix: str
    features: int  # of a step
    units: int
    nodes: list[Node] = field(default_factory=list)

    def add(self, kind: type[Node], name: str, inputs: tuple[str, ...], width: int | None = None, **more) -> str:
        name = f"{self.prefix}_{name}"
        self.nodes.append(kind(name=name, inputs=inputs, shape=(self.units if width is None else width,), **more))
        return name

    def step(self, source: str) -> str:
        return self.add(StepNode, "step", (source,), self.features)

    def part(self, of: str, name: str, first: int, count: int = 1) -> str:
        """`count` gates of a vector of gates, from the one of index `first`."""
        return self.add(SliceNode, name, (of,), count * self.units, start=first * self.units)

    def function(self, of: str, function: str, name: str, gates: int = 1) -> str:
        return self.add(FunctionNode, name, (of,), gates * self.units, function=function)


def expand(nodes: list[Node]) -> list[Node]:
    """Every recurrent layer as a loop; of one whose last step alone is used, only that is given."""
    for node in [n for n in nodes if isinstance(n, RecurrentNode)]:
        users = [n for n in nodes if node.name in n.inputs]
        last = [n for n in users if isinstance(n, LastNode)]
        if last and len(last) < len(users):
            raise UnsupportedError(f"{node.path}: both the whole sequence and its last step are used; use one of them")
        at = nodes.index(node)
        features = next(n.shape[-1] for n in nodes if n.name == node.inputs[0])
        nodes = [*nodes[:at], *_loops(node, features, sequence=not last), *nodes[at + 1 :]]
        gone = {n.name for n in last}
        nodes = [
            replace(n, inputs=tuple(node.name if name in gone else name for name in n.inputs))
            for n in nodes
            if n.name not in gone
        ]
    for node in nodes:
        if isinstance(node, LastNode):
            raise UnsupportedError(f"{node.name}: the last step of a sequence is supported behind a GRU or LSTM only")
    return nodes


def _loops(node: RecurrentNode, features: int, sequence: bool) -> list[Node]:
    steps, units = node.shape
    (source,) = node.inputs
    nodes: list[Node] = []
    for layer in range(node.layers):
        top = layer == node.layers - 1
        name = node.name if top else f"{node.name}_l{layer}"
        body = _Body(name, features if layer == 0 else units, units)
        result = _CELLS[node.kind](body, node, layer, source)
        shape = (steps, units) if sequence or not top else (units,)
        nodes.append(
            ScanNode(
                name=name,
                inputs=(source,),
                shape=shape,
                body=tuple(body.nodes),
                result=result,
                sequence=sequence or not top,
            )
        )
        source = name
        if node.dropout and not top:
            source = f"{name}_dropout"
            nodes.append(DropoutNode(name=source, inputs=(name,), shape=shape, probability=node.dropout))
    return nodes


def _dense(body: _Body, node: RecurrentNode, layer: int, which: str, of: str, gates: int) -> str:
    """The weights of all gates as one layer: <name>_weight_ih_l0 and <name>_weight_hh_l0, as torch calls them."""
    name = f"{node.name}_weight_{which}_l{layer}"
    body.nodes.append(
        LayerNode(
            name=name,
            inputs=(of,),
            shape=(gates * body.units,),
            path=node.path,
            weight=f"weight_{which}_l{layer}",
            bias=f"bias_{which}_l{layer}",
        )
    )
    return name


def _gru(body: _Body, node: RecurrentNode, layer: int, source: str) -> str:
    """h' = n + z (h - n) with n = tanh(W_n x + r (U_n h)): one product less than (1 - z) n + z h."""
    x = body.step(source)
    h = body.add(StateNode, "state", (), next=f"{body.prefix}_next")
    of_x, of_h = _dense(body, node, layer, "ih", x, 3), _dense(body, node, layer, "hh", h, 3)
    gates = (body.part(of_x, "x_rz", 0, 2), body.part(of_h, "h_rz", 0, 2))
    total = body.add(AddNode, "rz_sum", gates, 2 * body.units)
    rz = body.function(total, "sigmoid", "rz", 2)
    reset, update = body.part(rz, "r", 0), body.part(rz, "z", 1)
    product = body.add(MultiplyNode, "r_h", (reset, body.part(of_h, "h_n", 2)))
    total = body.add(AddNode, "n_sum", (body.part(of_x, "x_n", 2), product))
    new = body.function(total, "tanh", "n")
    difference = body.add(SubtractNode, "h_less_n", (h, new))
    kept = body.add(MultiplyNode, "kept", (update, difference))
    return body.add(AddNode, "next", (new, kept))


def _lstm(body: _Body, node: RecurrentNode, layer: int, source: str) -> str:
    """c' = f c + i g, h' = o tanh(c')."""
    x = body.step(source)
    h = body.add(StateNode, "state", (), next=f"{body.prefix}_next")
    cell = body.add(StateNode, "cell", (), next=f"{body.prefix}_cell_next")
    products = (_dense(body, node, layer, "ih", x, 4), _dense(body, node, layer, "hh", h, 4))
    total = body.add(AddNode, "gates", products, 4 * body.units)
    entrance = body.function(body.part(total, "if_sum", 0, 2), "sigmoid", "if", 2)
    candidate = body.function(body.part(total, "g_sum", 2), "tanh", "g")
    out = body.function(body.part(total, "o_sum", 3), "sigmoid", "o")
    kept = body.add(MultiplyNode, "kept", (body.part(entrance, "f", 1), cell))
    new = body.add(MultiplyNode, "new", (body.part(entrance, "i", 0), candidate))
    cell_next = body.add(AddNode, "cell_next", (kept, new))
    return body.add(MultiplyNode, "next", (out, body.function(cell_next, "tanh", "cell_tanh")))


_CELLS = {"gru": _gru, "lstm": _lstm}
