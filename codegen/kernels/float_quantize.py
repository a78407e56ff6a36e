"""lam_float_quantize: uint8 from float32."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    n = prod(graph.tensors[node.output].shape)
    yield Choice("lam_float_quantize", work={"lam_float_quantize.call": 1, "lam_float_quantize.value": n})


def _describe(graph: Graph, node: Node) -> Struct:
    integers = graph.tensors[node.output]
    q = integers.quantization
    return Struct("lam_float_scale_desc", {"n": prod(integers.shape), "scale": float(q.scale), "zero": q.zero})


KERNEL = Kernel(
    function="lam_float_quantize",
    operator="float_quantize",
    header=float_shape.HEADER,
    sources=("src/lam_float_elementwise.c", float_shape.FUNCTIONS),
    options=_options,
    describe=_describe,
    takes_array=True,
)
