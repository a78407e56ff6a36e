"""Flash, RAM and stack of the smallest program around a model, from the linked image and an emulated run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lamella import boards, cycles, elf, pipeline, programs, vectors
from lamella.boards import Board
from lamella.build import ImageOverflow
from lamella.codegen import choose, operators
from lamella.codegen.ir import Graph, Placed, body_of, every_node
from lamella.errors import CheckFailed, UsageError
from lamella.execute import StackOverflow
from lamella.pipeline import Compiled

STACK_VECTORS = 2


def measure(compiled: Compiled) -> dict:
    """One entry of "boards" in the JSON of `lamella footprint`."""
    board, model = compiled.board, compiled.model
    image = elf.measure(
        programs.minimal_program(compiled, enlarged=board.flash is not None),
        board,
        model.weight_symbols,
        programs.ARENA_SYMBOL,
    )
    stack, counted = _run(compiled)
    ram_total = image.ram_arena + image.ram_static + (stack or 0)
    fits = board.flash is None or (image.flash_total <= board.flash.size and ram_total <= board.ram.size)
    return {
        "board": board.name,
        "flash": {
            "total": image.flash_total,
            "weights": image.flash_weights,
            "code": image.flash_code,
            "other": image.flash_other,
        },
        "ram": {
            "total": ram_total,
            "arena": image.ram_arena,
            "static": image.ram_static,
            "stack": stack,
            "input_in_arena": sum(p.bytes for p in model.inputs if p.offset is not None),
            **({"state_in_static": model.state_bytes} if compiled.graph.states else {}),
        },
        "strips": strips(compiled.graph),
        "fits": bool(fits),
        "instructions_per_inference": counted["total"] if counted else None,
        "cycles_estimate": counted["cycles"] if counted else None,
        "layer_instructions": counted["layers"] if counted else None,
    }


def strips(graph: Graph) -> dict | None:
    """The loop over strips of rows, if the first layers run in one, and its price: instructions with and without it."""
    for node in graph.nodes:
        if node.op == "strips":
            a = node.attributes
            return {
                "name": node.name,
                "layers": [inner.name for inner in a.whole.nodes],
                "steps": a.steps,
                "input": "rows" if a.by_row else "whole",
                "estimated_instructions": round(
                    sum(n.choice.instructions for n in graph.nodes if n.choice is not None)
                ),
                "estimated_instructions_without": round(a.instructions_whole),
            }
    return None


def _run(compiled: Compiled) -> tuple[int | None, dict | None]:
    """Stack and instructions on the board, or on an emulated board of the same core where the program fits."""
    graph = compiled.graph
    raw = {name: array[:STACK_VECTORS] for name, array in vectors.seeded(graph).items()}
    for board in _emulated(compiled.board):
        # The same code: the kernels were chosen for the real board, only the memory map is another.
        there = replace(compiled, board=board)
        try:
            program = programs.harness_program(there)
            result = programs.run(there, program, raw, segments=True, blocks=True)
        except (ImageOverflow, StackOverflow):
            continue
        counted = None
        if result.execution.instructions is not None:
            segments = programs.layer_segments(there, result.execution.segments)
            by_name = {graph.nodes[i].name: n for i, n in segments.items()} if segments else None
            estimated = cycles.estimate(program, board.core.name, result.execution.blocks)
            total = None if estimated is None else round(sum(estimated.values()))
            counted = {"total": result.execution.instructions, "layers": by_name, "cycles": total}
        return result.execution.stack_bytes, counted
    return None, None


def _emulated(board: Board) -> list[Board]:
    """Boards that run the code of a board: itself, the one its core names, others of the same core."""
    if board.ram is None:
        return []
    alike = [boards.load(name) for name in boards.names()]
    alike = [b for b in alike if b.core.name == board.core.name]
    ordered = sorted(alike, key=lambda b: (b.name != board.name, b.name != board.core.emulated_by, b.name))
    return [b for b in ordered if b.runner]


def layers(graph: Graph, counted: Mapping[str, float] | None = None) -> list[dict]:
    """The entries of "layers" in the JSON of `lamella footprint`: every operator that runs, also inside loops.

    macs and estimated_instructions are those of all steps, each counted in one entry; `instructions`, which is measured,
    is that of a loop as a whole.
    """
    live = choose.live_in(graph)
    return [_layer(p, live[p.node.name], counted) for p in every_node(graph) if p.node.choice is not None]


def _layer(placed: Placed, live: int, counted: Mapping[str, float] | None) -> dict:
    graph, node, body = placed.graph, placed.node, body_of(placed.node)
    inside = sum(n.choice.instructions for n in body.nodes if n.choice) if body is not None else 0
    levels = getattr(node.attributes, "levels", None)
    operator = operators.get(node.op)
    entry = {
        "name": node.name,
        "op": node.op,
        "kernel": node.choice.kernel,
        "format": node.choice.format,
        "shape": list(_whole_of(placed).tensors.get(node.output, graph.tensors[node.output]).shape),
        "weights": 0,
        "density": None,
        "weight_bytes": 0,
        "bits_per_weight": None,
        "entropy_bits_per_weight": None,
        "macs": 0 if body is not None else _macs(placed),
        "loop": placed.loop.name if placed.loop is not None else None,
        "arena_live_bytes": live,
        "scratch_bytes": node.choice.scratch_bytes,
        "reason": node.choice.reason,
        "details": operator.details(graph, node),
        "estimated_instructions": round(node.choice.instructions - inside),
    }
    if levels is not None and levels.size:
        entry |= {
            "weights": int(levels.size),
            "density": float(np.count_nonzero(levels) / levels.size),
            "weight_bytes": node.choice.weight_bytes,
            "bits_per_weight": 8 * node.choice.weight_bytes / levels.size,
            "entropy_bits_per_weight": entropy(levels),
        }
    elif node.choice.weight_bytes:
        count = node.choice.weight_bytes // 4
        entry |= {
            "format": "float32",
            "weights": count,
            "weight_bytes": node.choice.weight_bytes,
            "bits_per_weight": 32.0,
            "entropy_bits_per_weight": 32.0,
        }
    if counted is not None:
        entry["instructions"] = counted.get(node.name)
    return entry


def _whole_of(placed: Placed) -> Graph:
    """The graph in which a node of a loop over strips works on whole images; else the one that it is in."""
    return placed.graph if placed.loop is None else getattr(placed.loop.attributes, "whole", placed.graph)


def _macs(placed: Placed) -> int:
    """Multiply-accumulates of all steps; by strips those of the whole images, not of the rows beyond their edges."""
    whole = _whole_of(placed)
    if whole is placed.graph:
        return placed.times * operators.get(placed.node.op).macs(placed.graph, placed.node)
    nodes = (node for node in whole.nodes if node.name == placed.node.name)
    return sum(operators.get(node.op).macs(whole, node) for node in nodes)


def entropy(levels: np.ndarray) -> float:
    """Bits a weight that any code of single levels needs: the entropy of their distribution."""
    _, counts = np.unique(levels, return_counts=True)
    p = counts / counts.sum()
    return float(max(0.0, -(p * np.log2(p)).sum()))


def footprint(path: Path, board_names: list[str], graph: Graph, **how: Any) -> dict:
    """The JSON of `lamella footprint`, of one model on one or more boards; how: as for pipeline.compile_model."""

    entries, shown = [], None
    for board in board_names:
        compiled = pipeline.compile_model(path, board, graph=graph, **how)
        entry = measure(compiled)
        counted = entry.pop("layer_instructions")
        if shown is None:
            shown = {"layers": layers(compiled.graph, counted), "arena_lower_bound": compiled.plan.lower_bound}
        entries.append(entry)
    return {"model": str(path), "boards": entries, **shown}


def refuse_misfit(compiled: Compiled) -> dict:
    """The footprint of a model on its board; CheckFailed if it does not fit."""
    entry = measure(compiled)
    board = compiled.board
    if not entry["fits"]:
        flash, ram = entry["flash"], entry["ram"]
        raise CheckFailed(
            f"{compiled.path}: does not fit {board.name}: it needs {flash['total']} bytes of flash ({flash['weights']} of "
            f"weights) of {board.flash.size}, and {ram['total']} bytes of RAM ({ram['arena']} of arena) of {board.ram.size}; "
            "use --optimize flash or ram, compress the model further, or take a larger board"
        )
    return entry


def parse_budget(text: str, option: str = "--budget") -> dict[str, int]:
    """flash=64k,ram=16k as bytes; k and M are 1024 and 1024^2. option: what gave the text, for messages."""
    budget = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        value = value.strip()
        unit = {"k": 1 << 10, "m": 1 << 20}.get(value[-1:].lower(), 1)
        digits = value[:-1] if unit > 1 else value
        if key.strip() not in ("flash", "ram") or not digits.isdigit():
            raise UsageError(f"{option} {text!r}: {part!r} is not understood; write flash=64k,ram=16k")
        budget[key.strip()] = int(digits) * unit
    return budget


def over_budget(result: dict, budget: Mapping[str, int]) -> list[str]:
    """What exceeds the budget, in words."""
    found = []
    for entry in result["boards"]:
        for key, most in budget.items():
            used = entry[key]["total"]
            if used > most:
                found.append(f"{entry['board']}: {key} {used} bytes, {used - most} over the budget of {most}")
    return found
