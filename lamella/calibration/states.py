"""Float streaming models: what their states hold over a stream of samples, and one range for all that a state goes through."""

from collections.abc import Mapping

import numpy as np
import onnx

from lamella.calibration import floats
from lamella.calibration.ranges import Range

#: Operators whose result holds values of their first input, or of all of them, and has the quantisation of these.
MOVES = ("Slice", "Split", "Gather", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Concat")


def with_states(
    model: onnx.ModelProto, samples: Mapping[str, np.ndarray], pairs: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Samples with the state inputs that the float model has in each call, the samples being calls of one stream that begins
    with zeros. pairs: outputs by input."""
    shapes = {i.name: [d.dim_value or 1 for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    states = {name: np.zeros(shapes[name], np.float32) for name in pairs}
    calls = len(next(iter(samples.values())))
    session = floats.session(model)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in pairs}
    for k in range(calls):
        for name, value in states.items():
            seen[name].append(value)
        given = {name: x[k : k + 1] for name, x in samples.items()}
        after = session.run(list(pairs.values()), given | states)
        states = dict(zip(pairs, after, strict=True))
    return {**samples, **{name: np.concatenate(values) for name, values in seen.items()}}


def tied(limits: Mapping[str, Range], model: onnx.ModelProto, pairs: Mapping[str, str]) -> dict[str, Range]:
    """Ranges with one for both ends of each state, and for all tensors that only move it: they then share their scale."""
    group = {name: name for name in limits}

    def top(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    links = list(pairs.items())
    for node in model.graph.node:
        if node.op_type in MOVES:
            moved = node.input if node.op_type == "Concat" else node.input[:1]
            links += [(name, result) for name in moved for result in node.output]
    for a, b in links:
        if a in group and b in group:
            group[top(a)] = top(b)
    carried = {top(name) for name in pairs if name in group}
    found = dict(limits)
    for root in carried:
        members = [name for name in limits if top(name) == root]
        whole = min(limits[name][0] for name in members), max(limits[name][1] for name in members)
        found |= dict.fromkeys(members, whole)
    return found
