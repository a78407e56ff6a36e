"""RNN, GRU and LSTM become loops (Scan) of primitive operators: one for each direction.

ONNX has one operator for a whole recurrent layer and says nothing of its inner values. As a loop the layer is a graph that every
stage knows, in float32 as in integers.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import helper

from lamella.codegen.rewrites.editor import Editor, attribute
from lamella.codegen.rewrites.record import Rewrite
from lamella.codegen.rewrites.recurrent_cells import CELLS, FUNCTIONS, WITHOUT_DEFAULTS, Body, Function

#: For each kind: gates, states, and the functions if the node names none.
KINDS = {
    "RNN": (1, 1, ("Tanh",)),
    "GRU": (3, 1, ("Sigmoid", "Tanh")),
    "LSTM": (4, 2, ("Sigmoid", "Tanh", "Tanh")),
}
#: Attributes that are looked at; output_sequence, of opset 1, said what the outputs in use say.
KNOWN = {
    "direction", "hidden_size", "clip", "input_forget", "activation_alpha", "activation_beta", "activations", "layout",
    "linear_before_reset", "output_sequence",
}  # fmt: skip
#: Places of inputs.
X, W, R, B, LENGTHS, H, C, P = range(8)
_FLOAT = onnx.TensorProto.FLOAT


def apply(editor: Editor) -> None:
    """Replace what can be."""

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        ours = node.op_type in KINDS and node.domain in ("", "ai.onnx")
        return _loops(editor, node) if ours and why_not(node, editor.constant, editor.shape) is None else None

    editor.each(replace)


def why_not(
    node: onnx.NodeProto,
    constant: Callable[[str], np.ndarray | None],
    shape: Callable[[str], tuple[int, ...] | None] = lambda name: None,
) -> str | None:
    """Why a node cannot be a loop; None if it can. constant: values by name of a tensor, None if it is computed. shape: of a
    tensor by name, if it is known."""
    if not all(_input(node, k) for k in (X, W, R)) or not any(node.output):
        return "its input X, W or R, or every output is missing"
    for k in (W, R, B, P):
        if name := _input(node, k):
            value = constant(name)
            if value is None:
                return f"its input {name!r} must be constant; export with constant folding"
            if value.dtype != np.float32 or not np.isfinite(value).all():
                return f"its input {name!r} has element type {value.dtype}, or no finite values; float32 is supported"
    return _why_not_weights(node, constant) or _why_not_lengths(node, constant, shape) or _why_not_attributes(node)


def _why_not_weights(node: onnx.NodeProto, constant: Callable[[str], np.ndarray]) -> str | None:
    gates, states, _ = KINDS[node.op_type]
    directions = _directions(node)
    if directions is None:
        found = _text(node, "direction", "")
        return f"attribute 'direction' is {found!r}; forward, reverse and bidirectional are supported"
    w, r = constant(_input(node, W)), constant(_input(node, R))
    if w.ndim != 3 or r.ndim != 3:
        return f"its weights have shapes {w.shape} and {r.shape}; (directions, gates * units, ...) is wanted"
    n, units = len(directions), r.shape[-1]
    rows = gates * units
    for k, wanted in ((W, (n, rows, w.shape[-1])), (R, (n, rows, units)), (B, (n, 2 * rows)), (P, (n, 3 * units))):
        if _input(node, k) and constant(_input(node, k)).shape != wanted:
            return f"its input {_input(node, k)!r} has shape {constant(_input(node, k)).shape}, not {wanted}"
    if attribute(node, "hidden_size", units) != units:
        return f"attribute 'hidden_size' is {attribute(node, 'hidden_size')}, but its weights have {units} units"
    return f"{len(node.output)} outputs" if len(node.output) > 1 + states else None


def _why_not_lengths(
    node: onnx.NodeProto,
    constant: Callable[[str], np.ndarray | None],
    shape: Callable[[str], tuple[int, ...] | None],
) -> str | None:
    """Lengths that are those of the input anyway do no harm."""
    if not _input(node, LENGTHS):
        return None
    lengths, x = constant(_input(node, LENGTHS)), shape(_input(node, X))
    if lengths is not None and x and len(x) == 3 and (lengths == x[attribute(node, "layout", 0)]).all():
        return None
    return (
        f"its input sequence_lens, {_input(node, LENGTHS)!r}, may cut sequences off; export it for sequences of one length, "
        "without that input"
    )


def _why_not_attributes(node: onnx.NodeProto) -> str | None:
    clip = attribute(node, "clip")
    if clip is not None and not 0 < clip < np.inf:
        return f"attribute 'clip' is {clip}; a number above 0 is supported"
    functions = _named(node)
    if any(len(part) != len(KINDS[node.op_type][2]) or not set(part) <= set(FUNCTIONS) for part in functions):
        return f"attribute 'activations' is {functions}; supported functions are {', '.join(FUNCTIONS)}"
    for name, values in (("alpha", _parameters(node, "alpha")), ("beta", _parameters(node, "beta"))):
        takers = sum(name in FUNCTIONS[f] for part in functions for f in part)
        if len(values) > takers or not np.isfinite(values).all():
            return f"attribute 'activation_{name}' is {values}; a finite number for each function with {name}, {takers} here, is supported"
    if bare := [f.name for part in _functions(node) for f in part if f.name in WITHOUT_DEFAULTS and f.misses]:
        return f"function {bare[0]!r} takes its parameters from activation_alpha and activation_beta, which have none for it"
    if attribute(node, "layout", 0) not in (0, 1):
        return f"attribute 'layout' is {attribute(node, 'layout')}; 0 and 1 are supported"
    unknown = sorted({a.name for a in node.attribute} - KNOWN)
    return f"attribute {unknown[0]!r} is not supported; export the model without it" if unknown else None


def _loops(editor: Editor, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes that stand for one: what is before the loops, a loop for each direction, what joins them."""
    _, states, _ = KINDS[node.op_type]
    name = node.name or next(o for o in node.output if o)
    directions, by_batch = _directions(node), attribute(node, "layout", 0) == 1
    along, axis = (1, 2) if by_batch else (0, 1)  # the axis of steps, and that of directions in Y
    nodes: list[onnx.NodeProto] = []
    found: list[list[str]] = []  # for each direction: the last states, the sequence
    for d, back in enumerate(directions):
        prefix = editor.fresh(f"{name}.reverse" if back and len(directions) > 1 else f"{name}.step") + "."
        first = [_first(editor, nodes, node, prefix, k, d, 1 if by_batch else 0) for k in range(states)]
        outputs = [editor.fresh(f"{prefix}{what}") for what in [*("last_h", "last_c")[:states], "all"]]
        loop = helper.make_node(
            "Scan",
            [*first, node.input[X]],
            outputs,
            name=name if d == 0 else editor.fresh(prefix[:-1]),
            body=_step(editor, node, d, prefix),
            num_scan_inputs=1,
            scan_input_axes=[along],
            scan_input_directions=[int(back)],
            scan_output_axes=[along],
            scan_output_directions=[int(back)],
        )
        nodes.append(loop)
        found.append(outputs)
    for k, output in enumerate(node.output):
        if editor.is_used(output):
            parts = [outputs[-1 if k == 0 else k - 1] for outputs in found]
            _joined(editor, nodes, parts, output, axis if k == 0 else int(by_batch))
    return nodes


