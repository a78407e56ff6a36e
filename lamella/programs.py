"""Programs made of a compiled model: with the harness to run vectors, and the smallest image to measure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lamella import boards, build, elf, execute, runtime_c, vectors
from lamella.boards import Board
from lamella.codegen import emit
from lamella.codegen.ir import Graph
from lamella.pipeline import Compiled

ARENA_SYMBOL = "lam_footprint_arena"

MINIMAL_MAIN = """\
/* The smallest program around {name}: one inference, nothing else. Its size is the footprint. */
#include "{name}.h"

__attribute__((aligned(8))) uint8_t {arena}[{upper}_ARENA_BYTES];
{state}
int main(void)
{{
    uint8_t *const a = {arena};
    return {reset}{name}_run(a{arguments});
}}
"""

STATE = """__attribute__((aligned(4))) static uint8_t state[{upper}_STATE_BYTES];
"""

MINIMAL_MAIN_BY_ROW = """\
/* The smallest program around {name}: one inference of an input that arrives row by row. Its size is the footprint. */
#include "{name}.h"

__attribute__((aligned(8))) uint8_t {arena}[{upper}_ARENA_BYTES];

static void row(void *user, uint32_t number, {ctype} *to)
{{
    (void)user;
    *to = ({ctype})number;
}}

int main(void)
{{
    uint8_t *const a = {arena};
    return {name}_run_by_row(a, row, NULL{arguments});
}}
"""


@dataclass(frozen=True)
class Result:
    """What a run gave: raw outputs by port name, and what was counted."""

    outputs: dict[str, np.ndarray]
    execution: execute.Execution


def harness_program(
    compiled: Compiled,
    sources: Mapping[str, str] | None = None,
    *,
    trace: bool = False,
    sanitize: bool = False,
    enlarged: bool = False,
) -> Path:
    """The ELF that runs many samples. `sources` replaces the generated C of the model (to verify an edited folder)."""
    texts = dict(compiled.sources() if sources is None else sources)
    texts["harness_model.c"] = emit.render("harness_model.c.j2", m=compiled.model)
    return build.build(
        compiled.board,
        texts,
        include_dirs=[runtime_c.INCLUDE],
        files=kernel_files(compiled),
        optimize=compiled.optimize,
        defines=[*compiled.defines, *(["LAM_TRACE_FILE"] if trace else [])],
        with_harness=True,
        sanitize=sanitize,
        enlarged=enlarged,
    )


def minimal_program(compiled: Compiled, enlarged: bool = False) -> Path:
    """The smallest image: start-up, model, the used runtime, a main that runs it once."""
    model = compiled.model
    arguments = "".join(
        f", ({const}{p.ctype} *)(a + {model.upper}_{p.macro}_OFFSET)"
        for ports, const in ((model.inputs, "const "), (model.outputs, ""))
        for p in ports
    )
    if model.by_row:
        outputs = "".join(f", ({p.ctype} *)(a + {model.upper}_{p.macro}_OFFSET)" for p in model.outputs)
        main = MINIMAL_MAIN_BY_ROW.format(
            name=model.name, upper=model.upper, arena=ARENA_SYMBOL, ctype=model.inputs[0].ctype, arguments=outputs
        )
    else:
        main = MINIMAL_MAIN.format(
            name=model.name,
            upper=model.upper,
            arena=ARENA_SYMBOL,
            state=STATE.format(upper=model.upper) if model.states else "",
            reset=f"{model.name}_reset(state) != 0 || " if model.states else "",
            arguments=(", state" if model.states else "") + arguments,
        )
    return build.build(
        compiled.board,
        {**compiled.sources(), "main.c": main},
        include_dirs=[runtime_c.INCLUDE],
        files=kernel_files(compiled),
        optimize=compiled.optimize,
        defines=compiled.defines,
        enlarged=enlarged,
    )


def kernel_files(compiled: Compiled) -> list[Path]:
    """C files of the runtime that the model uses."""
    return [runtime_c.ROOT / f for f in compiled.model.runtime_files if f.endswith(".c")]


def run(
    compiled: Compiled,
    program: Path,
    raw: Mapping[str, np.ndarray],
    *,
    count: bool = True,
    segments: bool = False,
    blocks: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a harness program over raw inputs."""
    graph = compiled.graph
    done = execute.execute(
        compiled.board,
        program,
        vectors.to_bytes(graph.caller_inputs, raw),
        run_symbol=f"{compiled.model.name}_run",
        count=count,
        segments=segments,
        blocks=blocks,
        progress=progress,
    )
    return Result(vectors.from_bytes(graph.caller_outputs, graph, done.outputs, done.samples), done)


def trace(compiled: Compiled, program: Path, raw: Mapping[str, np.ndarray]) -> list[dict[int, np.ndarray]]:
    """For each sample, what each layer computed: uint8 bytes by index of the node. `program` was built with trace."""
    done = execute.execute(
        compiled.board,
        program,
        vectors.to_bytes(compiled.graph.caller_inputs, raw),
        run_symbol=f"{compiled.model.name}_run",
        count=False,
        trace=True,
    )
    return [{record.layer: np.frombuffer(record.data, np.uint8) for record in sample} for sample in done.trace or ()]


def layer_segments(compiled: Compiled, segments: tuple[float, ...] | None) -> dict[int, float] | None:
    """Instructions by index of the node, from the segments of a counted run: one call per input, layer and output.

    The first layer carries the copy of inputs and states, the last that of outputs and states. None where calls and layers do not match.
    """
    model = compiled.model
    ins, layers = model.copies_before, len(model.layers)
    if segments is None or len(segments) < ins + layers:
        return None
    counts = list(segments[ins : ins + layers])
    if not counts:
        return None
    counts[0] += sum(segments[:ins])
    counts[-1] += sum(segments[ins + layers :])
    return {layer.index: value for layer, value in zip(model.layers, counts, strict=True)}


def first_difference(graph: Graph, expected: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> np.ndarray:
    """For each sample, whether any output byte differs."""
    differs = [
        vectors.different(expected[port.name], got[port.name]).reshape(len(got[port.name]), -1).any(axis=1)
        for port in graph.caller_outputs
    ]
    return np.logical_or.reduce(differs)


__all__ = ["Board", "Result", "boards", "elf", "harness_program", "minimal_program", "run", "trace"]
