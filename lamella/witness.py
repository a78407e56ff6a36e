"""onnxruntime as the outside witness: how far its results are from the integer arithmetic.

It rounds half to even where we round half up, and in float32, so that a level may move now and then. Graph optimisations
are off: its fused kernels saturate 16-bit sums on some x86 processors.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from lamella import vectors
from lamella.codegen import import_onnx, onnx_file, ports, reference
from lamella.codegen.ir import Graph, State
from lamella.errors import UsageError

LAYER_SAMPLES = 32
#: Float32 results that differ by less than this share of the largest count as equal: the order of sums differs.
FLOAT_EQUAL = 1e-5


def compare(path: Path, graph: Graph, raw: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict:
    """The "onnxruntime" part of `lamella verify`: over the whole network, and each layer fed with the same inputs."""
    few = {name: array[:LAYER_SAMPLES] for name, array in raw.items()}
    return with_layers(outputs_apart(graph, run(path, graph, raw), expected), layers(path, few, graph.states))


def with_layers(whole: dict, by_layer: Mapping[str, int]) -> dict:
    """What a witness says of the network and of its layers."""
    return {**whole, "max_layer_difference": max(by_layer.values(), default=0), "layers": dict(by_layer)}


def outputs_apart(graph: Graph, theirs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict:
    """How far a witness's outputs are from ours.

    Levels for quantised outputs, shares of the largest value for float32 ones; None where there are no such outputs.
    """
    largest, relative, equal, count, agree = None, None, 0, 0, []
    for port in graph.caller_outputs:
        levels = vectors.quantize(port, graph, theirs[port.name]) if port.dtype == "float32" else theirs[port.name]
        if port.raw_dtype == "float32":
            difference = relative_difference(levels, expected[port.name])
            relative = max(relative or 0.0, float(difference.max(initial=0)))
            difference = difference * (difference > FLOAT_EQUAL)
        else:
            difference = np.abs(levels.astype(np.int32) - expected[port.name].astype(np.int32))
            largest = max(largest or 0, int(difference.max(initial=0)))
        equal += int((difference == 0).sum())
        count += difference.size
        a, b = levels.reshape(len(levels), -1), expected[port.name].reshape(len(levels), -1)
        # A tie for the top class is no disagreement.
        agree.append(np.take_along_axis(b, a.argmax(axis=1)[:, None], axis=1)[:, 0] == b.max(axis=1))
    return {
        "max_level_difference": largest,
        "max_float_difference": relative,
        "equal_fraction": equal / max(count, 1),
        "top1_agreement": float(np.mean(agree)),
    }


def relative_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differences of float32 results, as shares of the largest number in b; where neither is finite they agree."""
    finite = np.isfinite(a) & np.isfinite(b)
    size = max(float(np.abs(b, where=finite, out=np.zeros_like(b)).max(initial=0)), 1e-30)
    apart = np.where(finite, np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)), 0) / size
    return np.where(np.isfinite(a) == np.isfinite(b), apart, np.inf)


def run(
    path: Path, graph: Graph, raw: Mapping[str, np.ndarray], model: onnx.ModelProto | None = None, single: bool = False
) -> dict[str, np.ndarray]:
    """Outputs of onnxruntime by name, for raw integer inputs. States are carried from call to call as it leaves them. single:
    one sample at a time, and the values of each as one row, for tensors whose first axis is not that of the samples."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        source = onnx_file.witness_model(Path(path)) if model is None else model
        session = onnxruntime.InferenceSession(source.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UsageError(f"{path}: onnxruntime does not load it: {str(error).splitlines()[0]}") from None
    names = [output.name for output in session.get_outputs()]
    total = vectors.samples_of(raw)
    by_one = single or isinstance(session.get_inputs()[0].shape[0], int) or graph.states
    step = 1 if by_one else 250
    states = first_states(graph)
    parts = []
    for start in range(0, total, step):
        feeds = dict(states)
        for port in graph.caller_inputs:
            feeds[port.name] = vectors.in_model_type(port, graph, raw[port.name][start : start + step])
        part = dict(zip(names, session.run(names, feeds), strict=True))
        states = {state.before: part[state.after] for state in graph.states}
        parts.append({name: np.reshape(values, (1, -1)) if single else values for name, values in part.items()})
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in names}


def first_states(graph: Graph) -> dict[str, np.ndarray]:
    """States before the first call in the model's types, by name of their input."""
    named = {port.name: port for port in graph.inputs}
    states = [(named[state.before], state.first) for state in graph.states]
    return {port.name: vectors.in_model_type(port, graph, ports.outside(first, port)) for port, first in states}


