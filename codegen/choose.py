"""Which kernel and weight format each layer gets, for what the user wants to save, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from lamella import formats
from lamella.codegen import cost, kernels, operators, plan
from lamella.codegen.ir import Choice, Graph, Node, Placed, Target, body_of, every_node
from lamella.codegen.plan import live_bytes
from lamella.errors import UnsupportedError

OBJECTIVES = ("flash", "ram", "speed", "balanced")

Options = Mapping[str, Sequence[Choice]]  # by name of the node


def choose_kernels(graph: Graph, target: Target, optimize: str, limit: int | None = None) -> Graph:
    """Every node that runs with its choice. Scratch is kept within a limit on the arena, by default one that follows from the
    objective."""
    running = [p for p in every_node(graph) if body_of(p.node) is None and not operators.get(p.node.op).is_view]
    found = {p.node.name: priced(p, target) for p in running}
    live, saved = live_in(graph), saved_in(graph)
    apart = {name: min(live[name] + c.scratch_bytes for c in way) for name, way in found.items()}
    takes = {
        name: [live[name] + c.scratch_bytes - saved.get(name, 0) * c.overwrites for c in way]
        for name, way in found.items()
    }
    smallest = max(map(min, takes.values()), default=0)
    if limit is None:
        # Only where RAM is what counts does working in place make the limit smaller; elsewhere it leaves room for scratch.
        limit = _arena_limit(smallest if optimize == "ram" else max(apart.values(), default=0), target, optimize)
    limit = max(smallest, limit)
    within = {name: _within(way, takes[name], limit) for name, way in found.items()}
    chosen = _solve(within, _weigh(within, target, optimize), target)
    reasons = {name: _reason(best, within[name], found[name], optimize) for name, best in chosen.items()}
    return _with_choices(graph, {n: replace(best, reason=reasons[n]) for n, best in chosen.items()}, target)


def _with_choices(graph: Graph, chosen: Mapping[str, Choice], target: Target) -> Graph:
    """The graph with a choice for each node; a loop takes what follows from the choices inside it."""

    def settled(node: Node) -> Node:
        body = body_of(node)
        if body is None:
            return replace(node, choice=chosen.get(node.name))
        body = _with_choices(body, chosen, target)
        node = replace(node, attributes=replace(node.attributes, body=body))
        (choice,) = kernels.options(graph, node, target)
        inside = sum(n.choice.instructions for n in body.nodes if n.choice)
        known = cost.instructions(choice, target)
        return replace(node, choice=replace(choice, instructions=inside if known is None else known))

    return replace(graph, nodes=tuple(settled(node) for node in graph.nodes))


def live_in(graph: Graph) -> dict[str, int]:
    """For each node by name, bytes of the tensors alive while it runs; inside a loop with those around it."""
    live = dict(zip((node.name for node in graph.nodes), live_bytes(graph), strict=True))
    for node in graph.nodes:
        if (body := body_of(node)) is not None:
            inner = live_bytes(body)
            live |= {n.name: live[node.name] + size for n, size in zip(body.nodes, inner, strict=True)}
    return live


def saved_in(graph: Graph) -> dict[str, int]:
    """For each node by name, bytes less alive if a choice that overwrites its input is taken; also inside loops."""
    saved = plan.saved_by_overwriting(graph)
    for node in graph.nodes:
        if (body := body_of(node)) is not None:
            saved |= plan.saved_by_overwriting(body)
    return saved


def priced(placed: Placed, target: Target) -> list[Choice]:
    """Every way to run a node, with its instructions in all its calls; without those whose price nobody has measured, if
    others remain."""
    node = placed.node
    ways = kernels.options(placed.graph, node, target)
    if not ways:
        raise UnsupportedError(f"layer {node.name!r} ({node.op}): no kernel can run it on {target.name}")
    known = [(c, n) for c in ways if (n := cost.instructions(c, target)) is not None]
    return [replace(c, instructions=placed.times * n) for c, n in known] or ways


def functions(choice: Choice) -> frozenset[str]:
    """Functions of the runtime that a program with this choice calls: the kernel, and what reads its weights."""
    return _functions(choice.kernel, choice.format, tuple(choice.work))


@cache
def _functions(kernel: str, form: str | None, events: tuple[str, ...]) -> frozenset[str]:
    read = {event.split(".")[1] for event in events if event.startswith(f"{form}.")}
    record = formats.get(form) if read else None
    readers = {"unpack": record.c_unpack, "positions": record.c_positions} if record else {}
    return frozenset({kernel, *(readers[way] for way in read)})


def _arena_limit(smallest: int, target: Target, optimize: str) -> int:
    """Bytes that tensors and scratch of one node may take together; `smallest` is the least any choice reaches."""
    wanted = {"ram": smallest, "flash": 3 * smallest, "balanced": 3 * smallest, "speed": 1 << 30}[optimize]
    return max(smallest, min(wanted, arena_room(target)))


def arena_room(target: Target) -> int:
    """Bytes that the arena may take on a board: the rest is for the stack and the user's own variables."""
    return (target.ram_bytes if target.ram_bytes is not None else 1 << 30) * 3 // 4


def _within(found: Sequence[Choice], takes: Sequence[int], limit: int) -> list[Choice]:
    """The choices that stay within a limit, else those that take least; takes: tensors alive and scratch, for each."""
    limit = max(limit, min(takes))
    return [c for c, taken in zip(found, takes, strict=True) if taken <= limit]


