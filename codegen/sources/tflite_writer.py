"""The ONNX side of reading TFLite: tensors in the layouts that operators want, each quantised as the file says.

TFLite's images are NHWC. An activation exists as a float ONNX tensor behind DequantizeLinear, as it is in the file ("file")
or as NCHW ("nchw"), or both; the other layout is made by a Transpose when an operator first asks for it.
"""

import json
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella.codegen.sources.tflite_model import Model, Op, Tensor
from lamella.errors import UnsupportedError

OPSET = 20
ORIGINS = "lamella.tflite"  # metadata: which integers are which tensor of the file, {name: [index, layout]} as JSON
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


class Refused(Exception):
    """An operator that cannot be written; the message is the reason."""


class Writer:
    """Collects the nodes of an ONNX graph. Operators call `get` for inputs and `put` for their result."""

    def __init__(self, source: Model):
        self.source = source
        self.nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._forms: dict[tuple[int, str], str] = {}  # (tensor, layout) -> float ONNX tensor
        self._counts: dict[str, int] = {}
        self._origins: dict[str, tuple[int, str]] = {}
        self._names = {t.name for t in source.tensors}
        for index in source.inputs:
            self._input(source.tensors[index])

    def tensor(self, index: int) -> Tensor:
        """A tensor of the file."""
        if index < 0:
            raise Refused("an input is left out")
        return self.source.tensors[index]

    def is_constant(self, index: int) -> bool:
        """Whether the file holds the values of a tensor."""
        return index >= 0 and self.source.tensors[index].values is not None

    def values(self, index: int) -> np.ndarray:
        """The values of a constant tensor, as stored."""
        found = self.tensor(index).values
        if found is None:
            raise Refused(f"{self.tensor(index).name!r} is not constant")
        return found

    # -- activations -------------------------------------------------------------------------------------------------

    def get(self, index: int, layout: str = "file") -> str:
        """The float ONNX tensor of an activation or quantised constant in a layout."""
        tensor = self.tensor(index)
        if layout == "nchw" and len(tensor.shape) != 4 and tensor.values is None:
            raise Refused(f"{tensor.name!r} has shape {tensor.shape}; an image of four axes is expected")
        if (index, layout) not in self._forms:
            if tensor.values is not None:
                self._forms[index, layout] = self._constant_form(tensor, layout)
            else:
                other = self._forms.get((index, "file" if layout == "nchw" else "nchw"))
                if other is None:
                    raise Refused(f"{tensor.name!r} is used before it is computed, or was not understood")
                perm = TO_NCHW if layout == "nchw" else TO_NHWC
                self._forms[index, layout] = self.node("Transpose", [other], perm=perm)
        return self._forms[index, layout]

    def layout(self, op: Op) -> str:
        """For operators that can work in both: the layout that its inputs, all images or constants, have already."""
        moving = [i for i in op.inputs if i >= 0 and not self.is_constant(i)]
        images = all(len(self.tensor(i).shape) == 4 for i in (*moving, *op.outputs))
        return "nchw" if images and any((i, "nchw") in self._forms for i in moving) else "file"

    def put(self, index: int, value: str, layout: str = "file") -> None:
        """A float result becomes a tensor of the file: quantised as the file says."""
        tensor = self.tensor(index)
        name = tensor.name if layout == "file" else self.fresh(tensor.name + "_nchw")
        if tensor.dtype == np.float32:
            self._forms[index, layout] = value
            return
        scale, zero = self._quantization(tensor)
        self._origins[name] = index, layout
        self.nodes.append(
            helper.make_node("QuantizeLinear", [value, scale, zero], [name], name=self.fresh(name + "_quantize"))
        )
        self._forms[index, layout] = self._dequantized(name, scale, zero)

    def put_integers(self, index: int, value: str) -> None:
        """A result that is not quantised (an index) becomes a tensor of the file."""
        self.nodes.append(helper.make_node("Identity", [value], [self.tensor(index).name]))
        self._forms[index, "integers"] = self.tensor(index).name

    def _input(self, tensor: Tensor) -> None:
        kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        shape = ["N", *tensor.shape[1:]] if tensor.shape[:1] == (1,) else list(tensor.shape)
        self._inputs.append(helper.make_tensor_value_info(tensor.name, kind, shape))
        if tensor.dtype == np.float32:
            self._forms[tensor.index, "file"] = tensor.name
            return
        try:
            scale, zero = self._quantization(tensor)
        except Refused as reason:
            raise UnsupportedError(f"{self.source.path}: input {tensor.name!r}: {reason}") from None
        self._forms[tensor.index, "file"] = self._dequantized(tensor.name, scale, zero)

    def _dequantized(self, name: str, scale: str, zero: str) -> str:
        output = self.fresh(name + "_real")
        node_name = self.fresh(name + "_dequantize")
        self.nodes.append(helper.make_node("DequantizeLinear", [name, scale, zero], [output], name=node_name))
        return output

    def _quantization(self, tensor: Tensor) -> tuple[str, str]:
        if tensor.dtype not in (np.int8, np.uint8):
            raise Refused(f"{tensor.name!r} has type {tensor.dtype}; quantise the model to int8")
        if tensor.scales.size != 1:
            raise Refused(f"{tensor.name!r} has {tensor.scales.size} scales; one is expected")
        return self.constant(tensor.scales[0]), self.constant(tensor.zeros[0].astype(tensor.dtype))

    # -- constants and nodes -----------------------------------------------------------------------------------------

    def constant(self, values: np.ndarray | Sequence, kind: type | None = None) -> str:
        """A new initializer."""
        name = self.fresh("constant")
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, kind)), name))
        return name

    def levels(self, values: np.ndarray, scales: np.ndarray, zeros: np.ndarray, axis: int) -> str:
        """Integer levels behind DequantizeLinear, one scale or one per place of an axis."""
        if scales.size == 1:
            scales, zeros = scales[0], zeros[0]
        inputs = [self.constant(values), self.constant(scales), self.constant(zeros.astype(values.dtype))]
        return self.node("DequantizeLinear", inputs, axis=axis)

    def weights(self, index: int, perm: Sequence[int], shape: Sequence[int] | None = None) -> str:
        """Constant weights with their axes in another order (and then another shape): integers and scales unchanged."""
        tensor = self.tensor(index)
        values = self.values(index)
        if not tensor.scales.size or values.dtype not in (np.int8, np.uint8):
            raise Refused(f"weights of type {values.dtype} without integers of 8 bits; quantise the model to int8")
        axis = list(perm).index(tensor.axis) if tensor.scales.size > 1 else 0
        moved = np.transpose(values, perm)
        return self.levels(moved if shape is None else moved.reshape(shape), tensor.scales, tensor.zeros, axis)

    def bias(self, op: Op, place: int, x: int = 0, weights: int = 1) -> list[str]:
        """The int32 bias of an operator as a list of one input, or of none if it is left out; it counts in the scale of
        input times weights (places of those given), whatever scale the file repeats for it."""
        index = op.inputs[place] if place < len(op.inputs) else -1
        if index < 0:
            return []
        if self.values(index).dtype != np.int32:
            raise Refused(f"a bias of type {self.tensor(index).dtype}; int32 is expected")
        scales = self.tensor(op.inputs[x]).scales * self.tensor(op.inputs[weights]).scales
        return [self.levels(self.values(index), scales, np.zeros(scales.size, np.int32), 0)]

    def _constant_form(self, tensor: Tensor, layout: str) -> str:
        if not tensor.scales.size or tensor.scales.size > 1:
            raise Refused(f"the constant {tensor.name!r} has {tensor.scales.size} scales; one is expected")
        values = tensor.values
        if layout == "nchw":  # as numpy broadcasts: missing axes are in front
            values = np.transpose(values.reshape((1,) * (4 - values.ndim) + values.shape), TO_NCHW)
        return self.levels(values, tensor.scales, tensor.zeros, 0)

    def fresh(self, name: str) -> str:
        """A name that is not taken."""
        unique = name
        while unique in self._names:
            self._counts[name] = self._counts.get(name, 0) + 1
            unique = f"{name}_{self._counts[name]}"
        self._names.add(unique)
        return unique

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **attributes) -> str:
        """Append a node of one output and give the output's name."""
        name = self.fresh(name or kind.lower())
        output = self.fresh(f"{name}_out")
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **attributes))
        return output

    def model(self) -> onnx.ModelProto:
        """The whole graph. Outputs have the names, layout and types of the file."""
        outputs = []
        for index in self.source.outputs:
            tensor = self.tensor(index)
            kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
            if (index, "integers") in self._forms:
                kind = onnx.TensorProto.INT64
            else:
                value = self.get(index)
                if tensor.dtype == np.float32 and value != tensor.name:
                    self.nodes.append(helper.make_node("Identity", [value], [tensor.name]))
                elif tensor.dtype != np.float32 and not any(tensor.name in n.output for n in self.nodes):
                    inputs = [value, *self._quantization(tensor)]
                    self.nodes.append(helper.make_node("QuantizeLinear", inputs, [tensor.name]))
            shape = ["N", *tensor.shape[1:]] if tensor.shape[:1] == (1,) else list(tensor.shape)
            outputs.append(helper.make_tensor_value_info(tensor.name, kind, shape))
        graph = helper.make_graph(self.nodes, self.source.name, self._inputs, outputs, self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        helper.set_model_props(model, {ORIGINS: json.dumps(self._origins)})
        return model
