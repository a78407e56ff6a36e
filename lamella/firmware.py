"""The generated folder: a complete CMake project that needs neither Python nor this repository."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

import lamella
from lamella import boards, footprint, runtime_c, vectors
from lamella.boards import Board
from lamella.codegen import cdata, emit, plan
from lamella.codegen.ir import body_of
from lamella.errors import PlatformError, UsageError
from lamella.pipeline import Compiled

MANIFEST = "lamella.json"
SELFTEST_VECTORS = 2
#: Of a stream: long enough for what one call leaves to be seen in the next ones.
SELFTEST_CALLS = 4


def folder_files(compiled: Compiled) -> dict[str, str]:
    """All files of the generated folder by relative path."""
    board, model = compiled.board, compiled.model
    sources = compiled.sources()
    sources[f"{model.name}_selftest.c"] = selftest(compiled)
    files = {f"model/{name}": text for name, text in sources.items()}
    files |= {f"runtime/{PurePosixPath(path).name}": path.read_text() for path in runtime_files(model)}
    files |= {f"board/{name}": text for name, text in boards.product_files(board).items()}
    flags = boards.product_flags(board, compiled.optimize)
    optimization = board.compiler.optimize[compiled.optimize]
    values = {
        "m": model,
        "board": board,
        "optimize": compiled.optimize,
        "compile_flags": [
            *(f for f in flags.compile if f not in optimization),
            *(f"-D{name}" for name in compiled.defines),
        ],
        "optimization": optimization,
        "link_flags": flags.link,
        "linker_script": flags.linker_script,
        "program": f"{model.name}{'' if board.ram is None else '.elf'}",
        "sources": sorted(f for f in files if f.endswith(".c")),
        "run_hint": boards.run_hint(board, f"build/{model.name}{'' if board.ram is None else '.elf'}"),
        "layers": layer_rows(compiled),
        "slots": slot_rows(compiled.plan, len(compiled.graph.nodes)),
        "loops": loop_rows(compiled),
        "strips": footprint.strips(compiled.graph),
    }
    files["main.c"] = emit.render("main.c.j2", **values)
    files["CMakeLists.txt"] = emit.render("CMakeLists.txt.j2", **values)
    files["README.md"] = emit.render("README.md.j2", **values)
    files["memory_plan.txt"] = emit.render("memory_plan.txt.j2", **values)
    if board.compiler.cmake_system:
        files["toolchain.cmake"] = emit.render("toolchain.cmake.j2", **values)
    manifest = {
        "generator": "lamella",
        "version": lamella.__version__,
        "model": model.source,
        "sha256": model.sha256,
        "name": model.name,
        "board": board.name,
        "optimize": compiled.optimize,
        "files": sorted([*files, MANIFEST]),
    }
    files[MANIFEST] = json.dumps(manifest, indent=2) + "\n"
    return files


def runtime_files(model: emit.Model) -> list[Path]:
    """The runtime's sources that a model needs, with every header they may include."""
    sources = [runtime_c.ROOT / f for f in model.runtime_files if f.endswith(".c")]
    return sorted(sources) + sorted(included(sources + [runtime_c.INCLUDE / h for h in model.headers]))


