"""Recurrent layers: what a loop (ONNX Scan) in float32 computes inside, and the same loop in 8 bits.

onnxruntime's quantize_static does not look into loops. Here their bodies get the pairs of QuantizeLinear and DequantizeLinear;
between steps the states are uint8, and next states have the quantisation of the states.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella.calibration.layers import constants, drop_unused_
from lamella.calibration.ranges import Range, quantization
from lamella.codegen.rewrites import recurrent
from lamella.codegen.rewrites.editor import attribute

#: Operators of a body that can be quantised: those of `recurrent`, and those that only move values.
COMPUTES = ("Gemm", "Add", "Sub", "Mul", *recurrent.FUNCTIONS)
MOVES = ("Slice", "Identity")
#: Operators of the graph around loops that leave values as they are.
KEEPS = ("Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose")
#: Behind the name of a tensor inside a loop: its values of all steps.
EVERY = "_every"
#: Behind the name of a tensor that quantize_static has quantised.
QUANTISED = "_DequantizeLinear_Output"


def opened(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model whose loops also give what their bodies compute, for every step; the names of that."""
    model = _copy(model)
    names: list[str] = []
    for loop, body in _loops(model):
        there = {o.name for o in body.output}
        computed = [n.output[0] for n in body.node if n.op_type in COMPUTES and n.output[0] not in there]
        for name in computed:
            body.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
            loop.output.append(name + EVERY)
        for a in loop.attribute:
            if a.name.startswith("scan_output_"):
                a.ints.extend([0] * len(computed))
        names += [name + EVERY for name in computed]
    return model, names


def quantise_(model: onnx.ModelProto, limits: Mapping[str, Range]) -> int:
    """Quantises every loop in place, by the ranges of tensors around and inside it. Returns the number of loops."""
    count = 0
    while (found := next(_loops(model), None)) is not None:  # what is quantised is none of them any more
        _Loop(model, *found, limits).quantise_()
        count += 1
    drop_unused_(model)
    return count


def _loops(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, onnx.GraphProto]]:
    """Loops that can be quantised, with their bodies: one sequence, weights that are initializers."""
    stored = constants(model)
    for node in model.graph.node:
        body = attribute(node, "body") if node.op_type == "Scan" else None
        if body is None or attribute(node, "num_scan_inputs") != 1 or not node.name:
            continue
        body = next(a.g for a in node.attribute if a.name == "body")
        carried = [v.type.tensor_type.elem_type for v in (*body.input, *body.output)]
        plain = all(n.op_type in (*COMPUTES, *MOVES) for n in body.node) and set(carried) == {onnx.TensorProto.FLOAT}
        if plain and all(n.input[1] in stored for n in body.node if n.op_type == "Gemm"):
            yield node, body


