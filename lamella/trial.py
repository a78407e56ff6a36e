"""Single layers with a kernel of one's choice on a board: what they compute and how many instructions they take.

Tests compare every kernel with the reference on every core this way, and the cost tables are measured this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lamella import boards, cycles, programs
from lamella.boards import Board
from lamella.codegen import emit, plan
from lamella.codegen.ir import Choice, Graph, Node, body_of
from lamella.pipeline import Compiled


@dataclass(frozen=True)
class Trial:
    """A graph of one node, how to run it, and its inputs: uint8 arrays by tensor name, shape as in the graph."""

    graph: Graph
    choice: Choice
    inputs: dict[str, np.ndarray]

    @property
    def node(self) -> Node:
        """The node with its choice."""
        return replace(self.graph.nodes[0], choice=self.choice)


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: uint8 output, instructions of the call (None where the board cannot count), and estimated
    cycles (None unless asked for, and where the core's timings are not published)."""

    output: np.ndarray
    instructions: float | None
    cycles: float | None = None


def run(
    trials: Sequence[Trial], board: Board | str, optimize: str = "balanced", with_cycles: bool = False
) -> list[Outcome]:
    """All trials in one program on a board, in order."""
    board = boards.load(board) if isinstance(board, str) else board
    graph = _together([t.graph for t in trials], [t.choice for t in trials])
    memory = plan.plan_memory(graph)
    model = emit.describe(graph, memory, "trial", "trial", "0" * 64)
    compiled = Compiled(Path("trial"), board, optimize, graph, memory, model)
    raw = {f"t{k}_{name}": x for k, trial in enumerate(trials) for name, x in trial.inputs.items()}
    count = board.runner is not None and board.runner.plugin is not None
    program = programs.harness_program(compiled)
    result = programs.run(compiled, program, raw, count=count, segments=count, blocks=with_cycles)
    first = len(model.inputs)  # the calls before those of the layers copy the inputs
    counted = dict(enumerate(result.execution.segments[first:])) if result.execution.segments else {}
    estimated = cycles.estimate(program, board.core.name, result.execution.blocks) if with_cycles else None
    outcomes = []
    for k, trial in enumerate(trials):
        output = result.outputs[f"t{k}_{trial.graph.outputs[0].name}"]
        outcomes.append(Outcome(output, counted.get(k), (estimated or {}).get(first + k)))
    return outcomes


def _together(graphs: Sequence[Graph], choices: Sequence[Choice]) -> Graph:
    """Graphs of one node side by side as one graph, everything renamed."""
    inputs, outputs, tensors, nodes = [], [], {}, []
    for k, (graph, choice) in enumerate(zip(graphs, choices, strict=True)):

        def name(old: str, k: int = k) -> str:
            return f"t{k}_{old}"

        for ports, into in ((graph.inputs, inputs), (graph.outputs, outputs)):
            into += [replace(p, name=name(p.name), tensor=name(p.tensor)) for p in ports]
        tensors |= {name(key): replace(t, name=name(t.name)) for key, t in graph.tensors.items()}
        (node,) = graph.nodes
        if (body := body_of(node)) is not None:
            inner = tuple(replace(n, name=name(n.name)) for n in body.nodes)
            node = replace(node, attributes=replace(node.attributes, body=replace(body, nodes=inner)))
        nodes.append(
            replace(
                node,
                name=name(node.name),
                inputs=tuple(map(name, node.inputs)),
                output=name(node.output),
                choice=choice,
            )
        )
    return Graph("trial", tuple(inputs), tuple(outputs), tensors, tuple(nodes))


__all__ = ["Outcome", "Trial", "run"]
