"""Where each tensor lies in the arena, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from lamella.codegen import operators
from lamella.codegen.ir import Graph, Node

ALIGN = 4


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
    """Offsets of tensors and of scratch (by node name), and the bound no plan without in-place operators can beat."""

    offsets: Mapping[str, int]
    scratch: Mapping[str, int]
    slots: tuple[Slot, ...]
    arena_bytes: int
    lower_bound: int


@dataclass(frozen=True)
class _Block:
    size: int
    first: int
    last: int
    holds: tuple[str, ...]


def plan_body(body: Graph) -> MemoryPlan:
    """The plan of the memory in which a loop's body runs."""
    return plan_memory(body, hold_inputs=True)


def plan_memory(graph: Graph, hold_inputs: bool = False) -> MemoryPlan:
    """Place every tensor and every scratch buffer. Deterministic. hold_inputs: nothing else takes the place of an input."""
    blocks = _blocks(graph, hold_inputs)
    orders = (
        lambda b: (-b.size, b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
    )
    plans = [_place(sorted(blocks, key=order)) for order in orders]
    slots = min(plans, key=_end)
    tensors = {name for name in graph.tensors}
    inside = offsets_in_owner(graph)
    offsets = {name: slot.offset + inside[name] for slot in slots for name in slot.holds if name in tensors}
    scratch = {name: slot.offset for slot in slots for name in slot.holds if name not in tensors}
    scratch = {name.removeprefix(_SCRATCH): offset for name, offset in scratch.items()}
    arena = -(-_end(slots) // ALIGN) * ALIGN
    return MemoryPlan(
        offsets, scratch, tuple(sorted(slots, key=lambda s: (s.offset, s.first))), arena, lower_bound(graph)
    )


_SCRATCH = "scratch of "  # cannot be a tensor's name in _blocks: tensors are looked up first


def alive(graph: Graph) -> dict[str, tuple[int, int, int]]:
    """For each tensor that owns memory: (first step, last step, bytes). A view's uses count for what it looks at."""
    owner = owners(graph)
    first = {port.tensor: -1 for port in graph.inputs}
    last: dict[str, int] = {port.tensor: -1 for port in graph.inputs}
    for step, node in enumerate(graph.nodes):
        for name in node.inputs:
            last[owner[name]] = step
        if owner[node.output] == node.output:
            first[node.output] = step
            last[node.output] = step
    for port in graph.outputs:
        last[owner[port.tensor]] = len(graph.nodes)
    return {name: (first[name], last[name], graph.tensors[name].bytes) for name in first}


def owners(graph: Graph) -> dict[str, str]:
    """For each tensor, the one whose memory it is: itself, unless it is a view."""
    owner = {name: name for name in graph.tensors}
    for node in graph.nodes:
        if operators.get(node.op).is_view:
            owner[node.output] = owner[node.inputs[0]]
    return owner


def offsets_in_owner(graph: Graph) -> dict[str, int]:
    """For each tensor, bytes between the beginning of the memory it lies in and its own."""
    offset = dict.fromkeys(graph.tensors, 0)
    for node in graph.nodes:
        if operators.get(node.op).is_view:
            offset[node.output] = offset[node.inputs[0]] + operators.get(node.op).view_offset(node)
    return offset


def live_bytes(graph: Graph) -> list[int]:
    """For each node, the sum of the tensors alive while it runs, without scratch, nothing in place."""
    lives = alive(graph).values()
    return [sum(size for first, last, size in lives if first <= step <= last) for step in range(len(graph.nodes))]


def lower_bound(graph: Graph) -> int:
    """The largest sum of tensors alive at one operator."""
    lives = alive(graph).values()
    ends = [sum(size for first, last, size in lives if first <= step <= last) for step in (-1, len(graph.nodes))]
    return max([*live_bytes(graph), *ends])


def _blocks(graph: Graph, hold_inputs: bool) -> list[_Block]:
    """What must be placed: tensors, views and in-place results merged into one block, and scratch."""
    lives = alive(graph)
    if hold_inputs:
        held = {port.tensor for port in graph.inputs}
        lives |= {name: (lives[name][0], len(graph.nodes), lives[name][2]) for name in held}
    owner = owners(graph)
    block_of = {name: name for name in lives}
    for step, node in enumerate(graph.nodes):
        if not operators.get(node.op).in_place:
            continue
        for name in map(owner.get, node.inputs):
            root = _root(block_of, name)
            ends_here = max(lives[n][1] for n in lives if _root(block_of, n) == root) == step
            if ends_here and lives[name][2] == lives[node.output][2]:
                block_of[node.output] = root
                break
    members: dict[str, list[str]] = {}
    for name in lives:
        members.setdefault(_root(block_of, name), []).append(name)
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


def _root(block_of: dict[str, str], name: str) -> str:
    while block_of[name] != name:
        name = block_of[name]
    return name


def _place(blocks: list[_Block]) -> list[Slot]:
    """Each block at the lowest free offset, in the given order."""
    placed: list[Slot] = []
    for block in blocks:
        offset = 0
        candidate = Slot(0, block.size, block.first, block.last, block.holds)
        for slot in sorted((s for s in placed if s.overlaps(candidate)), key=lambda s: s.offset):
            if offset + block.size <= slot.offset:
                break
            offset = max(offset, -(-(slot.offset + slot.size) // ALIGN) * ALIGN)
        placed.append(Slot(offset, block.size, block.first, block.last, block.holds))
    return placed


def _end(slots: list[Slot]) -> int:
    return max((slot.offset + slot.size for slot in slots), default=0)


def node_of(graph: Graph, name: str) -> Node:
    """The node of that name."""
    return next(node for node in graph.nodes if node.name == name)
