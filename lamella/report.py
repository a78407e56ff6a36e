"""The report of a model: everything it shows as data, and one HTML file that needs nothing else."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

import lamella
from lamella import files, findings, footprint, output, pictures, pipeline, vectors, verify, witness, witness_tflite
from lamella.codegen import operators, passes
from lamella.codegen.ir import Graph, Port, every_node
from lamella.codegen.plan import MemoryPlan
from lamella.errors import UsageError
from lamella.pipeline import Compiled

# Keys of metrics.json and of its layers: those the report needs, and those it shows where they are there.
METRICS = {"float_accuracy": float, "accuracy": float, "drop": float}
METRICS_MORE = {
    "compression_vs_float32": float,
    "validation_drop": float,
    "validation_float_accuracy": float,
    "max_drop": float,
    "epochs": int,
    "seconds": float,
    "test_samples": int,
    "network": str,
    "data": str,
}
METRICS_LAYER = {"name": str, "format": str, "density": float, "weights": int, "bytes": int}
METRICS_LAYER_MORE = {"order": int, "accepted": bool, "validation_drop": float, "reason": str}
METRICS_POINT = {"what": str, "bytes": int, "accuracy": float, "accepted": bool}

Progress = Callable[[int, int], None]


def compile_for(path: Path, boards: Sequence[str], graph: Graph, **how: Any) -> list[Compiled]:
    """The model for each board; how: as for pipeline.compile_model."""
    return [pipeline.compile_model(path, board, graph=graph, **how) for board in boards]


def check(graph: Graph, compiled: Sequence[Compiled], progress: Progress | None = None) -> dict:
    """The JSON of `lamella verify` with the default vectors, over the boards that can run."""
    raw = vectors.seeded(graph)
    expected = verify.expected_outputs(graph, raw)
    results = []
    runnable = [one for one in compiled if one.board.runner is not None]
    for k, one in enumerate(runnable):
        results.append(verify.verify_board(one, raw, expected))
        if progress:
            progress(k + 1, len(runnable))
    path = compiled[0].path
    witnesses = [w.compare(path, graph, raw, expected) for w in (witness, witness_tflite)]
    return verify.report(str(path), results, *witnesses)


def gather(
    compiled: Sequence[Compiled],
    verification: Mapping[str, Any] | None,
    metrics: Mapping[str, Any] | None,
    progress: Progress | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> dict:
    """What the report shows, as data. calibration: how the model was quantised, if it was here. Layers and arena are those of the first board that counts instructions."""
    entries, counts = [], []
    for k, one in enumerate(compiled):
        entry = footprint.measure(one)
        counts.append(entry.pop("layer_instructions"))
        flash, ram = one.board.flash, one.board.ram
        limits = {"flash": flash.size if flash else None, "ram": ram.size if ram else None}
        entries.append({**entry, "title": one.board.title, "core": one.board.core.name, "limits": limits})
        if progress:
            progress(k + 1, len(compiled))
    at = next((k for k, counted in enumerate(counts) if counted), 0)
    shown = compiled[at]
    graph, model = shown.graph, shown.model
    data = {
        "model": str(shown.path),
        "file": shown.path.name,
        "sha256": model.sha256,
        "graph": graph.name,
        "name": model.name,
        "version": lamella.__version__,
        "optimize": shown.optimize,
        "inputs": [port_facts(graph, port) for port in graph.caller_inputs],
        "outputs": [port_facts(graph, port) for port in graph.caller_outputs],
        "states": [{"input": s.before, "output": s.after, "bytes": s.first.nbytes} for s in graph.states],
        "weights": model.weights,
        "weight_bytes": model.weight_bytes,
        "float32_bytes": 4 * model.weights,
        "compression_vs_float32": 4 * model.weights / model.weight_bytes if model.weight_bytes else None,
        "macs": model.macs,
        "boards": entries,
        "detail_board": shown.board.name,
        "layers": _layers(graph, counts[at]),
        "arena": arena_facts(graph, shown.plan),
        "arena_lower_bound": shown.plan.lower_bound,
        "network": network(graph),
        "verification": verification,
        "metrics": metrics,
        "calibration": calibration,
    }
    data["verdict"] = findings.verdict(data)
    data["titles"] = findings.titles(data)
    return data


def port_facts(graph: Graph, port: Port) -> dict:
    """Name, shape, types and quantisation of an input or output."""
    tensor = graph.tensor_of(port)
    return {
        "name": port.name,
        "shape": list(tensor.shape[1:]),
        "type": port.dtype,
        "raw_type": port.raw_dtype,
        "scale": None if tensor.is_float else tensor.quantization.scale,
        "zero_point": None if tensor.is_float else tensor.quantization.zero - port.offset,
    }


def arena_facts(graph: Graph, plan: MemoryPlan) -> dict:
    """The memory plan as data; steps are named, the first is the input (-1) and the last the output."""
    inputs = {port.tensor for port in graph.inputs}
    slots = []
    for slot in plan.slots:
        tensors = [name for name in slot.holds if name in graph.tensors]
        kind = "input" if inputs & set(tensors) else "tensor" if tensors else "scratch"
        slots.append({**asdict(slot), "kind": kind, "holds": tensors})
    of_step = {k: node.name for k, node in enumerate(graph.nodes)}
    for slot in slots:
        if slot["kind"] == "scratch":
            slot["holds"] = [of_step[slot["first"]]]
    steps = ["input", *of_step.values(), "output"]
    return {"bytes": plan.arena_bytes, "lower_bound": plan.lower_bound, "steps": steps, "slots": slots}


def network(graph: Graph) -> dict:
    """The graph as a list: rows in the order of execution, and links (from row, to row)."""
    rows, links, made_by = [], [], {}
    for port in graph.inputs:
        made_by[port.tensor] = len(rows)
        rows.append(_row("input", port.name, "", graph.tensor_of(port).shape))
    for node in graph.nodes:
        links += [[made_by[name], len(rows)] for name in dict.fromkeys(node.inputs)]
        made_by[node.output] = len(rows)
        details = operators.get(node.op).details(graph, node)
        rows.append(_row(node.op, node.name, details, graph.tensors[node.output].shape))
    for port in graph.outputs:
        links.append([made_by[port.tensor], len(rows)])
        rows.append(_row("output", port.name, "", graph.tensor_of(port).shape))
    return {"rows": rows, "links": links}


def _row(op: str, name: str, details: str, shape: Sequence[int]) -> dict:
    return {"op": op, "name": name, "details": details, "shape": list(shape[1:])}


def _layers(graph: Graph, counted: Mapping[str, float] | None) -> list[dict]:
    """The layers of `lamella footprint`, and whether their levels are ternary."""
    levels = {placed.node.name: passes.weight_levels(placed.node) for placed in every_node(graph)}
    return [{**layer, "ternary": _is_ternary(levels[layer["name"]])} for layer in footprint.layers(graph, counted)]


def _is_ternary(levels: np.ndarray | None) -> bool:
    return levels is not None and levels.size > 0 and bool(np.abs(levels).max() <= 1)


def levels_images(graph: Graph) -> list[dict]:
    """The kernels of the first convolution, and a part of each ternary layer."""
    found = []
    first = next((node for node in graph.nodes if node.op == "conv2d"), None)
    for node in (placed.node for placed in every_node(graph)):
        levels = passes.weight_levels(node)
        if levels is None or not levels.size:
            continue
        shape = list(levels.shape)
        if node is first:
            found.append({"kind": "kernels", "name": node.name, "shape": shape, **pictures.kernels(levels)})
        if np.abs(levels).max() <= 1:
            found.append({"kind": "rows", "name": node.name, "shape": shape, **pictures.rows_of_levels(levels)})
    return found


def read_metrics(path: Path) -> dict:
    """The metrics.json of a training; what is not there is None."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        layers = [_keys(layer, METRICS_LAYER, METRICS_LAYER_MORE) for layer in data["layers"]]
        points = [_keys(point, METRICS_POINT, {}) for point in data.get("points", [])]
        return {**_keys(data, METRICS, METRICS_MORE), "layers": layers, "points": points}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give the metrics.json of a training") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path}: not a metrics.json as `lamella train` writes it ({type(error).__name__}: {error}); "
            "give that of the training that made the model"
        ) from None


