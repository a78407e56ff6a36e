"""Which kernel and weight format each layer gets, for what the user wants to save, and why."""

from dataclasses import replace

from lamella.codegen import operators
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.plan import live_bytes
from lamella.errors import UnsupportedError

OBJECTIVES = ("flash", "ram", "speed", "balanced")


def choose_kernels(graph: Graph, target: Target, optimize: str) -> Graph:
    """Every node that runs with its choice. Scratch is kept within a limit on the arena that follows from the objective."""
    options = {node.name: _options(graph, node, target) for node in graph.nodes if not operators.get(node.op).is_view}
    live = dict(zip((node.name for node in graph.nodes), live_bytes(graph), strict=True))
    smallest = max((live[name] + min(c.scratch_bytes for c in found) for name, found in options.items()), default=0)
    limit = _arena_limit(smallest, target, optimize)
    nodes = []
    for node in graph.nodes:
        if node.name in options:
            node = replace(node, choice=_best(options[node.name], live[node.name], limit, optimize))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _options(graph: Graph, node: Node, target: Target) -> list[Choice]:
    found = [c for kernel in operators.get(node.op).kernels for c in kernel.options(graph, node, target)]
    if not found:
        raise UnsupportedError(f"layer {node.name!r} ({node.op}): no kernel can run it on {target.name}")
    return found


def _arena_limit(smallest: int, target: Target, optimize: str) -> int:
    """Bytes that tensors and scratch of one node may take together; `smallest` is the least any choice reaches."""
    ram = target.ram_bytes if target.ram_bytes is not None else 1 << 30
    wanted = {"ram": smallest, "flash": 3 * smallest, "balanced": 3 * smallest, "speed": 1 << 30}[optimize]
    return max(smallest, min(wanted, ram * 3 // 4))


def _best(found: list[Choice], live: int, limit: int, optimize: str) -> Choice:
    within = [c for c in found if live + c.scratch_bytes <= limit]
    if not within:
        least = min(c.scratch_bytes for c in found)
        within = [c for c in found if c.scratch_bytes == least]
    fewest_bytes = max(1, min(c.weight_bytes for c in within))
    fewest_instructions = max(1.0, min(c.instructions for c in within))

    def balance(c: Choice) -> float:
        return c.weight_bytes / fewest_bytes + c.instructions / fewest_instructions

    keys = {
        "flash": lambda c: (c.weight_bytes, c.instructions, c.scratch_bytes),
        "speed": lambda c: (c.instructions, c.weight_bytes, c.scratch_bytes),
        "balanced": lambda c: (balance(c), c.scratch_bytes),
        "ram": lambda c: (balance(c), c.scratch_bytes),
    }
    best = min(within, key=keys[optimize])
    return replace(best, reason=_reason(best, within, found, optimize))


def _reason(best: Choice, within: list[Choice], found: list[Choice], optimize: str) -> str:
    """In a few words, why this choice: against the best of each other format."""
    if best.format is None:
        return ""
    others = []
    for name in sorted({c.format for c in found} - {best.format}):
        rival = min((c for c in found if c.format == name), key=lambda c: (c not in within, c.instructions))
        others.append(
            f"{name}: {_ratio(rival.weight_bytes, best.weight_bytes)} the bytes, "
            f"{_ratio(rival.instructions, best.instructions)} the instructions"
            + ("" if rival in within else ", too much RAM")
        )
    text = f"best for {optimize}"
    return text + (f" ({'; '.join(others)})" if others else "")


def _ratio(a: float, b: float) -> str:
    return f"{a / max(b, 1):.2g}x"