def _weigh(options: Options, target: Target, optimize: str) -> tuple[float, float]:
    """What a byte of flash and what an instruction is worth: balanced, each as a part of the least that is possible."""
    if optimize == "flash":
        return 1.0, target.haste
    if optimize == "speed":
        return 1e-3, 1.0
    least = _solve(options, (1.0, 1e-9), target)
    flash = sum(c.weight_bytes for c in least.values()) + _code(least.values(), target)
    instructions = sum(min(c.instructions for c in ways) for ways in options.values())
    return 1.0 / max(flash, 1), 1.0 / max(instructions, 1.0)


@dataclass(frozen=True)
class _Way:
    """A choice, what it is worth to avoid it, and what it links."""

    choice: Choice
    worth: float  # of its bytes and instructions, the shared code apart
    functions: frozenset[str]
    sections: frozenset[str]

    @property
    def order(self) -> tuple[float, int]:
        """Cheaper first, then with less scratch."""
        return self.worth, self.choice.scratch_bytes


def _code(chosen: Iterable[Choice], target: Target) -> int:
    sections = (cost.code(target.core, target.level, functions(c)) for c in chosen)
    return cost.code_bytes(frozenset().union(*sections), target)


def _ways(found: Sequence[Choice], worth: tuple[float, float], target: Target) -> list[_Way]:
    """The best choice of each kernel and format: of those that link the same code no other can ever win."""
    byte, instruction = worth
    best: dict[tuple, _Way] = {}
    for c in found:
        linked = functions(c)
        sections = cost.code(target.core, target.level, linked)
        way = _Way(c, byte * c.weight_bytes + instruction * c.instructions, linked, sections)
        key = (c.kernel, c.format, linked)
        if key not in best or way.order < best[key].order:
            best[key] = way
    return list(best.values())


def _solve(options: Options, worth: tuple[float, float], target: Target) -> dict[str, Choice]:
    """The choices of least total, the code they share counted once: better and better until no function can be spared and no
    group of layers gains by moving together."""
    byte = worth[0]
    offered = {name: _ways(found, worth, target) for name, found in options.items()}

    @cache
    def code(sections: frozenset[str]) -> float:
        return byte * cost.code_bytes(sections, target)

    def total(chosen: Mapping[str, _Way]) -> float:
        return sum(w.worth for w in chosen.values()) + code(frozenset().union(*(w.sections for w in chosen.values())))

    def settle(chosen: dict[str, _Way], ways: Mapping[str, Sequence[_Way]]) -> dict[str, _Way]:
        """Lets each layer change its mind, given what the others use."""
        for _ in range(4):
            before = dict(chosen)
            for name, found in ways.items():
                others = frozenset().union(*(w.sections for n, w in chosen.items() if n != name))
                costs = ((w.worth + code(w.sections - others), w.choice.scratch_bytes) for w in found)
                chosen[name] = min(zip(costs, found, strict=True), key=lambda pair: pair[0])[1]
            if chosen == before:
                break
        return chosen

    def without(banned: frozenset[str]) -> dict[str, _Way] | None:
        """From each layer's own best, without some functions."""
        ways = {name: [w for w in found if not w.functions & banned] for name, found in offered.items()}
        if not all(ways.values()):
            return None
        return settle({name: min(found, key=lambda w: w.order) for name, found in ways.items()}, ways)

    def together(kernel: str, form: str | None) -> dict[str, _Way]:
        """All layers that can go to one kernel and format, at once: none would go alone, for the code it brings."""
        same = {
            n: [w for w in found if (w.choice.kernel, w.choice.format) == (kernel, form)]
            for n, found in offered.items()
        }
        moved = {name: min(found, key=lambda w: w.order) for name, found in same.items() if found}
        return settle(best | moved, offered)

    banned: frozenset[str] = frozenset()
    best = without(banned)
    while True:
        used = frozenset().union(*(w.functions for w in best.values()))
        rivals = [(banned | {f}, rival) for f in sorted(used) if (rival := without(banned | {f})) is not None]
        pairs = dict.fromkeys((w.choice.kernel, w.choice.format) for found in offered.values() for w in found)
        rivals += [(banned, together(*pair)) for pair in pairs]
        banned, rival = min(rivals, key=lambda r: total(r[1]), default=(banned, best))
        if total(rival) >= total(best):
            return {name: way.choice for name, way in best.items()}
        best = rival


def _reason(best: Choice, within: Sequence[Choice], found: Sequence[Choice], optimize: str) -> str:
    """In a few words, why this choice: against the smallest and the fastest in another format, and against int8."""
    others = [c for c in found if c.format != best.format]
    if best.format is None or not others:
        return "" if best.format is None else f"best for {optimize}"
    rivals = {
        min(others, key=lambda c: (c.weight_bytes, c.instructions)).format,
        min(others, key=lambda c: (c.instructions, c.weight_bytes)).format,
        *(c.format for c in others if c.format == "int8"),
    }
    texts = []
    fits = {id(c) for c in within}  # compared as values, hundreds of choices with hundreds would take seconds
    for name in sorted(rivals):
        rival = min((c for c in others if c.format == name), key=lambda c: (id(c) not in fits, c.instructions))
        texts.append(
            f"{name}: {_ratio(rival.weight_bytes, best.weight_bytes)} the bytes, "
            f"{_ratio(rival.instructions, best.instructions)} the instructions"
            + ("" if id(rival) in fits else ", too much RAM")
        )
    return f"best for {optimize} ({'; '.join(texts)})"


def _ratio(a: float, b: float) -> str:
    return f"{a / max(b, 1):.2g}x"