class _Loop:
    """One loop under change."""

    def __init__(
        self, model: onnx.ModelProto, loop: onnx.NodeProto, body: onnx.GraphProto, limits: Mapping[str, Range]
    ):
        self.model, self.loop, self.body, self.limits = model, loop, body, limits
        self.stored = constants(model)
        self.states = len(loop.input) - 1
        self.moved = {n.output[0]: n.input[0] for n in body.node if n.op_type in MOVES}

    def quantise_(self) -> None:
        """Body, inputs and results."""
        carried = [value.name for value in self.body.input]
        parameters = {carried[-1]: self._of_sequence()}
        for k, name in enumerate(carried[:-1]):
            after = self._origin(self.body.output[k].name)
            ranges = [self.limits[after + EVERY], self._of_given(self.loop.input[k].removesuffix(QUANTISED))]
            parameters[name] = self._parameters(name, (min(r[0] for r in ranges), max(r[1] for r in ranges)))
            parameters[after] = parameters[name]
        nodes: list[onnx.NodeProto] = []
        for name in carried:
            nodes.append(
                helper.make_node("DequantizeLinear", [f"{name}_levels", *parameters[name]], [name], name + "_dq")
            )
        for node in self.body.node:
            nodes += self._quantised(node, parameters)
        for value in (*self.body.input, *self.body.output):
            value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        for value in self.body.input:
            value.name += "_levels"
        del self.body.node[:]
        self.body.node.extend(nodes)
        self._around(parameters, carried)

    def _quantised(self, node: onnx.NodeProto, parameters: dict[str, list[str]]) -> list[onnx.NodeProto]:
        """The nodes that stand for one of the body."""
        (name,) = node.output
        if node.op_type in MOVES:
            if name not in [value.name for value in self.body.output]:
                return [node]
            levels = helper.make_node("Identity", [f"{self._origin(name)}_levels"], [name], name=node.name)
            return [levels]
        if name not in parameters:
            parameters[name] = self._parameters(name, self.limits[name + EVERY])
        nodes = []
        if node.op_type == "Gemm":
            weights = f"{node.input[1]}_dq"
            nodes.append(helper.make_node("DequantizeLinear", self._weights(node.input[1]), [weights], weights, axis=0))
            node.input[1] = weights
        node.output[0] = f"{name}_float"
        nodes.append(node)
        nodes.append(
            helper.make_node("QuantizeLinear", [f"{name}_float", *parameters[name]], [f"{name}_levels"], name + "_q")
        )
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_levels", *parameters[name]], [name], name + "_dq"))
        return nodes

    def _around(self, parameters: dict[str, list[str]], carried: list[str]) -> None:
        """QuantizeLinear before the loop, DequantizeLinear behind it."""
        before, behind = [], []
        for k, name in enumerate(carried):
            levels = f"{name}_given"
            before.append(helper.make_node("QuantizeLinear", [self.loop.input[k], *parameters[name]], [levels], levels))
            self.loop.input[k] = levels
        used = {name for node in self.model.graph.node for name in node.input}
        used |= {value.name for value in self.model.graph.output}
        for k, output in enumerate(self.loop.output):
            if not output:
                continue
            self.loop.output[k] = f"{output}_levels"
            if output in used:
                of = parameters[self._origin(self.body.output[k].name)]
                behind.append(helper.make_node("DequantizeLinear", [f"{output}_levels", *of], [output], f"{output}_dq"))
        nodes = [[*before, node, *behind] if node.name == self.loop.name else [node] for node in self.model.graph.node]
        changed = helper.make_graph(list(chain(*nodes)), "changed", [], [])
        self.model.graph.ClearField("node")
        self.model.graph.node.extend(changed.node)

    def _origin(self, name: str) -> str:
        """The tensor that was computed, of one that is a part or a copy of it."""
        while name in self.moved:
            name = self.moved[name]
        return name

    def _of_sequence(self) -> list[str]:
        """Scale and zero point of what is scanned: those it has already, where it comes out of DequantizeLinear."""
        name = self.loop.input[self.states]
        makers = {o: node for node in self.model.graph.node for o in node.output}
        source = makers.get(name)
        while source is not None and source.op_type in KEEPS:
            source = makers.get(source.input[0])
        if source is not None and source.op_type == "DequantizeLinear" and len(source.input) == 3:
            return list(source.input[1:])
        return self._parameters(self.body.input[self.states].name, self.limits[name])

    def _of_given(self, name: str) -> Range:
        """Range of a first state; zeros are in every range."""
        if name in self.stored:
            values = numpy_helper.to_array(self.stored[name])
            return float(values.min(initial=0)), float(values.max(initial=0))
        return self.limits.get(name, (0.0, 0.0))

    def _parameters(self, name: str, limits: Range) -> list[str]:
        """Names of a new scale and zero point."""
        scale, zero = quantization(limits)
        return [self._store(f"{name}_scale", np.asarray(scale)), self._store(f"{name}_zero", np.asarray(zero))]

    def _weights(self, name: str) -> list[str]:
        """Names of levels, scales and zero points: 8 bits, one symmetric scale per row."""
        weight = numpy_helper.to_array(self.stored[name])
        largest = np.abs(weight).max(axis=1)
        scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
        levels = np.rint(weight / scale[:, None]).clip(-127, 127).astype(np.int8)
        zeros = np.zeros(len(weight), np.int8)
        return [
            self._store(f"{name}_{what}", values)
            for what, values in (("levels", levels), ("scales", scale), ("zeros", zeros))
        ]

    def _store(self, name: str, values: np.ndarray) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other
