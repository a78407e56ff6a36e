"""Changing an ONNX graph node by node: replace a node by others, look up constants, find new names."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Editor:
    """A model under change. Rewrites call `each` with a function that gives the nodes to put in a node's place."""

    def __init__(self, model: onnx.ModelProto):
        self.model = model
        self._tensors = {t.name: t for t in model.graph.initializer}
        self._tensors |= {
            n.output[0]: a.t
            for n in model.graph.node
            if n.op_type == "Constant"
            for a in n.attribute
            if a.name == "value"
        }
        self._taken = {name for n in model.graph.node for name in (*n.output, n.name)}
        self._taken |= self._tensors.keys() | {v.name for v in model.graph.input}
        bodies = [a.g for n in model.graph.node for a in n.attribute if a.type == onnx.AttributeProto.GRAPH]
        self._read = {name for graph in (model.graph, *bodies) for n in graph.node for name in n.input}
        self._read |= {v.name for graph in (model.graph, *bodies) for v in graph.output}
        self._read.discard("")
        self._added: list[onnx.TensorProto] = []
        self._numbers: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] | None = None

    def constant(self, name: str) -> np.ndarray | None:
        """The values of a constant tensor, None if it is not one (or damaged, which the reader reports)."""
        tensor = self._tensors.get(name)
        if tensor is None:
            return None
        try:
            return numpy_helper.to_array(tensor)
        except Exception:
            return None

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is an initialiser or a Constant."""
        return name in self._tensors

    def is_used(self, name: str) -> bool:
        """Whether the model as it was reads a tensor or gives it out."""
        return name in self._read

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor as onnx infers it, 0 for an axis that it does not know; None if it knows nothing."""
        if self._shapes is None:
            try:
                graph = onnx.shape_inference.infer_shapes(self.model).graph
            except Exception:  # foreign domains, text that is none
                return None
            known = [v for v in (*graph.input, *graph.value_info) if v.type.tensor_type.HasField("shape")]
            self._shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in known}
        return self._shapes.get(name)

    def add_constant(self, values: np.ndarray, name: str) -> str:
        """A new initialiser; the name it got."""
        name = self.fresh(name)
        tensor = numpy_helper.from_array(np.asarray(values, order="C"), name)
        self._added.append(tensor)
        self._tensors[name] = tensor
        return name

    def fresh(self, name: str) -> str:
        """A name that is not taken."""
        unique = name
        while unique in self._taken:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            unique = f"{name}_{self._numbers[name]}"
        self._taken.add(unique)
        return unique

    def node(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes) -> onnx.NodeProto:
        """A node of one output; inputs left out at the end are dropped."""
        inputs = list(inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        return helper.make_node(kind, inputs, [output], name=self.fresh(name or f"{output}_{kind}"), **attributes)

    def dequantized(self, name: str, scale: str, zero: str, axis: int | None = None) -> tuple[onnx.NodeProto, str]:
        """A new DequantizeLinear of a tensor, and its output."""
        output = self.fresh(f"{name}_dequantized")
        attributes = {} if axis is None else {"axis": axis}
        return self.node("DequantizeLinear", [name, scale, zero], output, **attributes), output

    def each(self, replace: Callable[[onnx.NodeProto], Sequence[onnx.NodeProto] | None]) -> None:
        """Ask for every node what to put in its place; None leaves it."""
        nodes: list[onnx.NodeProto] = []
        changed = False
        for node in self.model.graph.node:
            instead = replace(node)
            changed = changed or instead is not None
            nodes.extend([node] if instead is None else instead)
        if changed:
            copies = [helper.make_node("Identity", ["x"], ["y"]) for _ in nodes]
            for copy, node in zip(copies, nodes, strict=True):
                copy.CopyFrom(node)
            del self.model.graph.node[:]
            self.model.graph.node.extend(copies)

    def finish(self) -> onnx.ModelProto:
        """The model with all that was added."""
        self.model.graph.initializer.extend(self._added)
        self._added = []
        return self.model


def attribute(node: onnx.NodeProto, name: str, default=None):
    """The value of an attribute, or the default."""
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def same_attributes(node: onnx.NodeProto, leave: Sequence[str] = ()) -> dict:
    """All attributes of a node but some, as keyword arguments."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name not in leave}
