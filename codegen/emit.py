"""From a lowered graph and its memory plan to C text. Python decides, templates print."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod

import jinja2
import numpy as np

import lamella
from lamella import formats
from lamella.codegen import cdata, kernels, names, operators, states
from lamella.codegen.ir import Graph, Node, Port, body_of, every_node
from lamella.codegen.plan import MemoryPlan, plan_body

RUNTIME_API = 1


@dataclass(frozen=True)
class Layer:
    """One call of the generated code. A loop has a step: a function with calls of its own."""

    index: int  # of the node in the graph
    name: str  # C identifier
    title: str  # what and how, for a comment
    function: str
    descriptor: cdata.Struct
    arguments: tuple[str, ...]
    output: str
    output_bytes: int
    step: str = ""  # a loop's function
    body: tuple["Layer", ...] = ()
    inside: str = ""  # the step that this is a call of
    period: int = 1  # in a loop over strips: runs at the last of so many steps
    counts: bool = False  # the step's function wants the number of the step

    @property
    def groups(self) -> list[tuple[int, list["Layer"]]]:
        """The calls of a step, those side by side that run equally often together."""
        return [(period, list(calls)) for period, calls in groupby(self.body, key=lambda one: one.period)]


@dataclass(frozen=True)
class CPort:
    """An input or output as C sees it."""

    title: str  # name in the ONNX file
    ctype: str
    bytes: int
    offset: int | None  # None: handed over row by row, nowhere in the arena
    argument: str  # parameter of <name>_run
    macro: str  # INPUT, or INPUT_1 where there are several
    scale: str | None  # None: float32 values
    zero_point: int | None
    flip: int
    shape: str


@dataclass(frozen=True)
class CState:
    """A state carried between calls as C sees it: bytes of the block, from `at` on."""

    before: str  # names in the ONNX file
    after: str
    at: int
    bytes: int
    shape: str
    fill: int | None  # the byte that it begins with; None: `first` has them all
    first: cdata.Array
    copied_from: int | None  # offset in the arena from which it comes at the end; None: a layer writes it
    copied_to: int | None  # offset in the arena where it goes first; None: layers read it where it is


@dataclass(frozen=True)
class Model:
    """Everything the templates print."""

    name: str
    source: str
    sha256: str
    version: str
    graph: Graph
    plan: MemoryPlan
    layers: tuple[Layer, ...]
    inputs: tuple[CPort, ...]
    outputs: tuple[CPort, ...]
    headers: tuple[str, ...]
    runtime_files: tuple[str, ...]
    macs: int
    weights: int
    weight_bytes: int
    runtime_api: int = RUNTIME_API
    layer_names: Mapping[str, str] = field(default_factory=dict)  # node name -> C identifier
    states: tuple[CState, ...] = ()
    state_bytes: int = 0

    @property
    def upper(self) -> str:
        """Prefix of macros."""
        return self.name.upper()

    @property
    def copies_before(self) -> int:
        """Calls that bring inputs and states into the arena, before those of the layers."""
        return sum(p.offset is not None for p in self.inputs) + sum(s.copied_to is not None for s in self.states)

    @property
    def by_row(self) -> bool:
        """Whether the caller hands the input over row by row."""
        return any(getattr(node.attributes, "by_row", False) for node in self.graph.nodes)

    @property
    def row_pitch(self) -> int:
        """Then: bytes from one channel's piece of a row to the next one's."""
        fields = self.layers[0].descriptor.fields
        return fields["in_rows"] * fields["in_width"]

    @property
    def every_layer(self) -> list[Layer]:
        """All calls, those of a step before the loop."""
        return [one for layer in self.layers for one in (*layer.body, layer)]

    @property
    def weight_symbols(self) -> list[str]:
        """C names of the packed weights."""
        return [
            f"{self.name}_{layer.name}_{a.suffix}"
            for layer in self.every_layer
            for a in cdata.arrays(layer.descriptor)
            if a.is_weights
        ]


def describe(graph: Graph, plan: MemoryPlan, name: str, source: str, sha256: str) -> Model:
    """The model as data for the templates."""
    running = [placed.node for placed in every_node(graph) if placed.node.choice is not None]
    taken = ["a", "in", "out", f"{name}_run", f"{name}_selftest"]
    if graph.states:
        taken += ["s", "state", f"{name}_reset", *(_first_name(k) for k in range(len(graph.states)))]
    steps = [node.name for node in running if body_of(node) is not None]
    keys = [*(node.name for node in running), *((name, "step") for name in steps)]
    texts = [*(node.name for node in running), *(f"{name}_step" for name in steps)]
    identifiers = dict(zip(keys, names.unique(texts, "layer", taken), strict=True))
    layers = _shared(_layers(graph, plan, identifiers), name)
    used_kernels = [kernels.get(node.choice.kernel) for node in running]
    format_records = [formats.get(node.choice.format) for node in running if node.choice.format]
    used = {symbol for layer in layers for one in (*layer.body, layer) for symbol in cdata.symbols(one.descriptor)}
    format_headers = {f"lam_format_{r.name}.h" for r in format_records if {r.c_unpack, r.c_positions} & used}
    format_files = {f for r in format_records if {r.c_unpack, r.c_positions} & used for f in r.sources}
    headers = {kernel.header for kernel in used_kernels} | format_headers | {"lam_move.h"}
    files = {f for kernel in used_kernels for f in kernel.sources} | format_files | {"src/lam_copy.c"}
    levels = [node.attributes.levels.size for node in running if hasattr(node.attributes, "levels")]
    arrays = [a for layer in layers for one in (*layer.body, layer) for a in cdata.arrays(one.descriptor)]
    floats = sum(a.values.size for a in arrays if a.is_weights and a.ctype == "float")
    return Model(
        name=name,
        source=names.comment(source),
        sha256=sha256,
        version=lamella.__version__,
        graph=graph,
        plan=plan,
        layers=layers,
        inputs=_ports(graph, plan, graph.caller_inputs, "in"),
        outputs=_ports(graph, plan, graph.caller_outputs, "out"),
        headers=tuple(sorted(headers)),
        runtime_files=tuple(sorted(files)),
        macs=sum(operators.get(node.op).macs(graph, node) for node in graph.nodes if node.choice is not None),
        weights=sum(levels) + floats,
        weight_bytes=sum(node.choice.weight_bytes for node in running),
        layer_names={node.name: identifiers[node.name] for node in running},
        states=_states(graph, plan),
        state_bytes=states.block_bytes(graph),
    )


def _layers(graph: Graph, plan: MemoryPlan, identifiers: Mapping[str | tuple[str, str], str]) -> tuple[Layer, ...]:
    """The calls of a graph. identifiers: in C, by name of a node, and by (name, "step") of a loop's function."""
    found = []
    for index, node in enumerate(graph.nodes):
        if node.choice is None:
            continue
        layer = _layer(graph, plan, index, node, identifiers[node.name])
        if (body := body_of(node)) is not None:
            step = identifiers[node.name, "step"]
            fields = {**layer.descriptor.fields, "step": cdata.Symbol(step)}
            descriptor = replace(layer.descriptor, fields=fields)
            inner = _layers(body, plan_body(body), identifiers)
            periods = {identifiers.get(name): n for name, n in getattr(node.attributes, "periods", {}).items()}
            inner = tuple(replace(one, inside=step, period=periods.get(one.name, 1)) for one in inner)
            layer = replace(layer, descriptor=descriptor, step=step, body=inner, counts=node.op == "strips")
        found.append(layer)
    return tuple(found)


