"""lam_pad2d: an image within a frame."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    yield Choice(
        "lam_pad2d",
        work={
            "lam_pad2d.call": 1,
            "lam_pad2d.row": y.shape[1] * y.shape[2],
            "lam_pad2d.copied": x.bytes,
            "lam_pad2d.filled": y.bytes - x.bytes,
        },
        overwrites=True,
    )


def _describe(graph: Graph, node: Node) -> Struct:
    x = graph.tensors[node.inputs[0]]
    top, left, bottom, right = node.attributes.pads
    return Struct("lam_pad2d_desc", {
        "channels": x.shape[1], "in_h": x.shape[2], "in_w": x.shape[3],
        "top": top, "left": left, "bottom": bottom, "right": right, "value": node.attributes.value,
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_pad2d",
    operator="pad2d",
    header="lam_move.h",
    sources=("src/lam_pad2d.c",),
    options=_options,
    describe=_describe,
)
