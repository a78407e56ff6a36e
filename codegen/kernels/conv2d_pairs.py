"""lam_conv2d_pairs: convolution by dual multiplications, words of two channels. For cores with DSP instructions."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_mac
from lamella.codegen.kernels.record import Kernel

_LAYOUT = conv2d_mac.Layout("lam_conv2d_pairs", bytes=4, deep=2, wide=1)


def _tile(graph: Graph, node: Node) -> conv2d_mac.Tile:
    return conv2d_mac.tile("lam_mac_pairs_2x4", 2, conv2d_mac.taps(graph, node, (1, 3, 5)), (4,))


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    return conv2d_mac.options(graph, node, _LAYOUT, _tile(graph, node))


def _describe(graph: Graph, node: Node) -> Struct:
    return conv2d_mac.describe(graph, node, _tile(graph, node))


KERNEL = Kernel(
    function="lam_conv2d_pairs",
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
