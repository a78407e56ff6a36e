"""The official ONNX backend tests (onnx.backend.test: node tests and simple models) against generated C on this computer.

    python tools/onnx_backend.py             run all, compare with docs/onnx_backend.md; exit 1 if it says something else
    python tools/onnx_backend.py --update    run all and write docs/onnx_backend.md

Lamella's models have float32 or 8-bit inputs whose axis 0 is the batch, and constants for everything that is not data. So each
test is wrapped: every data input gets a batch axis of 1 in front, which a Reshape takes away again, truth values come and go as
0 and 1 through a Cast, and what is neither (axes, shapes, indices) becomes a constant. The operator itself stays as it is. A test
passes if the C gives the suite's outputs within the suite's tolerances.
"""

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella import pipeline, runtime_c
from lamella.codegen import floats
from lamella.errors import LamellaError

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "onnx_backend.md"
BEGIN, END = "<!-- tests: begin -->", "<!-- tests: end -->"
FLAGS = ["-std=c99", "-O1", "-fPIC", "-w", f"-I{runtime_c.INCLUDE}"]


@dataclass(frozen=True)
class Case:
    """A test of the suite: a model, its inputs and outputs, and how near they must be."""

    name: str
    model: onnx.ModelProto
    inputs: list
    outputs: list
    rtol: float
    atol: float

    @property
    def operator(self) -> str:
        """What is tested."""
        return self.model.graph.node[-1].op_type if len(self.model.graph.node) == 1 else "several operators"


class Refused(Exception):
    """A test that cannot be put to Lamella, and why."""


def cases() -> list[Case]:
    """All tests of which every operator is claimed."""
    import warnings

    from onnx.backend.test.loader import load_model_tests

    claimed = {*floats.readers(), "Constant", "Identity", "Dropout"}
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = [case for kind in ("node", "simple") for case in load_model_tests(kind=kind)]
    for case in loaded:
        model = case.model if case.model is not None else onnx.load(Path(case.model_dir) / "model.onnx")
        if not all(n.op_type in claimed and n.domain in ("", "ai.onnx") for n in model.graph.node):
            continue
        if case.data_sets is not None:
            inputs, outputs = case.data_sets[0]
        else:
            inputs, outputs = _stored(Path(case.model_dir) / "test_data_set_0")
        found.append(Case(case.name, model, list(inputs), list(outputs), case.rtol, case.atol))
    return sorted(found, key=lambda c: c.name)


def _stored(folder: Path) -> tuple[list, list]:
    def read(kind: str) -> list:
        tensors = sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.split("_")[1]))
        return [numpy_helper.to_array(onnx.load_tensor(str(path))) for path in tensors]

    return read("input"), read("output")


def wrapped(case: Case, fixed: set[str]) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model with a batch axis in front and constants for what is no data, and its inputs by name. fixed: inputs that are
    parameters of the operator, also where they are float."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.ir_version = max(model.ir_version, 4)  # from which on constants need not be inputs
    graph = model.graph
    given, before, after = {}, [], []
    ports = [value for value in graph.input if value.name not in {t.name for t in graph.initializer}]
    del graph.input[:]
    for value, array in zip(ports, case.inputs, strict=False):
        if not isinstance(array, np.ndarray | np.generic):
            raise Refused("an input that is no tensor")
        array = np.asarray(array)
        if array.dtype.kind == "f" and array.dtype != np.float32:
            raise Refused(f"element type {array.dtype}")
        if array.dtype not in (np.float32, np.bool_) or value.name in fixed:
            graph.initializer.append(numpy_helper.from_array(array, value.name))
            continue
        name = f"{value.name}__batch"
        graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, *array.shape]))
        before += _reshaped(
            graph, name, value.name, array.shape, onnx.TensorProto.BOOL if array.dtype == np.bool_ else None
        )
        given[name] = array[None].astype(np.float32)
    outputs = [value for value in graph.output if value.name]
    kinds = [getattr(y, "dtype", None) for y in case.outputs]
    if any(kind not in (np.float32, np.bool_) for kind in kinds):
        raise Refused("an output that is no tensor of float32 or truth values")
    del graph.output[:]
    for value, array in zip(outputs, case.outputs, strict=True):
        name = f"{value.name}__batch"
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, *array.shape]))
        number = value.name
        if array.dtype == np.bool_:
            number = f"{value.name}__number"
            after.append(_cast(value.name, number, onnx.TensorProto.FLOAT))
        after += _reshaped(graph, number, name, (1, *array.shape))
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    if not given:
        raise Refused("no input that is float32 data")
    return model, given


def _reshaped(graph: onnx.GraphProto, source: str, result: str, shape, to: int | None = None) -> list[onnx.NodeProto]:
    """Another shape, then the element type `to`."""
    graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{result}__shape"))
    number = result if to is None else f"{result}__number"
    nodes = [helper.make_node("Reshape", [source, f"{result}__shape"], [number], name=f"{result}__reshape")]
    return nodes if to is None else [*nodes, _cast(number, result, to)]


