"""lam_add_constants_as_tflite: sum or difference of an activation and constants as TensorFlow Lite Micro rounds it."""

from collections.abc import Iterator

import numpy as np

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.add_as_tflite import twice
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.add_as_tflite import AddAsTflite

NAME = "lam_add_constants_as_tflite"


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    if len(node.inputs) == 1:
        a: AddAsTflite = node.attributes
        counts = {"call": 1, "constant": a.constants.size * a.times, "value": graph.tensors[node.output].bytes}
        yield Choice(NAME, work={f"{NAME}.{event}": n for event, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    at: AddAsTflite = node.attributes
    x = graph.tensors[node.inputs[0]]
    return Struct(f"{NAME}_desc", {
        "count": at.constants.size, "inner": at.inner, "times": at.times,
        "constants": Array("constants", "int32_t", at.constants.astype(np.int32)),
        "a": twice(at.addends[0]), "total": twice(at.total), "a_negative": int(at.signs[0] < 0),
        "a_zero": x.quantization.zero, "zero": at.zero, "low": at.low, "high": at.high,
    })  # fmt: skip


KERNEL = Kernel(
    function=NAME,
    operator="add_as_tflite",
    header="lam_elementwise.h",
    sources=("src/lam_add_as_tflite.c",),
    options=_options,
    describe=_describe,
)