def _step(editor: Editor, node: onnx.NodeProto, d: int, prefix: str) -> onnx.GraphProto:
    """The body of the loop of one direction."""
    _, states, _ = KINDS[node.op_type]
    w, r, b = (None if not _input(node, k) else editor.constant(_input(node, k))[d] for k in (W, R, B))
    units = r.shape[-1]
    biases = (None, None) if b is None else (b[: len(w)], b[len(w) :])
    weights = {"ih": (w, biases[0]), "hh": (r, biases[1])}
    if _input(node, P):
        weights["p"] = editor.constant(_input(node, P))[d]
    body = Body(editor, prefix, units, _opset(editor), attribute(node, "clip"))
    before = [f"{prefix}{what}" for what in ("h", "c")[:states]]
    x = f"{prefix}x"
    after = CELLS[node.op_type](body, node, weights, _functions(node)[d], x, *before)
    results = [body.add("Identity", f"{what}_after", name) for what, name in zip(("h", "c"), after, strict=False)]
    results.append(body.add("Identity", "each", after[0]))

    def values(names: Sequence[str], width: int) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, _FLOAT, [None, width]) for name in names]

    inputs = [*values(before, units), *values([x], w.shape[-1])]
    return helper.make_graph(body.nodes, f"{prefix}body", inputs, values(results, units))


