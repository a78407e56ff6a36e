"""Whether the first layers run by strips of rows (lamella.codegen.stream), how many of them, and how high the strips are."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lamella.codegen import choose, join, plan, stream
from lamella.codegen.ir import Graph, Target, every_node
from lamella.errors import UnsupportedError

#: Strips of so many rows are tried: higher ones take more RAM and fewer instructions.
HEIGHTS = (1, 2, 3, 4, 6, 8, 16, 32)
#: Loops that are worked out. Limits on their arenas, in sixteenths of the tensors, which are the room for scratch that the
#: fast kernels want: for all of these loops, and then for the best of them.
WORKED_OUT, LIMITS, REFINED, FINER = 6, (16, 20, 24), 3, (18, 19, 21, 22, 28)
#: The same for whole images, in sixteenths of what they take at least.
WHOLE = (17, 18, 19, 20, 22, 24)
#: The same where RAM is one wish of several, and what a part in a hundred of the arena is worth in instructions then.
ROOMS, SCRATCH = (20, 24, 32, 48), 0.25
#: A kernel's call and what it does before the first pixel, in about as many instructions.
CALL, EMPTY = 500, np.zeros(0)
#: More sixteenths than any room has.
ROOM = 1 << 20
#: A change of the arena by one part in a hundred is worth so many of the instructions.
WORTH = {"ram": 4.0, "flash": 1.0, "balanced": 1.0, "speed": 0.0}


@dataclass(frozen=True)
class Candidate:
    """A graph with kernels, and what it takes."""

    graph: Graph
    arena: int
    instructions: float

    def cost(self, worth: float) -> float:
        """What it is worth to avoid it; worth: as in WORTH."""
        return worth * math.log(max(self.arena, 1)) + math.log(max(self.instructions, 1.0))


def choose_with_strips(
    graph: Graph, target: Target, optimize: str, by_row: bool = False, arena: int | None = None
) -> Graph:
    """The graph with a kernel for every node; its first layers by strips where that is wanted.

    It is wanted for --optimize ram, if it pays, and for other objectives where the board's RAM would not hold the model
    otherwise. by_row: the input arrives row by row and lies nowhere, so that a loop over strips must take it. arena: bytes that
    the arena may take; then the fastest that was found within is taken, or the smallest where nothing is.
    """
    if by_row and next(stream.cuts(graph), None) is None:
        raise UnsupportedError(
            "--input rows: the model's first layers cannot run row by row (one input, then convolutions, pooling or operators "
            "of single values); leave the option out"
        )
    room = choose.arena_room(target)
    if arena is not None:
        room = min(room, arena)
    whole = _balanced(graph, target, room) if optimize == "balanced" else _worked_out(graph, target, optimize)
    if not by_row and optimize != "ram" and whole.arena <= room:
        return whole.graph
    worth = WORTH[optimize] if arena is None else 0.0
    loops = _hopeful(graph, worth, by_row, room)
    limits = LIMITS if arena is None else (*LIMITS, ROOM)
    tried = [(c, k) for k, loop in enumerate(loops) for c in _within(*loop, target, optimize, room, limits)]
    if not by_row:
        tried += [(c, -1) for c in _whole(graph, whole, target, optimize, room, arena is not None)]
    tried.sort(key=lambda pair: _order(pair[0], worth, room))
    hopeful = [k for k in dict.fromkeys(k for _, k in tried) if k >= 0][:REFINED]
    finer = [c for k in hopeful for c in _within(*loops[k], target, optimize, room, FINER)]
    best = min([tried[0][0], *finer], key=lambda c: _order(c, worth, room))
    return _with_price(best.graph, whole.instructions)


def _balanced(graph: Graph, target: Target, room: int) -> Candidate:
    """Whole images, with as much room for scratch as pays."""
    least = _worked_out(graph, target, "balanced", 0)
    limits = {min(least.arena * times // 16, max(room, least.arena)) for times in ROOMS}
    tried = [least, *(_worked_out(graph, target, "balanced", limit) for limit in sorted(limits))]
    return min(tried, key=lambda c: _order(c, SCRATCH, room))


def _whole(graph: Graph, least: Candidate, target: Target, optimize: str, room: int, fill: bool) -> list[Candidate]:
    """Whole images, with more and more room for scratch where RAM counts, or with all that there is."""
    if fill:
        limits = {room}
        if optimize != "ram":
            least = _worked_out(graph, target, optimize, 0)
    else:
        limits = (
            {min(least.arena * times // 16, max(room, least.arena)) for times in WHOLE} if optimize == "ram" else set()
        )
    return [least, *(_worked_out(graph, target, optimize, limit) for limit in sorted(limits))]


def _order(c: Candidate, worth: float, room: int) -> tuple[bool, float]:
    """The least is best: what fits the board before what does not, and of that the smallest."""
    return c.arena > room, c.cost(worth) if c.arena <= room else c.arena


def _hopeful(graph: Graph, worth: float, by_row: bool, room: int) -> list[tuple[int, Graph]]:
    """Loops that may be the best, each with what its tensors take, which is different for all: the smallest, or where RAM that
    is left is worth nothing those that do least over and over."""
    bounded = sorted(_bounded(graph, by_row), key=lambda pair: pair[0])
    if not worth:
        within = [pair for pair in bounded if pair[0] <= room] or bounded[:1]
        return sorted(within, key=lambda pair: _handled(pair[1]))[:WORKED_OUT]
    different = list({bound: (bound, one) for bound, one in reversed(bounded)}.values())[::-1]
    within = [pair for pair in different if pair[0] <= room] or different[:1]
    return within[:WORKED_OUT]


def _handled(loop: Graph) -> int:
    """What a loop does over and over, once a strip, roughly in instructions: it brings in weights, and calls kernels."""
    inner = [placed for placed in every_node(loop) if placed.loop is not None]
    return sum(p.times * (CALL + getattr(p.node.attributes, "levels", EMPTY).size) for p in inner)


def _within(
    bound: int, loop: Graph, target: Target, optimize: str, room: int, sixteenths: tuple[int, ...]
) -> Iterator[Candidate]:
    """A loop with the kernels that go into several limits."""
    for limit in sorted({min(bound * times // 16, max(room, bound)) for times in sixteenths}):
        yield _worked_out(loop, target, optimize, limit)


def _bounded(graph: Graph, by_row: bool) -> Iterator[tuple[int, Graph]]:
    """Every loop that can be made, with the largest sum of tensors alive in it or behind it."""
    for cut in stream.cuts(graph):
        height = graph.tensors[graph.nodes[cut - 1].output].shape[2]
        for rows in HEIGHTS:
            one = stream.streamed(graph, cut, rows, by_row)
            if one is not None and 2 * stream.result_rows(one) <= height:
                yield max(choose.live_in(one).values()), one


def _worked_out(graph: Graph, target: Target, optimize: str, limit: int | None = None) -> Candidate:
    chosen = choose.choose_kernels(join.join_concats(graph), target, optimize, limit)
    instructions = sum(node.choice.instructions for node in chosen.nodes if node.choice is not None)
    return Candidate(chosen, plan.plan_memory(chosen).arena_bytes, instructions)


def _with_price(graph: Graph, instructions: float) -> Graph:
    """The loop told what the whole model would take without it."""
    nodes = (
        replace(node, attributes=replace(node.attributes, instructions_whole=instructions))
        if node.op == "strips"
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
