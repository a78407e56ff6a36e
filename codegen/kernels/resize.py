"""lam_resize: images of another size, bilinear."""

from collections.abc import Iterator

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    _, channels, rows, cols = graph.tensors[node.output].shape
    counts = {"call": 1, "row": channels * rows, "pixel": channels * rows * cols}
    yield Choice("lam_resize", work={f"lam_resize.{name}": n for name, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    a = node.attributes
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    places = {
        name: Array(name, "uint16_t", getattr(a, name)) for name in ("rows", "row_weights", "cols", "col_weights")
    }
    return Struct("lam_resize_desc", {
        "channels": x.shape[1], "in_h": x.shape[2], "in_w": x.shape[3], "out_h": y.shape[2], "out_w": y.shape[3],
        **places, "in_zero": x.quantization.zero, "q": structs.requant(a.requant),
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_resize",
    operator="resize",
    header="lam_resize.h",
    sources=("src/lam_resize.c",),
    options=_options,
    describe=_describe,
)
