"""Where each tensor lies in the arena, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lamella.codegen import operators, pack, states
from lamella.codegen.ir import Graph, Node


@dataclass(frozen=True)
class Slot:
    """Bytes of the arena, held from step `first` to step `last`: step k is node k, -1 the start, len(nodes) the end."""

    offset: int
    size: int
    first: int
    last: int
    holds: tuple[str, ...]  # tensors, or the name of a node's scratch

    def overlaps(self, other: "Slot") -> bool:
        """Whether two slots are ever in use at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets of tensors and of scratch (by node name), and two bounds: what tensors take without working in place and
    without strips, and what no placement of these very slots is below."""

    offsets: Mapping[str, int]
    scratch: Mapping[str, int]
    slots: tuple[Slot, ...]
    arena_bytes: int
    lower_bound: int
    least: int
    in_state: Mapping[str, int] = field(
        default_factory=dict
    )  # tensors that lie in the block of states, by offset there

    @property
    def proof(self) -> str:
        """In a few words, whether the arena could be smaller."""
        if self.arena_bytes == self.least:
            return "proved minimal for these slots"
        gap = self.arena_bytes - self.least
        return f"no placement of these slots is below {self.least} bytes; the gap of {gap} is not closed"


@dataclass(frozen=True)
class _Block:
    size: int
    first: int
    last: int
    holds: tuple[str, ...]


def plan_body(body: Graph) -> MemoryPlan:
    """The plan of the memory in which a loop's body runs. What arrives anew every step is held where states are copied at the
    end of one; states that are replaced in their place are held by being outputs as well."""
    return plan_memory(body, hold_inputs=not any(operators.get(node.op).replaces for node in body.nodes))


def plan_memory(graph: Graph, hold_inputs: bool = False, exact: bool = True) -> MemoryPlan:
    """Place every tensor and every scratch buffer. Deterministic. hold_inputs: nothing else takes the place of an input.
    exact: take the time for the best placement."""
    blocks = _blocks(graph, hold_inputs)
    packing = pack.pack(tuple(pack.Block(b.size, b.first, b.last) for b in blocks), exact)
    slots = [Slot(at, b.size, b.first, b.last, b.holds) for at, b in zip(packing.offsets, blocks, strict=True)]
    inside = offsets_in_owner(graph)
    tensors = graph.tensors
    offsets = {name: slot.offset + inside[name] for slot in slots for name in slot.holds if name in tensors}
    scratch = {name: slot.offset for slot in slots for name in slot.holds if name not in tensors}
    scratch = {name.removeprefix(_SCRATCH): offset for name, offset in scratch.items()}
    slots.sort(key=lambda s: (s.offset, s.first))
    owner, held = owners(graph), _in_state(graph)
    in_state = {name: held[owner[name]] + inside[name] for name in tensors if owner[name] in held}
    return MemoryPlan(offsets, scratch, tuple(slots), packing.bytes, lower_bound(graph), packing.bound, in_state)


_SCRATCH = "scratch of "  # cannot be a tensor's name in _blocks: tensors are looked up first


def alive(graph: Graph) -> dict[str, tuple[int, int, int]]:
    """For each tensor that owns memory in the arena: (first step, last step, bytes). Uses of a view or a part count for the
    whole."""
    elsewhere = absent(graph) | _in_state(graph).keys()
    return {name: life for name, life in _lives(graph).items() if name not in elsewhere}


def _lives(graph: Graph) -> dict[str, tuple[int, int, int]]:
    """As alive, wherever the memory is."""
    owner = owners(graph)
    first = {owner[port.tensor]: -1 for port in graph.inputs}
    last = dict(first)
    for step, node in enumerate(graph.nodes):
        for name in (*node.inputs, node.output):
            last[owner[name]] = step
        first.setdefault(owner[node.output], step)
    for port in graph.outputs:
        last[owner[port.tensor]] = len(graph.nodes)
    return {name: (first[name], last[name], graph.tensors[name].bytes) for name in first}


def _in_state(graph: Graph) -> dict[str, int]:
    """Tensors that lie in the block of states, by offset there."""
    return states.in_block(graph, owners(graph), _lives(graph)) if graph.states else {}


def absent(graph: Graph) -> set[str]:
    """Tensors that lie nowhere: inputs that the caller hands over row by row."""
    return {name for node in graph.nodes if getattr(node.attributes, "by_row", False) for name in node.inputs}


def owners(graph: Graph) -> dict[str, str]:
    """For each tensor, the one whose memory it is: itself, unless it is a view or a part of another."""
    within = _within(graph)
    return {name: _root(within, name)[0] for name in graph.tensors}


def offsets_in_owner(graph: Graph) -> dict[str, int]:
    """For each tensor, bytes between the beginning of the memory it lies in and its own."""
    within = _within(graph)
    return {name: _root(within, name)[1] for name in graph.tensors}


def _within(graph: Graph) -> dict[str, tuple[str, int]]:
    """For each tensor that is a view or a part: what it lies in next, and how many bytes behind its beginning."""
    found: dict[str, tuple[str, int]] = {}
    for node in graph.nodes:
        operator = operators.get(node.op)
        if operator.holds_inputs:
            at = 0
            for name in node.inputs:
                found[name] = node.output, at
                at += graph.tensors[name].bytes
        elif operator.is_view or operator.replaces:
            found[node.output] = node.inputs[0], operator.view_offset(node)
    return found


def _root(within: Mapping[str, tuple[str, int]], name: str) -> tuple[str, int]:
    """What a tensor lies in at last, and how many bytes behind its beginning."""
    at = 0
    while name in within:
        name, more = within[name]
        at += more
    return name, at


def begins_alike(graph: Graph, node: Node) -> bool:
    """Whether the result and the first input of a node begin where memory of their own does, so that one can lie on the other."""
    return owners(graph)[node.output] == node.output and offsets_in_owner(graph)[node.inputs[0]] == 0


def saved_by_overwriting(graph: Graph) -> dict[str, int]:
    """For each node by name, bytes less alive if its result lies where its first input was, which nothing else wants."""
    owner, lives, found = owners(graph), alive(graph), {}
    for step, node in enumerate(graph.nodes):
        x = lives.get(owner[node.inputs[0]]) if node.inputs else None
        if x is not None and x[1] == step and node.output in lives and begins_alike(graph, node):
            found[node.name] = min(x[2], lives[node.output][2])
    return found


def live_bytes(graph: Graph) -> list[int]:
    """For each node, the sum of the tensors alive while it runs, without scratch, nothing in place."""
    lives = alive(graph).values()
    return [sum(size for first, last, size in lives if first <= step <= last) for step in range(len(graph.nodes))]


def lower_bound(graph: Graph) -> int:
    """The largest sum of tensors alive at one operator, were every layer run over whole images."""
    graph = _without_strips(graph)
    lives = alive(graph).values()
    ends = [sum(size for first, last, size in lives if first <= step <= last) for step in (-1, len(graph.nodes))]
    return max([*live_bytes(graph), *ends])


def _without_strips(graph: Graph) -> Graph:
    """The graph as it was before its first layers became a loop over strips."""
    wholes = [node.attributes.whole for node in graph.nodes if node.op == "strips"]
    nodes = tuple(n for node in graph.nodes for n in (node.attributes.whole.nodes if node.op == "strips" else (node,)))
    tensors = dict(graph.tensors)
    for whole in wholes:
        tensors |= whole.tensors
    return replace(graph, tensors=tensors, nodes=nodes)


def _blocks(graph: Graph, hold_inputs: bool) -> list[_Block]:
    """What must be placed: tensors, views and in-place results merged into one block, and scratch."""
    lives = alive(graph)
    if hold_inputs:
        held = {port.tensor for port in graph.inputs}
        lives |= {name: (lives[name][0], len(graph.nodes), lives[name][2]) for name in held}
    owner = owners(graph)
    block_of = {name: name for name in lives}
    for step, node in enumerate(graph.nodes):
        overwrites = node.choice is not None and node.choice.overwrites and begins_alike(graph, node)
        if not operators.get(node.op).in_place and not overwrites:
            continue
        if node.output not in lives:
            continue  # it lies in something else already
        for read in node.inputs[:1] if overwrites else node.inputs:
            name = owner[read]
            if name not in lives:
                continue
            root = _top(block_of, name)
            ends_here = max(lives[n][1] for n in lives if _top(block_of, n) == root) == step
            alike = graph.tensors[read].bytes == lives[name][2] == lives[node.output][2]
            if ends_here and (overwrites or alike):
                block_of[node.output] = root
                break
    members: dict[str, list[str]] = {}
    for name in lives:
        members.setdefault(_top(block_of, name), []).append(name)
    views = {name: [v for v in graph.tensors if owner[v] == name] for name in lives}
    blocks = [
        _Block(
            max(lives[n][2] for n in names),
            min(lives[n][0] for n in names),
            max(lives[n][1] for n in names),
            tuple(v for n in names for v in views[n]),
        )
        for names in members.values()
    ]
    for step, node in enumerate(graph.nodes):
        if node.choice is not None and node.choice.scratch_bytes:
            blocks.append(_Block(node.choice.scratch_bytes, step, step, (_SCRATCH + node.name,)))
    return blocks


def _top(block_of: Mapping[str, str], name: str) -> str:
    while block_of[name] != name:
        name = block_of[name]
    return name


def node_of(graph: Graph, name: str) -> Node:
    """The node of that name."""
    return next(node for node in graph.nodes if node.name == name)
