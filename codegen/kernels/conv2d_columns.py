"""lam_conv2d_columns: convolution by dual multiplications, words of two columns: for images of one channel or three.

For cores with DSP instructions."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_mac
from lamella.codegen.kernels.record import Kernel

_LAYOUT = conv2d_mac.Layout("lam_conv2d_columns", bytes=4, deep=1, wide=2)


_TILE = conv2d_mac.tile("lam_mac_pairs_2x4", 2, 1, (4,))


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    if node.attributes.levels.shape[1] % 2 and node.attributes.window.kernel[1] > 1:  # else channels pair as well
        yield from conv2d_mac.options(graph, node, _LAYOUT, _TILE)


def _describe(graph: Graph, node: Node) -> Struct:
    return conv2d_mac.describe(graph, node, _TILE)


KERNEL = Kernel(
    function="lam_conv2d_columns",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=(
        "src/lam_conv2d_mac.c",
        "src/lam_conv2d_mac_band.c",
        "src/lam_conv2d_mac_pairs.c",
        "src/lam_conv2d_pairs.c",
    ),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    requires=frozenset({"dsp"}),
)
