"""TensorFlow Lite Micro as the outside witness for TFLite files: its interpreter, from the package tflite-micro.

It is what such files run on today, and its kernels round twice where ours round once, so that a level may move now and then.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np

from lamella import vectors, witness
from lamella.codegen import import_onnx, sources
from lamella.codegen.ir import Graph
from lamella.codegen.sources.tflite_writer import ORIGINS, TO_NCHW
from lamella.errors import UsageError

PACKAGE = "tflite_micro"
#: Samples of the whole network: its kernels are the portable ones, some milliseconds a million multiplications.
SAMPLES = 1000
ARENA = 1 << 20  # bytes beside ten times the file, which is what the interpreter takes by itself


def is_for(path: Path) -> bool:
    """Whether a model file is a TFLite one."""
    with Path(path).open("rb") as file:
        return next(s for s in sources.sources() if s.name == "tflite").is_mine(file.read(16))


def is_there() -> bool:
    """Whether the interpreter is installed (extra "tflite")."""
    return util.find_spec(PACKAGE) is not None


def compare(path: Path, graph: Graph, raw: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict | None:
    """The "tflite_micro" part of `lamella verify`, as witness.compare; None for other files, or without the interpreter."""
    if not is_for(path) or not is_there():
        return None
    model = sources.parse(Path(path))
    origins = json.loads({p.key: p.value for p in model.metadata_props}[ORIGINS])
    known, names = import_onnx.read_model(model, Path(path), graph.arithmetic)
    known = replace(known, states=graph.states)
    some = {name: array[:SAMPLES] for name, array in raw.items()}
    few = min(witness.LAYER_SAMPLES, vectors.samples_of(raw))
    wanted = {tensor: origins[name] for tensor, name in names.items() if name in origins}
    outputs, inner = run(Path(path), graph, some, {index for index, _ in wanted.values()}, few)
    theirs = {t: _in_layout(inner[index], layout, known.tensors[t].shape) for t, (index, layout) in wanted.items()}
    given = {name: array[:few] for name, array in (raw | vectors.state_inputs(graph, outputs)).items()}
    by_layer = witness.on_their_inputs(known, given, theirs)
    whole = witness.outputs_apart(graph, outputs, {name: array[:SAMPLES] for name, array in expected.items()})
    return witness.with_layers(whole, by_layer)


def run(
    path: Path, graph: Graph, raw: Mapping[str, np.ndarray], tensors: set[int], few: int
) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """Outputs by name for raw inputs, and for the first `few` samples the tensors of the file with these indices."""
    from tflite_micro import runtime

    data = path.read_bytes()
    try:
        interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=ARENA + 10 * len(data),
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,  # spelled so in the package
        )
        outputs: dict[str, list] = {port.name: [] for port in graph.outputs}
        inner: dict[int, list] = {index: [] for index in tensors}
        states = witness.first_states(graph)
        for k in range(vectors.samples_of(raw)):
            for place, port in enumerate(graph.inputs):
                if port.name not in states:
                    q = raw[port.name][k : k + 1]
                    interpreter.set_input(vectors.in_model_type(port, graph, q), place)
                else:
                    interpreter.set_input(states[port.name], place)
            interpreter.invoke()
            for place, port in enumerate(graph.outputs):
                outputs[port.name].append(interpreter.get_output(place))
            states = {state.before: outputs[state.after][-1] for state in graph.states}
            if k < few:
                for index, found in inner.items():
                    found.append(interpreter.GetTensor(index, 0)["tensor_data"])
    except Exception as error:  # an operator or a type that its kernels lack; it has no error class of its own
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{path}: TensorFlow Lite Micro does not run it: {said}") from None
    return {n: np.concatenate(parts) for n, parts in outputs.items()}, {i: np.concatenate(p) for i, p in inner.items()}


def _in_layout(array: np.ndarray, layout: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of the file as ours: planes in place of pixels where it was read so; shape: of one sample."""
    if layout == "nchw":
        array = array.transpose(TO_NCHW)
    return array.reshape(-1, *shape[1:])
