"""lam_float_unary: a function of every value."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    n = prod(graph.tensors[node.output].shape)
    yield Choice("lam_float_unary", work={"lam_float_unary.call": 1, f"lam_float_{node.attributes.function}": n})


def _describe(graph: Graph, node: Node) -> Struct:
    a = node.attributes
    fields = {"n": prod(graph.tensors[node.output].shape), "function": float_shape.function(a.function)}
    return Struct("lam_float_unary_desc", {**fields, "a": float(a.a), "b": float(a.b)})


KERNEL = Kernel(
    function="lam_float_unary",
    operator="float_unary",
    header=float_shape.HEADER,
    sources=("src/lam_float_elementwise.c", float_shape.FUNCTIONS),
    options=_options,
    describe=_describe,
    takes_array=True,
)
