"""Which kernel and weight format each layer gets, for what the user wants to save, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf

from lamella import formats
from lamella.codegen import cost, kernels, operators
from lamella.codegen.ir import Choice, Graph, Node, Placed, Target, body_of, every_node
from lamella.codegen.plan import live_bytes
from lamella.errors import UnsupportedError

OBJECTIVES = ("flash", "ram", "speed", "balanced")

Options = Mapping[str, Sequence[Choice]]  # by name of the node


def choose_kernels(graph: Graph, target: Target, optimize: str) -> Graph:
    """Every node that runs with its choice. Scratch is kept within a limit on the arena that follows from the objective."""
    running = [p for p in every_node(graph) if body_of(p.node) is None and not operators.get(p.node.op).is_view]
    found = {p.node.name: priced(p, target) for p in running}
    live = live_in(graph)
    smallest = max((live[name] + min(c.scratch_bytes for c in way) for name, way in found.items()), default=0)
    limit = _arena_limit(smallest, target, optimize)
    within = {name: _within(way, live[name], limit) for name, way in found.items()}
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
    read = {event.split(".")[1] for event in choice.work if event.startswith(f"{choice.format}.")}
    record = formats.get(choice.format) if read else None
    readers = {"unpack": record.c_unpack, "positions": record.c_positions} if record else {}
    return frozenset({choice.kernel, *(readers[way] for way in read)})


def _arena_limit(smallest: int, target: Target, optimize: str) -> int:
    """Bytes that tensors and scratch of one node may take together; `smallest` is the least any choice reaches."""
    ram = target.ram_bytes if target.ram_bytes is not None else 1 << 30
    wanted = {"ram": smallest, "flash": 3 * smallest, "balanced": 3 * smallest, "speed": 1 << 30}[optimize]
    return max(smallest, min(wanted, ram * 3 // 4))


def _within(found: Sequence[Choice], live: int, limit: int) -> list[Choice]:
    within = [c for c in found if live + c.scratch_bytes <= limit]
    least = min(c.scratch_bytes for c in found)
    return within or [c for c in found if c.scratch_bytes == least]


def _weigh(options: Options, target: Target, optimize: str) -> tuple[float, float]:
    """What a byte of flash and what an instruction is worth: balanced, each as a part of the least that is possible."""
    if optimize == "flash":
        return 1.0, 2e-5  # fifty million instructions weigh as much as a kilobyte: nobody waits long for the last bytes
    if optimize == "speed":
        return 1e-3, 1.0
    least = _solve(options, (1.0, 1e-9), target)
    flash = sum(c.weight_bytes for c in least.values()) + _code(least.values(), target)
    instructions = sum(min(c.instructions for c in ways) for ways in options.values())
    return 1.0 / max(flash, 1), 1.0 / max(instructions, 1.0)


def _code(chosen: Iterable[Choice], target: Target) -> int:
    return cost.code_bytes(frozenset().union(*(_sections(c, target) for c in chosen)), target)


def _sections(choice: Choice, target: Target) -> frozenset[str]:
    return cost.code(target.core, target.level, functions(choice))


def _solve(options: Options, worth: tuple[float, float], target: Target) -> dict[str, Choice]:
    """The choices of least total, the code they share counted once: better and better until no function can be spared."""
    byte, instruction = worth

    def own(c: Choice) -> tuple[float, int]:
        return byte * c.weight_bytes + instruction * c.instructions, c.scratch_bytes

    def total(chosen: Mapping[str, Choice]) -> float:
        return sum(own(c)[0] for c in chosen.values()) + byte * _code(chosen.values(), target)

    def descend(banned: frozenset[str]) -> dict[str, Choice] | None:
        ways = {name: [c for c in found if not functions(c) & banned] for name, found in options.items()}
        if not all(ways.values()):
            return None
        chosen = {name: min(found, key=own) for name, found in ways.items()}
        for _ in range(4):
            before = dict(chosen)
            for name, found in ways.items():
                others = frozenset().union(*(_sections(c, target) for n, c in chosen.items() if n != name))
                chosen[name] = min(
                    found,
                    key=lambda c: (
                        own(c)[0] + byte * cost.code_bytes(_sections(c, target) - others, target),
                        c.scratch_bytes,
                    ),
                )
            if chosen == before:
                break
        return chosen

    banned: frozenset[str] = frozenset()
    best = descend(banned)
    while True:
        used = frozenset().union(*map(functions, best.values()), frozenset())
        rivals = []
        for function in sorted(used):
            rival = descend(banned | {function})
            if rival is not None:
                rivals.append((total(rival), function, rival))
        least, function, rival = min(rivals, key=lambda r: r[:2], default=(inf, "", best))
        if least >= total(best):
            return best
        best, banned = rival, banned | {function}


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
    for name in sorted(rivals):
        rival = min((c for c in others if c.format == name), key=lambda c: (c not in within, c.instructions))
        texts.append(
            f"{name}: {_ratio(rival.weight_bytes, best.weight_bytes)} the bytes, "
            f"{_ratio(rival.instructions, best.instructions)} the instructions"
            + ("" if rival in within else ", too much RAM")
        )
    return f"best for {optimize} ({'; '.join(texts)})"


def _ratio(a: float, b: float) -> str:
    return f"{a / max(b, 1):.2g}x"