def _keys(data: Mapping[str, Any], needed: Mapping[str, type], more: Mapping[str, type]) -> dict:
    found = {key: _typed(key, data[key], kind) for key, kind in needed.items()}
    return found | {key: None if data.get(key) is None else _typed(key, data[key], kind) for key, kind in more.items()}


def _typed(key: str, value: Any, kind: type) -> Any:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key} is {value!r}")
    if kind is not str and not (abs(value) < 1e15 and (kind is float or value >= 0)):
        raise ValueError(f"{key} is out of range")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _pareto(metrics: Mapping[str, Any] | None) -> Markup | None:
    """The networks that a training tried, where there was more than one."""
    if metrics is None or len(metrics["points"]) < 2:
        return None
    return pictures.pareto(metrics["points"], metrics["validation_float_accuracy"])


def render(data: Mapping[str, Any], graph: Graph) -> str:
    """The HTML."""
    weighted = [layer for layer in data["layers"] if layer["weights"]]
    counted = [layer for layer in data["layers"] if layer.get("instructions") is not None]
    arena = data["arena"]
    drawn = {
        "memory": pictures.memory(data["boards"]),
        "arena": pictures.arena(arena["slots"], arena["steps"], arena["bytes"], arena["lower_bound"]),
        "sizes": pictures.layer_sizes(weighted) if weighted else None,
        "instructions": pictures.layer_instructions(counted) if data["titles"]["instructions"] else None,
        "training": pictures.training(data["metrics"]) if data["metrics"] and data["metrics"]["layers"] else None,
        "pareto": _pareto(data["metrics"]),
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lamella", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "shape": shape_text, "shorten": output.shorten}
    svg = {name: Markup(text) if text else None for name, text in drawn.items()}
    return environment.get_template("report.html.j2").render(d=data, svg=svg, images=levels_images(graph))


def number(value: Any, digits: int = 3) -> str:
    """A cell: thousands apart, missing as a dash; `digits` that count in a fraction."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def shape_text(shape: Sequence[int]) -> str:
    """16 × 14 × 14."""
    return " × ".join(map(str, shape))


def refuse_unwritable(path: Path) -> None:
    """Before any work: the report can only be a file in a folder that exists."""
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; name a file, e.g. {path / 'report.html'}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--out {path}: there is no folder {path.parent}; make it first")


def write(path: Path, text: str) -> None:
    """The file, written aside and renamed."""
    # A name in a model may hold half of a surrogate pair; it is shown as a question mark.
    files.replace(path, lambda file: file.write(text.encode(errors="replace")), "--out")