def layers(path: Path, raw: Mapping[str, np.ndarray], states: tuple[State, ...] = ()) -> dict[str, int]:
    """For each operator of the file: how many levels its result is from onnxruntime's, on onnxruntime's own inputs.

    A loop hands its differences on from step to step; the operators inside it are compared instead, on random inputs. Loops in
    float32 are not compared.
    """
    path = Path(path)
    model = onnx_file.load(path)
    bodies = [body_model(model, node) for node in model.graph.node if node.op_type == "Scan"]
    graph, found = _layers(path, model, raw, states)
    scans = [node for node in graph.nodes if node.op == "scan"]
    for node, body in zip(scans, bodies, strict=True):
        if any(node.attributes.body.tensor_of(port).is_float for port in node.attributes.body.inputs):
            continue
        results = {node.output}
        for part in graph.nodes:
            if part is node or (part.op in ("slice", "reshape") and part.inputs[0] in results):
                results.add(part.output)
                found.pop(part.name, None)
        for value, port in zip(body.graph.input, node.attributes.body.inputs, strict=True):
            kind = value.type.tensor_type.elem_type
            shape = ["N", *node.attributes.body.tensor_of(port).shape[1:]]
            value.type.CopyFrom(onnx.helper.make_tensor_type_proto(kind, shape))
        step, _ = import_onnx.read_model(body, path)
        found |= _layers(path, body, vectors.seeded(step))[1]
    return found


def body_model(model: onnx.ModelProto, loop: onnx.NodeProto) -> onnx.ModelProto:
    """The body of an ONNX Scan as a model of its own, with the constants that it takes from outside."""
    body = next(a.g for a in loop.attribute if a.name == "body")
    constants = {t.name for t in model.graph.initializer}
    weights = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    found = onnx.ModelProto()
    found.CopyFrom(model)
    found.graph.CopyFrom(body)
    del found.graph.node[:]
    found.graph.node.extend([*weights, *body.node])
    found.graph.initializer.extend(model.graph.initializer)
    return found


def _layers(
    path: Path, model: onnx.ModelProto, raw: Mapping[str, np.ndarray], states: tuple[State, ...] = ()
) -> tuple[Graph, dict[str, int]]:
    """The graph of a model, and the difference of each of its operators."""
    graph, names = import_onnx.read_model(model, path)
    graph = replace(graph, states=states)
    there = {o.name for o in model.graph.output}
    inputs = {port.name for port in graph.inputs}
    wanted = [name for name in dict.fromkeys(names.values()) if name not in there and name not in inputs]
    # onnx infers type and rank; onnxruntime wants the element type of what it is asked for.
    inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    model.graph.output.extend(inferred[name] for name in wanted if name in inferred)
    theirs = run(path, graph, raw, model, single=True)
    given = {**raw, **vectors.state_inputs(graph, theirs)}
    return graph, on_their_inputs(
        graph, given, {tensor: theirs[name] for tensor, name in names.items() if name in theirs}
    )


def on_their_inputs(graph: Graph, raw: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, int]:
    """For each layer whose result a witness gave (by tensor of the graph): levels between that and ours, on its inputs. raw:
    of all inputs, states included."""
    values = {port.tensor: ports.inside(raw[port.name], port) for port in graph.inputs}
    found = {}
    for node in graph.nodes:
        ours = reference.run_node(graph, node, [values[name] for name in node.inputs])
        values[node.output] = ours
        if node.output in theirs:
            array = theirs[node.output]
            array = (array.astype(np.int16) + (128 if array.dtype == np.int8 else 0)).astype(np.uint8)
            found[node.name] = int(np.abs(array.astype(np.int16) - ours.reshape(array.shape)).max(initial=0))
            values[node.output] = array.reshape(ours.shape)
    return found
