"""lam_float_binary: a function of two values, spread over each other's axes."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_binary import FloatBinary


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatBinary = node.attributes
    weights = sum(4 * v.size for v in (a.a, a.b) if v is not None)
    work = {"lam_float_binary.call": 1, f"lam_float_{a.function}": prod(a.shape)}
    yield Choice("lam_float_binary", weight_bytes=weights, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatBinary = node.attributes
    shape, a_step, b_step = float_shape.merged(a.shape, *map(float_shape.steps, a.shapes))
    fields = {
        "function": float_shape.function(a.function),
        "a": float_shape.constant("a", a.a),
        "b": float_shape.constant("b", a.b),
        "n": prod(a.shape),
        "axes": len(shape),
        "shape": float_shape.numbers("shape", shape),
        "a_step": float_shape.numbers("a_step", a_step),
        "b_step": float_shape.numbers("b_step", b_step),
    }
    return Struct("lam_float_binary_desc", fields)


KERNEL = Kernel(
    function="lam_float_binary",
    operator="float_binary",
    header=float_shape.HEADER,
    sources=("src/lam_float_elementwise.c", float_shape.FUNCTIONS),
    options=_options,
    describe=_describe,
    takes_array=True,
)
