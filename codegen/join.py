"""Concatenations without a copy: whoever makes a part writes it into the result."""

from collections import Counter
from dataclasses import replace
from itertools import accumulate
from math import prod

from lamella.codegen import plan
from lamella.codegen.ir import Graph, Node
from lamella.codegen.operators.join import Join
from lamella.codegen.operators.section import ALIGN


def join_concats(graph: Graph) -> Graph:
    """Every concatenation whose parts can lie in its result from the start, unless more bytes would be alive at once: the
    result is held from its first part on."""
    for node in graph.nodes:
        if node.op != "concat" or not _can_join(graph, node):
            continue
        joined = replace(node, op="join", attributes=Join(node.attributes.axis))
        candidate = replace(graph, nodes=tuple(joined if n is node else n for n in graph.nodes))
        if max(plan.live_bytes(candidate)) <= max(plan.live_bytes(graph)):
            graph = candidate
    return graph


def _can_join(graph: Graph, node: Node) -> bool:
    """Whether the parts lie one behind the other in the result as they are, begin where kernels may read words, and lie nowhere
    else."""
    parts = [graph.tensors[name] for name in node.inputs]
    if any(node.attributes.requants) or node.attributes.constants or prod(parts[0].shape[: node.attributes.axis]) != 1:
        return False
    if any(end % ALIGN for end in accumulate(part.bytes for part in parts[:-1])):
        return False
    owner, given = plan.owners(graph), {port.tensor for port in graph.inputs}
    uses = Counter(node.inputs)
    return all(owner[name] == name and uses[name] == 1 and name not in given for name in node.inputs)
