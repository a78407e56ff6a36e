"""Outputs of the model that quantize_static leaves in float32 although their last operator has a form in integers: a function
(Tanh), a quotient."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lamella.calibration.ranges import Range
from lamella.codegen import operators

LEVELS = 255


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
        low, high = limits[output]
        scale = np.float32((high - low) / LEVELS)
        zero = np.uint8(np.clip(np.rint(-low / scale), 0, LEVELS))
        names = [f"{output}_scale", f"{output}_zero_point"]
        model.graph.initializer.extend(
            numpy_helper.from_array(v, n) for v, n in zip((np.asarray(scale), np.asarray(zero)), names, strict=True)
        )
        real, levels = f"{output}_float", f"{output}_levels"
        maker.output[list(maker.output).index(output)] = real
        nodes.append(helper.make_node("QuantizeLinear", [real, *names], [levels], f"{output}_q"))
        nodes.append(helper.make_node("DequantizeLinear", [levels, *names], [output], f"{output}_dq"))
        count += 1
    return count
