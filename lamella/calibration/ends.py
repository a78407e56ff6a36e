"""Outputs of the model that quantize_static leaves in float32 although their last operator has a form in integers: a function
(Tanh), a quotient."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella.calibration.ranges import Range, quantization
from lamella.codegen import operators


def quantise_(model: onnx.ModelProto, limits: Mapping[str, Range]) -> int:
    """Puts QuantizeLinear and DequantizeLinear behind each such output in place, by the ranges of tensors; how many there were."""
    nodes = model.graph.node
    makers = {name: node for node in nodes for name in node.output}
    stored = {t.name for t in model.graph.initializer}
    uses = [name for node in nodes for name in node.input]
    count = 0
    for output in (value.name for value in model.graph.output):
        maker = makers.get(output)
        if maker is None or output not in limits or output in uses or maker.op_type not in operators.by_onnx_type():
            continue
        given = [makers.get(name) for name in maker.input if name and name not in stored]
        if not given or any(node is None or node.op_type != "DequantizeLinear" for node in given):
            continue
        names = [f"{output}_scale", f"{output}_zero_point"]
        parameters = zip(quantization(limits[output]), names, strict=True)
        model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for value, name in parameters)
        real, levels = f"{output}_float", f"{output}_levels"
        maker.output[list(maker.output).index(output)] = real
        nodes.append(helper.make_node("QuantizeLinear", [real, *names], [levels], f"{output}_q"))
        nodes.append(helper.make_node("DequantizeLinear", [levels, *names], [output], f"{output}_dq"))
        count += 1
    return count
