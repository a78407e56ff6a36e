"""lam_conv2d_sparse_mve: ternary convolution over the positions of its non-zero levels, for cores with vectors of integers."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_sparse_shape
from lamella.codegen.kernels.record import Kernel

PIXELS = conv2d_sparse_shape.Pixels(bytes=1, word=1, in_place=True)


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    return conv2d_sparse_shape.options("lam_conv2d_sparse_mve", graph, node, PIXELS)


def _describe(graph: Graph, node: Node) -> Struct:
    return conv2d_sparse_shape.describe(graph, node, PIXELS)


KERNEL = Kernel(
    function="lam_conv2d_sparse_mve",
    operator="conv2d",
    header="lam_conv2d_sparse_mve.h",
    sources=("src/lam_conv2d_sparse_mve.c", "src/lam_conv2d_sparse_core.c", "src/lam_conv2d_sparse_band.c"),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    requires=frozenset({"mve"}),
)