def _cast(source: str, result: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], name=f"{result}__cast", to=to)


def generated(case: Case, name: str, folder: Path, fixed: frozenset[str] = frozenset()) -> tuple[dict, object]:
    """C for a test in `folder`; its inputs, and the compiled model. Raises Refused."""
    model, given = wrapped(case, fixed)
    if next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1) < 5:
        raise Refused("opset before 5")
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    try:
        compiled = pipeline.compile_model(path, "host", "balanced", name)
    except LamellaError as error:
        parameter = re.search(r"its input '([^']+)' must be constant", str(error))
        if parameter and parameter[1] not in fixed:
            return generated(case, name, folder, fixed | {parameter[1]})
        reason = str(error).splitlines()[0].removeprefix(f"{path}: ")
        raise Refused(reason.split("): ", 1)[-1]) from None
    texts = compiled.sources()
    for file, text in texts.items():
        (folder / file).write_text(text)
    return given, compiled


def run(chosen: Iterable[Case], jobs: int = 2) -> dict[str, str]:
    """For each test "passed", "failed: .." or the reason why it was not put."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="lamella-") as work:
        folder = Path(work)
        ready = {}
        for k, case in enumerate(chosen):
            try:
                ready[f"t{k}"] = (case, *generated(case, f"t{k}", folder))
            except Refused as refusal:
                found[case.name] = str(refusal)
        units = [(folder / f"{name}{part}.c") for name in ready for part in ("", "_data")]
        units += sorted((runtime_c.ROOT / "src").glob("lam_float*.c"))
        units += [runtime_c.ROOT / "src" / f"{unit}.c" for unit in ("lam_copy", "lam_concat", "lam_scan")]

        def compiled(unit: Path) -> str:
            target = folder / f"{unit.stem}.o"
            subprocess.run(["gcc", *FLAGS, f"-I{folder}", "-c", str(unit), "-o", str(target)], check=True)
            return str(target)

        with ThreadPoolExecutor(jobs) as pool:
            objects = list(pool.map(compiled, units))
        library = folder / "all.so"
        subprocess.run(["gcc", "-shared", *objects, "-o", str(library)], check=True)
        loaded = ctypes.CDLL(str(library))
        for name, (case, given, model) in ready.items():
            found[case.name] = _checked(case, given, model, getattr(loaded, f"{name}_run"))
    return dict(sorted(found.items()))


def _checked(case: Case, given: dict, compiled, function) -> str:
    graph = compiled.graph
    arena = np.zeros(compiled.plan.arena_bytes // 8 + 1, np.uint64)
    inputs = [np.ascontiguousarray(given[port.name]) for port in graph.inputs]
    outputs = [np.zeros(graph.tensor_of(port).shape, np.float32) for port in graph.outputs]
    status = function(*(ctypes.c_void_p(a.ctypes.data) for a in (arena, *inputs, *outputs)))
    if status != 0:
        return f"failed: status {status}"
    for got, wanted in zip(outputs, case.outputs, strict=True):
        try:
            np.testing.assert_allclose(got[0], wanted, rtol=case.rtol, atol=case.atol)
        except AssertionError as error:
            return "failed: " + " ".join(str(error).split())[:160]
    return "passed"


def tables(chosen: list[Case], results: dict[str, str]) -> str:
    """What the document says: counts by operator, then why tests were not put."""
    by_operator: dict[str, Counter] = defaultdict(Counter)
    reasons: dict[str, list[str]] = defaultdict(list)
    for case in chosen:
        result = results[case.name]
        kind = "passed" if result == "passed" else "failed" if result.startswith("failed") else "skipped"
        by_operator[case.operator][kind] += 1
        if kind != "passed":
            reasons[result].append(case.name.removeprefix("test_"))
    total = sum(by_operator.values(), Counter())
    lines = [
        f"onnx {onnx.__version__}, tests of operators that are claimed: {len(chosen)}; passed: {total['passed']}, failed: "
        + f"{total['failed']}, skipped: {total['skipped']}.",
        "",
        "| operator | passed | failed | skipped |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {c['passed']} | {c['failed']} | {c['skipped']} |" for name, c in sorted(by_operator.items())]
    lines += ["", "Skipped, and why:", ""]
    for reason, names in sorted(reasons.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        lines.append(f"- {reason}: {', '.join(f'`{name}`' for name in names)}")
    return "\n".join(lines)


def main() -> int:
    """Runs the tests; 1 if one fails or the document differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    chosen = cases()
    results = run(chosen)
    text = DOCUMENT.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    new = f"{head}{BEGIN}\n{tables(chosen, results)}\n{END}{tail}"
    for name, result in results.items():
        if result.startswith("failed"):
            print(name, result)
    print(
        Counter("passed" if r == "passed" else r[:6] if r.startswith("failed") else "skipped" for r in results.values())
    )
    if args.update:
        DOCUMENT.write_text(new, encoding="utf-8")
        return 0
    return int(new != text or any(r.startswith("failed") for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
