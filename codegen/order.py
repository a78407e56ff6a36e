"""The order of execution with the least memory, where branches leave a choice."""

import heapq
from dataclasses import replace

from lamella.codegen import plan
from lamella.codegen.ir import Graph

#: Sets of finished nodes that are looked at before the order stays as it is.
STATES = 20000


def best_order(graph: Graph) -> Graph:
    """The graph in the order with the smallest largest sum of tensors alive at one node; as it is where that is not less."""
    if not graph.nodes:
        return graph
    now = max(plan.live_bytes(graph))
    if now <= _least_possible(graph):
        return graph
    found = _search(graph)
    if found is None or found[0] >= now:
        return graph
    return replace(graph, nodes=tuple(graph.nodes[k] for k in found[1]))


def _least_possible(graph: Graph) -> int:
    """The largest sum of the tensors that one node reads and writes: no order is below it."""
    owner = plan.owners(graph)
    touched = ({owner[name] for name in (*node.inputs, node.output)} for node in graph.nodes)
    return max(sum(graph.tensors[name].bytes for name in names) for names in touched)


def _search(graph: Graph) -> tuple[int, tuple[int, ...]] | None:
    """The least peak and an order that has it, of several the one nearest to the graph's: Dijkstra over the sets of finished
    nodes, the peak so far being the distance."""
    owner, size = plan.owners(graph), {name: t.bytes for name, t in graph.tensors.items()}
    made_by = {node.output: k for k, node in enumerate(graph.nodes)}
    needs = [sum(1 << made_by[name] for name in {*node.inputs} if name in made_by) for node in graph.nodes]
    members: dict[str, int] = {}  # nodes that make or read what an owner holds
    for k, node in enumerate(graph.nodes):
        for name in (*node.inputs, node.output):
            members[owner[name]] = members.get(owner[name], 0) | 1 << k
    kept = {owner[port.tensor] for port in graph.outputs}
    begun = {owner[port.tensor] for port in graph.inputs}
    makers = {name: 1 << made_by[name] for name in members if name in made_by}

    def alive(done: int) -> int:
        """Bytes that stay after a set of nodes."""
        total = 0
        for name, nodes in members.items():
            there = name in begun or done & makers[name]
            if there and (name in kept or nodes & ~done):
                total += size[name]
        return total

    everything = (1 << len(graph.nodes)) - 1
    waiting: list[tuple[int, tuple[int, ...], int]] = [(0, (), 0)]
    seen: set[int] = set()
    while waiting:
        peak, path, done = heapq.heappop(waiting)
        if done == everything:
            return peak, path
        if done in seen:
            continue
        seen.add(done)
        if len(seen) > STATES:
            return None
        before = alive(done)
        for k, node in enumerate(graph.nodes):
            if done >> k & 1 or needs[k] & ~done:
                continue
            more = size[node.output] if owner[node.output] == node.output else 0
            heapq.heappush(waiting, (max(peak, before + more), (*path, k), done | 1 << k))
    return None
