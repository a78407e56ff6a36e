"""From a FrozenNetwork to an ONNX file: float operators between QuantizeLinear and DequantizeLinear.

Weights are int8 initialisers behind a DequantizeLinear, biases int32. Equal networks give equal bytes.
"""

from functools import singledispatch
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import lamella
from lamella.errors import PlatformError
from lamella.trainer.frozen import FrozenNetwork
from lamella.trainer.functions import FUNCTIONS
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    FunctionNode,
    InputNode,
    LayerNode,
    MaxPoolNode,
    MultiplyNode,
    Node,
    ScanNode,
    SliceNode,
    SoftmaxNode,
    StateNode,
    StepNode,
    SubtractNode,
    TransposeNode,
)
from lamella.trainer.onnx_writer import OUTPUT, Writer

OPSET = 17
#: What onnxruntime 1.20 still reads, and all that opset 17 needs.
IR_VERSION = 8


def save(network: FrozenNetwork, path: Path) -> None:
    """Writes the checked model beside `path` and renames it."""
    model = build(network)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(model.SerializeToString(deterministic=True))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PlatformError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free some space"
        ) from None


def build(network: FrozenNetwork) -> onnx.ModelProto:
    """The ONNX model, valid by onnx.checker."""
    writer = Writer(network)
    for node in network.graph:
        _write(node, writer)
    source, sink = network.graph.input, network.graph.output
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [helper.make_tensor_value_info(source.name, TensorProto.FLOAT, ["N", *source.shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", *sink.shape])],
        writer.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lamella",
        producer_version=lamella.__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


@singledispatch
def _write(node: Node, writer: Writer) -> None:
    raise TypeError(f"no ONNX form of {type(node).__name__}")


@_write.register
def _(node: InputNode, writer: Writer) -> None:
    writer.quantize(node, node.name)


@_write.register
def _(node: LayerNode, writer: Writer) -> None:
    inputs = [*writer.inputs(node), *writer.weights(node)]
    if node.kernel is None:
        writer.operator(node, "Gemm", inputs, transB=1)
        return
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "dilations": node.dilation, "pads": node.pads}
    writer.operator(node, "Conv", inputs, group=node.groups, **attributes)


@_write.register
def _(node: MaxPoolNode, writer: Writer) -> None:
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "dilations": node.dilation}
    writer.operator(node, "MaxPool", writer.inputs(node), pads=[*node.padding, *node.padding], **attributes)


@_write.register
def _(node: AveragePoolNode, writer: Writer) -> None:
    if node.whole and len(node.shape) == 1:
        axes = list(range(2, 2 + len(node.kernel)))
        writer.operator(node, "ReduceMean", writer.inputs(node), axes=axes, keepdims=0)
        return
    if node.whole:
        writer.operator(node, "GlobalAveragePool", writer.inputs(node))
        return
    attributes = {"kernel_shape": node.kernel, "strides": node.stride, "pads": [*node.padding, *node.padding]}
    writer.operator(node, "AveragePool", writer.inputs(node), count_include_pad=int(node.count_padding), **attributes)


@_write.register
def _(node: AddNode, writer: Writer) -> None:
    writer.operator(node, "Add", writer.inputs(node))


@_write.register
def _(node: SubtractNode, writer: Writer) -> None:
    writer.operator(node, "Sub", writer.inputs(node))


@_write.register
def _(node: MultiplyNode, writer: Writer) -> None:
    writer.operator(node, "Mul", writer.inputs(node))


@_write.register
def _(node: FunctionNode, writer: Writer) -> None:
    (x,) = writer.inputs(node)
    written = 0

    def emit(kind: str, *inputs: str | float, **attributes: float) -> str:
        nonlocal written
        names = [
            value if isinstance(value, str) else writer.constant(f"number_{value:.9g}", np.float32(value))
            for value in inputs
        ]
        name = node.name if not written else f"{node.name}_{written}"
        written += 1
        return writer.add(kind, name, names, f"{name}_float", **attributes)

    writer.quantize(node, FUNCTIONS[node.function].onnx(emit, x, node.parameter))


@_write.register
def _(node: SliceNode, writer: Writer) -> None:
    places = (node.start, node.start + node.shape[-1], len(node.shape))
    numbers = [writer.constant(f"place_{place}", np.array([place], np.int64)) for place in places]
    writer.values[node.name] = writer.add("Slice", node.name, [*writer.inputs(node), *numbers])


@_write.register
def _(node: TransposeNode, writer: Writer) -> None:
    writer.operator(node, "Transpose", writer.inputs(node), perm=[0, 2, 1])


@_write.register
def _(node: ScanNode, writer: Writer) -> None:
    """A Scan over axis 1; its body is a graph with the integers of the states and of one step as inputs."""
    inner = Writer(writer.network, writer)
    carried = []
    for one in node.body:
        if isinstance(one, (StateNode, StepNode)):
            levels = f"{one.name}_levels"
            carried.append(
                (isinstance(one, StepNode), helper.make_tensor_value_info(levels, TensorProto.UINT8, ["N", *one.shape]))
            )
            inner.dequantize(one, levels)
        else:
            _write(one, inner)
    # States first, the step last.
    inputs = [value for _, value in sorted(carried, key=lambda pair: pair[0])]
    outputs, names = [], []
    for state in node.states:
        out = inner.add("Identity", f"{state.name}_after", [inner.levels[state.next]])
        outputs.append(helper.make_tensor_value_info(out, TensorProto.UINT8, ["N", *state.shape]))
        names.append(f"{state.name}_last")
    result = next((n for s, n in zip(node.states, names, strict=True) if s.next == node.result), None)
    more = {}
    if node.sequence:
        out = inner.add("Identity", f"{node.name}_each", [inner.levels[node.result]])
        outputs.append(helper.make_tensor_value_info(out, TensorProto.UINT8, ["N", *node.shape[1:]]))
        result = f"{node.name}_sequence"
        names.append(result)
        more = {"scan_output_axes": [1]}
    body = helper.make_graph(inner.nodes, f"{node.name}_step", inputs, outputs)
    x = writer.levels[node.inputs[0]]
    first = [_first_state(writer, node, state, x) for state in node.states]
    writer.nodes.append(
        helper.make_node(
            "Scan", [*first, x], names, node.name, body=body, num_scan_inputs=1, scan_input_axes=[1], **more
        )
    )
    writer.dequantize(node, result)


def _first_state(writer: Writer, node: ScanNode, state: StateNode, x: str) -> str:
    """Integers of zero, as many samples as x has."""
    zero, one = (writer.constant(f"place_{place}", np.array([place], np.int64)) for place in (0, 1))
    shape = writer.add("Shape", f"{state.name}_shape", [x])
    batch = writer.add("Slice", f"{state.name}_batch", [shape, zero, one])
    units = writer.constant(f"{state.name}_units", np.array(state.shape, np.int64))
    sizes = writer.add("Concat", f"{state.name}_sizes", [batch, units], axis=0)
    level = numpy_helper.from_array(np.array([writer.network.affines[state.name].zero], np.uint8))
    return writer.add("ConstantOfShape", f"{state.name}_first", [sizes], value=level)


@_write.register
def _(node: ConcatNode, writer: Writer) -> None:
    writer.operator(node, "Concat", writer.inputs(node), axis=1)


@_write.register
def _(node: ClipNode, writer: Writer) -> None:
    (value,) = writer.inputs(node)
    writer.quantize(node, writer.clip(node, value))


@_write.register
def _(node: FlattenNode, writer: Writer) -> None:
    writer.operator(node, "Flatten", writer.inputs(node), axis=1)


@_write.register
def _(node: DropoutNode, writer: Writer) -> None:
    writer.values[node.name] = writer.values[node.inputs[0]]
    writer.levels[node.name] = writer.levels[node.inputs[0]]


@_write.register
def _(node: SoftmaxNode, writer: Writer) -> None:
    writer.operator(node, "Softmax", writer.inputs(node), axis=1)