def _shared(layers: tuple[Layer, ...], model: str) -> tuple[Layer, ...]:
    """Layers whose shared arrays with equal values are those of the first of them."""
    names_of: dict[tuple[str, bytes], str] = {}

    def share(layer: Layer) -> Layer:
        layer = replace(layer, body=tuple(share(one) for one in layer.body))
        fields = dict(layer.descriptor.fields)
        for key, value in fields.items():
            if isinstance(value, cdata.Array) and value.shared:
                content = (value.ctype, value.values.tobytes())
                if content in names_of:
                    fields[key] = cdata.Symbol(names_of[content])
                names_of.setdefault(content, f"{model}_{layer.name}_{value.suffix}")
        return replace(layer, descriptor=replace(layer.descriptor, fields=fields))

    return tuple(share(layer) for layer in layers)


def _layer(graph: Graph, plan: MemoryPlan, index: int, node: Node, name: str) -> Layer:
    operator, kernel, choice = operators.get(node.op), kernels.get(node.choice.kernel), node.choice
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    what = f"{node.op} {operator.details(graph, node)}".strip()
    title = f"{what}, {shape_text(x.shape)} -> {shape_text(y.shape)}"
    if choice.format:
        levels = node.attributes.levels
        title += (
            f"; {choice.format}, {levels.size} weights, {100 * np.count_nonzero(levels) / levels.size:.1f} % not zero"
        )
        title += f", {choice.weight_bytes} bytes"
    inputs = [_place(plan, name) or "(const uint8_t *)in" for name in node.inputs]
    if kernel.takes_array:
        inputs = [f"(const uint8_t *const[]){{{', '.join(inputs)}}}"]
    output = _place(plan, node.output)
    arguments = [f"&{name}", *inputs, output]
    if kernel.takes_scratch:
        arguments.append(f"a + {plan.scratch[node.name]}" if choice.scratch_bytes else "NULL")
    return Layer(
        index,
        name,
        names.comment(title),
        kernel.function,
        kernel.describe(graph, node),
        tuple(arguments),
        output,
        y.bytes,
    )


def _place(plan: MemoryPlan, tensor: str) -> str | None:
    """Where a tensor begins, in C; None: the caller hands it over."""
    if tensor in plan.in_state:
        return f"s + {plan.in_state[tensor]}"
    return f"a + {plan.offsets[tensor]}" if tensor in plan.offsets else None


def _first_name(index: int) -> str:
    """In C, what a state begins with."""
    return f"state_{index}_first"


