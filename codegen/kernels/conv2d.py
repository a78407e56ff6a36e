"""lam_conv2d: any convolution with any format that unpacks. Plain C; it judges the others."""

from collections.abc import Iterator

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.conv2d import Conv2d, conv_size, macs


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Conv2d = node.attributes
    rows, cols = conv_size(graph, node)
    channels = a.levels.shape[0]
    for packed in weights.candidates(a.levels):
        if packed.format.c_unpack is None:
            continue
        work = {
            "lam_conv2d.call": 1,
            "lam_conv2d.channel": channels,
            "lam_conv2d.level": a.levels.size,
            "lam_conv2d.row": channels * rows,
            "lam_conv2d.pixel": channels * rows * cols,
            "lam_conv2d.mac": macs(graph, node),
            **weights.unpack_work(packed, a.levels, times=1, calls=channels),
        }
        yield Choice("lam_conv2d", packed.format.name, {}, 2 * a.levels[0].size, packed.bytes, work)


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    return Struct(
        "lam_conv2d_desc",
        {
            "shape": conv2d_shape.shape(graph, node),
            "unpack": Symbol(record.c_unpack),
            "weights": weights.array(node.attributes.levels, record.name),
        },
    )


KERNEL = Kernel(
    function="lam_conv2d",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=("src/lam_conv2d.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
