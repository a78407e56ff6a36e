"""lam_float_reduce: sums and the like over some axes."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_reduce import FloatReduce


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatReduce = node.attributes
    values = prod(graph.tensors[node.output].shape)
    work = {
        "lam_float_reduce.call": 1,
        "lam_float_reduce.value": values,
        f"lam_float_reduce.{a.function}": prod(a.shape),
    }
    yield Choice("lam_float_reduce", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatReduce = node.attributes
    steps = float_shape.steps(a.shape)
    kept = [k for k in range(len(a.shape)) if k not in a.axes]
    (shape, step), (inner_shape, inner_step) = (
        float_shape.merged(tuple(a.shape[k] for k in axes), [steps[k] for k in axes]) for axes in (kept, a.axes)
    )
    fields = {
        "function": float_shape.function(a.function),
        "start": float(a.start or 0.0),
        "divisor": float(a.divisor),
        "from_first": int(a.start is None),
        "n": prod(shape),
        "axes": len(shape),
        "shape": float_shape.numbers("shape", shape),
        "step": float_shape.numbers("step", step),
        "inner_n": prod(inner_shape),
        "inner_axes": len(inner_shape),
        "inner_shape": float_shape.numbers("inner_shape", inner_shape),
        "inner_step": float_shape.numbers("inner_step", inner_step),
    }
    return Struct("lam_float_reduce_desc", fields)


KERNEL = Kernel(
    function="lam_float_reduce",
    operator="float_reduce",
    header=float_shape.HEADER,
    sources=("src/lam_float_reduce.c", float_shape.FUNCTIONS),
    options=_options,
    describe=_describe,
    takes_array=True,
)
