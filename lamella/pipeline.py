"""The way from an ONNX file to a model ready to be printed as C, for one board."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lamella import boards
from lamella.boards import Board
from lamella.codegen import emit, import_onnx, names, passes, plan
from lamella.codegen.ir import Graph, Target
from lamella.codegen.plan import MemoryPlan
from lamella.errors import UsageError


@dataclass(frozen=True)
class Compiled:
    """A model lowered for a board."""

    path: Path
    board: Board
    optimize: str
    graph: Graph
    plan: MemoryPlan
    model: emit.Model

    @property
    def defines(self) -> list[str]:
        """Macros that the runtime is compiled with."""
        return ["LAM_AS_TFLITE=1"] if self.graph.arithmetic == "tflite" else []

    def sources(self) -> dict[str, str]:
        """The generated C of the model itself, by file name."""
        return emit_sources(self.model)


def emit_sources(model: emit.Model) -> dict[str, str]:
    """Header, code and constants of a model."""
    templates = {".h": "model.h.j2", ".c": "model.c.j2", "_data.h": "data.h.j2", "_data.c": "data.c.j2"}
    return {model.name + suffix: emit.render(template, m=model) for suffix, template in templates.items()}


def read_graph(path: str | Path, floats: bool = True, arithmetic: str = "lamella") -> Graph:
    """The graph of a file as it was read, before any pass. floats: what has no form in integers runs in float32. arithmetic:
    "tflite" rounds as TensorFlow Lite Micro does."""
    try:
        return import_onnx.read(path, floats, arithmetic)
    except RecursionError:
        raise UsageError(f"{path}: operators are chained too deeply to be read; simplify the model") from None


def target_of(board: Board, optimize: str) -> Target:
    """What the generator needs to know of a board."""
    return Target(
        name=board.name,
        core=board.core.name,
        level=board.compiler.optimize[optimize][0],
        unaligned=board.unaligned,
        features=board.core.features,
        flash_bytes=board.flash.size if board.flash else None,
        ram_bytes=board.ram.size if board.ram else None,
    )


def model_name(graph: Graph, path: Path, name: str | None) -> str:
    """The C name: --name, else the graph's name, else the file's stem, made an identifier."""
    if name is not None:
        clean = names.identifier(name, "") if name.strip() else ""
        if clean != name:
            raise UsageError(
                f"--name {name!r} is not a C identifier; use letters, digits and underscores"
                + (f", e.g. {clean}" if clean else "")
            )
        return name
    return names.identifier(graph.name, names.identifier(path.stem, "model"))


def compile_model(
    path: str | Path,
    board: Board | str,
    optimize: str = "balanced",
    name: str | None = None,
    graph: Graph | None = None,
    by_row: bool = False,
    within: Mapping[str, int] | None = None,
) -> Compiled:
    """Read, lower and plan a model for a board. by_row: its input arrives row by row. within: bytes of "ram" and of "flash"
    that it may take."""
    path = Path(path)
    graph = graph if graph is not None else read_graph(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return compile_graph(graph, path, sha256, board, optimize, model_name(graph, path, name), by_row, within)


def compile_graph(
    graph: Graph,
    path: Path,
    sha256: str,
    board: Board | str,
    optimize: str,
    name: str,
    by_row: bool = False,
    within: Mapping[str, int] | None = None,
) -> Compiled:
    """Lower and plan a graph that was read from a file with that hash."""
    board = boards.load(board) if isinstance(board, str) else board

    def compiled(optimize: str, arena: int | None, haste: float | None = None) -> Compiled:
        target = target_of(board, optimize)
        target = target if haste is None else replace(target, haste=haste)
        lowered = passes.lower(graph, target, optimize, by_row, arena)
        memory = plan.plan_memory(lowered)
        model = emit.describe(lowered, memory, name, path.name, sha256)
        return Compiled(path, board, optimize, lowered, memory, model)

    if not within:
        return compiled(optimize, None)
    from lamella import limits  # it measures what is compiled here

    return limits.fitted(compiled, optimize, within)
