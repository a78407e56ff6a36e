"""lam_float_dequantize: float32 from uint8."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    n = prod(graph.tensors[node.output].shape)
    yield Choice("lam_float_dequantize", work={"lam_float_dequantize.call": 1, "lam_float_dequantize.value": n})


def _describe(graph: Graph, node: Node) -> Struct:
    integers = graph.tensors[node.inputs[0]]
    q = integers.quantization
    return Struct("lam_float_scale_desc", {"n": prod(integers.shape), "scale": float(q.scale), "zero": q.zero})


KERNEL = Kernel(
    function="lam_float_dequantize",
    operator="float_dequantize",
    header=float_shape.HEADER,
    sources=("src/lam_float_elementwise.c", float_shape.FUNCTIONS),
    options=_options,
    describe=_describe,
    takes_array=True,
)
