"""lam_float_matmul: products of matrices."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_matmul import FloatMatmul


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatMatmul = node.attributes
    n = prod(a.shape)
    work = {"lam_float_matmul.call": 1, "lam_float_matmul.value": n, "lam_float_matmul.mac": n * a.shapes[0][-1]}
    weights = sum(4 * v.size for v in (a.a, a.b) if v is not None)
    yield Choice("lam_float_matmul", weight_bytes=weights, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatMatmul = node.attributes
    (rows, inner), (_, cols) = (shape[-2:] for shape in a.shapes)
    fields = {
        "a": float_shape.constant("a", a.a),
        "b": float_shape.constant("b", a.b),
        "batches": prod(a.batch),
        "rows": rows,
        "inner": inner,
        "cols": cols,
        "a_row": 1 if a.swapped[0] else inner,
        "a_inner": rows if a.swapped[0] else 1,
        "b_inner": 1 if a.swapped[1] else cols,
        "b_col": inner if a.swapped[1] else 1,
        "a_at": float_shape.numbers("a_at", a.starts(0)),
        "b_at": float_shape.numbers("b_at", a.starts(1)),
    }
    return Struct("lam_float_matmul_desc", fields)


KERNEL = Kernel(
    function="lam_float_matmul",
    operator="float_matmul",
    header=float_shape.HEADER,
    sources=("src/lam_float_matmul.c",),
    options=_options,
    describe=_describe,
    takes_array=True,
)