def included(paths: list[Path]) -> set[Path]:
    """Headers of the runtime that the files include, directly or not."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path.suffix == ".h":
            if path in found:
                continue
            found.add(path)
        for line in path.read_text().splitlines():
            if line.startswith('#include "'):
                folder = runtime_c.INCLUDE if (runtime_c.INCLUDE / line.split('"')[1]).exists() else path.parent
                waiting.append(folder / line.split('"')[1])
    return found


def selftest(compiled: Compiled) -> str:
    """C text with recorded inputs and outputs; the outputs come from the integer reference."""
    from lamella.codegen import reference

    graph, model = compiled.graph, compiled.model
    count = SELFTEST_CALLS if graph.states else SELFTEST_VECTORS
    rng = np.random.default_rng(int(model.sha256[:8], 16))
    raw = {}
    for port in graph.caller_inputs:
        shape = graph.tensor_of(port).shape[1:]
        if port.raw_dtype == "float32":
            raw[port.name] = vectors.floats(rng, (count, *shape))
            continue
        info = np.iinfo(port.raw_dtype)
        raw[port.name] = rng.integers(info.min, info.max, (count, *shape), endpoint=True).astype(port.raw_dtype)
    expected = reference.run(graph, raw)
    arrays = []
    both = (graph.caller_inputs, model.inputs, raw), (graph.caller_outputs, model.outputs, expected)
    for ports, shown, values in both:
        for port, c in zip(ports, shown, strict=True):
            arrays.append(cdata.Array(f"{c.argument}_vectors", c.ctype, values[port.name].reshape(count, -1)))

    def array_rows(array: cdata.Array, k: int) -> list[str]:
        return emit.rows(cdata.Array(array.suffix, array.ctype, array.values[k]), width=112)

    return emit.render("selftest.c.j2", m=model, vectors=count, arrays=arrays, array_rows=array_rows)


def layer_rows(compiled: Compiled) -> list[dict]:
    """What the README and the memory plan say of each layer."""
    graph = compiled.graph
    rows = []
    for layer in compiled.model.layers:
        node = graph.nodes[layer.index]
        rows.append({"layer": layer, "choice": node.choice, "offset": _offset(compiled.plan, node.output)})
    return rows


def _offset(memory: plan.MemoryPlan, tensor: str) -> str:
    """Where a tensor begins, for the memory plan."""
    if tensor in memory.in_state:
        return f"{memory.in_state[tensor]} of the state"
    return str(memory.offsets[tensor])


def loop_rows(compiled: Compiled) -> list[dict]:
    """What the memory plan says of the inside of each loop."""
    rows = []
    for layer in compiled.model.layers:
        body = body_of(compiled.graph.nodes[layer.index])
        if body is not None:
            memory = plan.plan_body(body)
            rows.append({"layer": layer, "plan": memory, "slots": slot_rows(memory, len(body.nodes))})
    return rows


def slot_rows(memory: plan.MemoryPlan, nodes: int) -> list[dict]:
    """Memory as lines of text: each slot with a bar over the steps it lives."""
    steps = nodes + 2
    rows = []
    for slot in memory.slots:
        bar = "".join("#" if slot.first + 1 <= k <= slot.last + 1 else "." for k in range(steps))
        rows.append({"slot": slot, "bar": bar, "holds": ", ".join(emit.names.comment(name) for name in slot.holds)})
    return rows


def write_folder(out: Path, files: Mapping[str, str]) -> None:
    """Write a generated folder: beside `out` first, then renamed. An existing folder is replaced only if Lamella wrote it."""
    out = Path(out).absolute()
    refuse_foreign(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise PlatformError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    try:
        for name, text in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        beside.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
            out.rename(old / out.name)
            beside.rename(out)
            shutil.rmtree(old)
        else:
            beside.rename(out)
    except OSError as error:
        raise PlatformError(
            f"{out}: cannot be written ({error.strerror}); free space or choose another --out"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_foreign(out: Path) -> None:
    """UsageError if `out` exists and holds anything that Lamella did not write; a build folder inside does not count."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise UsageError(f"{out}: exists and is no folder; choose another --out")
    present = {str(p.relative_to(out)) for p in out.rglob("*") if not p.is_dir()}
    if not present:
        return
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        known = set(manifest["files"]) if manifest["generator"] == "lamella" else set()
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{out}: exists and was not written by Lamella; choose another --out or remove it") from None
    foreign = sorted(f for f in present - known if not f.startswith("build"))
    if foreign:
        raise UsageError(
            f"{out}: holds files that Lamella did not write ({', '.join(foreign[:3])}); move them or choose another --out"
        )


__all__ = [
    "Board",
    "folder_files",
    "layer_rows",
    "refuse_foreign",
    "runtime_files",
    "selftest",
    "slot_rows",
    "vectors",
    "write_folder",
]
