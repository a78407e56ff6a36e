"""lam_conv2d_bytes: convolution by single multiplications; where no window leaves the image, without a copy of it."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import conv2d_mac
from lamella.codegen.kernels.record import Kernel

_LAYOUT = conv2d_mac.Layout("lam_conv2d_bytes", bytes=1, deep=1, wide=1)


def _tile(graph: Graph, node: Node, together: int) -> conv2d_mac.Tile:
    if together == 1:
        return conv2d_mac.tile("lam_mac_bytes_1x8", 1, conv2d_mac.taps(graph, node, (1, 3)), (8, 4))
    return conv2d_mac.tile("lam_mac_bytes_2x4", 2, conv2d_mac.taps(graph, node, (1, 3, 5)), (4,))


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    # Cores without the long multiplication have eight registers for everything but additions.
    tile = _tile(graph, node, 2 if "long_multiply" in target.features else 1)
    inside = conv2d_mac.inside(graph, node)
    if inside:
        yield from conv2d_mac.options(graph, node, _LAYOUT, tile, in_place=True)
    if not inside or node.attributes.pixel_by_pixel:  # from a copy, so that the result may lie on the input
        yield from conv2d_mac.options(graph, node, _LAYOUT, tile)


def _describe(graph: Graph, node: Node) -> Struct:
    return conv2d_mac.describe(graph, node, _tile(graph, node, node.choice.parameters["together"]))


KERNEL = Kernel(
    function="lam_conv2d_bytes",
    operator="conv2d",
    header="lam_conv2d.h",
    sources=(
        "src/lam_conv2d_bytes.c",
        "src/lam_conv2d_mac.c",
        "src/lam_conv2d_mac_band.c",
        "src/lam_conv2d_mac_bytes_1x8.c",
        "src/lam_conv2d_mac_bytes_2x4.c",
    ),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
