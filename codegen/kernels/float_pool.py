"""lam_float_pool: largest value or average of windows."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_pool import FloatPool


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatPool = node.attributes
    values = a.shape[0] * prod(a.out)
    kind = "sum" if a.average else "largest"
    work = {
        "lam_float_pool.call": 1,
        "lam_float_pool.value": values,
        "lam_float_pool.tap": values * prod(a.window.kernel),
        f"lam_float_pool.{kind}": a.shape[0] * float_shape.inside(a.window, a.shape[1:], a.out),
    }
    yield Choice("lam_float_pool", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatPool = node.attributes
    w = a.window
    fields = {
        "average": int(a.average),
        "count_pads": int(a.count_pads),
        "planes": a.shape[0],
        **dict(zip(("in_h", "in_w"), a.shape[1:], strict=True)),
        **dict(zip(("out_h", "out_w"), a.out, strict=True)),
        **dict(zip(("kernel_h", "kernel_w"), w.kernel, strict=True)),
        **dict(zip(("stride_h", "stride_w"), w.stride, strict=True)),
        **dict(zip(("dilation_h", "dilation_w"), w.dilation, strict=True)),
        **dict(zip(("pad_top", "pad_left", "pad_bottom", "pad_right"), w.pads, strict=True)),
    }
    return Struct("lam_float_pool_desc", fields)


KERNEL = Kernel(
    function="lam_float_pool",
    operator="float_pool",
    header=float_shape.HEADER,
    sources=("src/lam_float_pool.c",),
    options=_options,
    describe=_describe,
    takes_array=True,
)