def _states(graph: Graph, plan: MemoryPlan) -> tuple[CState, ...]:
    ports = {port.name: port for port in (*graph.inputs, *graph.outputs)}
    found = []
    for k, (state, at) in enumerate(zip(graph.states, states.offsets(graph).values(), strict=True)):
        before, after = ports[state.before].tensor, ports[state.after].tensor
        first = np.ascontiguousarray(state.first).view(np.uint8).reshape(-1)
        found.append(
            CState(
                before=names.comment(state.before),
                after=names.comment(state.after),
                at=at,
                bytes=first.size,
                shape=shape_text(graph.tensors[before].shape),
                fill=int(first[0]) if (first == first[0]).all() else None,
                first=cdata.Array(_first_name(k), "uint8_t", first),
                copied_from=plan.offsets.get(after),
                copied_to=plan.offsets.get(before),
            )
        )
    return tuple(found)


def _ports(graph: Graph, plan: MemoryPlan, ports: tuple[Port, ...], word: str) -> tuple[CPort, ...]:
    several = len(ports) > 1
    found = []
    for k, port in enumerate(ports, 1):
        tensor = graph.tensor_of(port)
        suffix = f"_{k}" if several else ""
        found.append(
            CPort(
                title=names.comment(port.name),
                ctype="float" if tensor.is_float else f"{port.raw_dtype}_t",
                bytes=tensor.bytes,
                offset=plan.offsets.get(port.tensor),
                argument=word + suffix,
                macro={"in": "INPUT", "out": "OUTPUT"}[word] + suffix,
                scale=None if tensor.is_float else float_literal(tensor.quantization.scale),
                zero_point=None if tensor.is_float else tensor.quantization.zero - port.offset,
                flip=port.offset,
                shape=shape_text(tensor.shape),
            )
        )
    return tuple(found)


def float_literal(value: float) -> str:
    """A C float constant that reads back as the same float32, which is finite."""
    text = f"{np.float32(value):.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape without its batch axis: 20x12x12."""
    return "x".join(str(d) for d in shape[1:]) or "1"


def render(template: str, package: str = "lamella.codegen", **values) -> str:
    """The text of a template; a name that the values lack is an error."""
    return _environment(package).get_template(template).render(**values)


def _environment(package: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        undefined=jinja2.StrictUndefined,
        line_statement_prefix="%%",
        line_comment_prefix="%#",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"rows": rows, "comment": names.comment}
    environment.globals |= {"initializer": initializer, "cdata": cdata, "prod": prod}
    return environment


def rows(array: cdata.Array, width: int = 116) -> list[str]:
    """The values of an array as lines of fixed-width columns."""
    values = array.values.reshape(-1)
    if array.ctype == "uint8_t" and array.is_weights:
        texts = [f"0x{v:02x}," for v in values.tolist()]
    else:
        texts = [f"{_literal(v, array.ctype)}," for v in values.tolist()]
        cell = max(map(len, texts), default=1)
        texts = [text.rjust(cell) for text in texts]
    per_row = max(1, (width - 4) // (max(map(len, texts), default=1) + 1))
    per_row = 1 << (per_row.bit_length() - 1)
    return [" ".join(texts[k : k + per_row]) for k in range(0, len(texts), per_row)]


def _literal(value: float, ctype: str) -> str:
    if ctype == "float":
        return float_literal(value)
    if ctype == "int32_t" and value == -(2**31):
        return "INT32_MIN"
    return f"{value}u" if ctype == "uint32_t" else str(value)


def initializer(value: cdata.Value, model: str, layer: str, indent: int = 1) -> str:
    """A struct initialiser with named members. Arrays of numbers are <model>_<layer>_<suffix> in another file, arrays of
    structs <layer>_<suffix> in this one."""
    if isinstance(value, cdata.Struct):
        pad = "    " * indent
        lines = [f"{pad}.{key} = {initializer(item, model, layer, indent + 1)}," for key, item in value.fields.items()]
        if all("\n" not in line for line in lines) and sum(len(line.strip()) + 1 for line in lines) < 104:
            return "{" + " ".join(line.strip() for line in lines).rstrip(",") + "}"
        return "{\n" + "\n".join(_packed(lines, pad)) + "\n" + "    " * (indent - 1) + "}"
    if isinstance(value, cdata.Array):
        return f"{model}_{layer}_{value.suffix}"
    if isinstance(value, cdata.StructArray):
        return f"{layer}_{value.suffix}"
    if isinstance(value, cdata.Symbol):
        return value.name
    if isinstance(value, float):
        return float_literal(value)
    return "NULL" if value is None else str(value)


def _packed(lines: list[str], pad: str) -> list[str]:
    """Members whose names begin alike (in_c, in_h, in_w) share a line."""
    packed: list[str] = []
    previous = ""
    for line in lines:
        stem = line.strip()[1:].split(" ")[0].split("_")[0]
        plain = "\n" not in line and "{" not in line and "_" in line.split("=")[0]
        if plain and packed and stem == previous and len(packed[-1]) + len(line.strip()) < 110:
            packed[-1] += " " + line.strip()
        else:
            packed.append(line)
        previous = stem if plain else ""
    return packed