def _first(
    editor: Editor, nodes: list, node: onnx.NodeProto, prefix: str, state: int, direction: int, axis: int
) -> str:
    """The state before the first step: given for all directions along an axis, or zeros for as many samples as there are."""
    label = f"{prefix}{('h', 'c')[state]}_first"

    def add(kind: str, inputs: Sequence[str], what: str, **attributes) -> str:
        output = editor.fresh(f"{label}{what}")
        nodes.append(editor.node(kind, inputs, output, output, **attributes))
        return output

    def numbers(values: list[int] | int, what: str) -> str:
        return editor.add_constant(np.array(values, np.int64), f"{label}_{what}")

    given = _input(node, (H, C)[state])
    if given and (value := editor.constant(given)) is not None and direction < value.shape[axis]:
        return editor.add_constant(value.take(direction, axis), label)
    if given:
        return add("Gather", [given, numbers(direction, "place")], "", axis=axis)
    batch = 0 if axis else 1
    shape = add("Shape", [node.input[X]], "_shape")
    n = add("Gather", [shape, numbers([batch], "axis")], "_batch", axis=0)
    units = editor.constant(_input(node, R)).shape[-1]
    sizes = add("Concat", [n, numbers([units], "units")], "_sizes", axis=0)
    zero = helper.make_tensor("zero", _FLOAT, [1], [0.0])
    return add("ConstantOfShape", [sizes], "", value=zero)


def _joined(editor: Editor, nodes: list, parts: Sequence[str], output: str, axis: int) -> None:
    """The results of all directions side by side, along a new axis."""
    whole = []
    for part in parts:
        name = output if len(parts) == 1 else editor.fresh(f"{part}_apart")
        if _opset(editor) < 13:
            nodes.append(editor.node("Unsqueeze", [part], name, axes=[axis]))
        else:
            axes = editor.add_constant(np.array([axis], np.int64), f"{name}_axis")
            nodes.append(editor.node("Unsqueeze", [part, axes], name))
        whole.append(name)
    if len(parts) > 1:
        nodes.append(editor.node("Concat", whole, output, axis=axis))


def _opset(editor: Editor) -> int:
    return next((o.version for o in editor.model.opset_import if o.domain in ("", "ai.onnx")), 1)


def _input(node: onnx.NodeProto, index: int) -> str:
    return node.input[index] if index < len(node.input) else ""


def _text(node: onnx.NodeProto, name: str, default: str) -> str:
    found = attribute(node, name, default)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _directions(node: onnx.NodeProto) -> tuple[bool, ...] | None:
    """For each direction whether it is the reverse one; None for a text that means none."""
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    return ways.get(_text(node, "direction", "forward"))


def _functions(node: onnx.NodeProto) -> list[tuple[Function, ...]]:
    """The functions of each direction. Those with parameters take one after the other of the node's, as far as they go."""
    left = {name: iter(_parameters(node, name)) for name in ("alpha", "beta")}
    return [
        tuple(Function(f, **{name: next(left[name], None) for name in FUNCTIONS[f]}) for f in part)
        for part in _named(node)
    ]


def _parameters(node: onnx.NodeProto, name: str) -> list[float]:
    return list(attribute(node, f"activation_{name}", []))


def _named(node: onnx.NodeProto) -> list[tuple[str, ...]]:
    """The functions of each direction, named as ONNX operators are."""
    default, directions = KINDS[node.op_type][2], len(_directions(node))
    named = [f.decode("utf-8", "replace") for f in attribute(node, "activations", [])] or list(default) * directions
    ours = {f.lower(): f for f in FUNCTIONS}
    named = [ours.get(f.lower(), f) for f in named]
    size = -(-len(named) // directions)
    return [tuple(named[d * size : (d + 1) * size]) for d in range(directions)]


REWRITE = Rewrite("recurrent", "RNN, GRU and LSTM as loops (Scan) of primitive operators", 40, apply)
