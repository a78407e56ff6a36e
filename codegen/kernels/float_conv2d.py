"""lam_float_conv2d: convolution of images."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_conv2d import FloatConv2d


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatConv2d = node.attributes
    values, taps = prod(a.out_shape), prod(a.weights_shape[1:])
    inside = float_shape.inside(a.window, a.shape[2:], a.out_shape[2:])
    work = {
        "lam_float_conv2d.call": 1,
        "lam_float_conv2d.value": values,
        "lam_float_conv2d.row": values * taps / a.window.kernel[1],
        "lam_float_conv2d.tap": values * taps,
        "lam_float_conv2d.mac": inside * values // prod(a.out_shape[2:]) * a.weights_shape[1],
    }
    weights = sum(4 * v.size for v in (a.weights, a.bias) if v is not None)
    yield Choice("lam_float_conv2d", weight_bytes=weights, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatConv2d = node.attributes
    w = a.window
    out = a.out_shape
    fields = {
        "weights": float_shape.constant("weights", a.weights),
        "bias": float_shape.constant("bias", a.bias),
        "has_bias": int(a.has_bias),
        "images": a.shape[0],
        "groups": a.groups,
        **dict(zip(("in_c", "in_h", "in_w"), a.shape[1:], strict=True)),
        **dict(zip(("out_c", "out_h", "out_w"), out[1:], strict=True)),
        **dict(zip(("kernel_h", "kernel_w"), w.kernel, strict=True)),
        **dict(zip(("stride_h", "stride_w"), w.stride, strict=True)),
        **dict(zip(("dilation_h", "dilation_w"), w.dilation, strict=True)),
        "pad_top": w.pads[0],
        "pad_left": w.pads[1],
    }
    return Struct("lam_float_conv2d_desc", fields)


KERNEL = Kernel(
    function="lam_float_conv2d",
    operator="float_conv2d",
    header=float_shape.HEADER,
    sources=("src/lam_float_conv2d.c",),
    options=_options,
    describe=_describe,
    takes_array=True,
)
