"""lam_strip_window: new rows push old ones out of a window."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.strip_window import StripWindow


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    window, rows = (graph.tensors[name] for name in node.inputs[:2])
    names = ("call", "channel", "moved", "copied")
    counts = (1, window.shape[1], window.bytes - rows.bytes, rows.bytes)
    yield Choice("lam_strip_window", work={f"lam_strip_window.{n}": c for n, c in zip(names, counts, strict=True)})


def _describe(graph: Graph, node: Node) -> Struct:
    a: StripWindow = node.attributes
    _, channels, window_rows, width = graph.tensors[node.output].shape
    return Struct("lam_strip_window_desc", {
        "channels": channels, "width": width, "height": a.height, "window_rows": window_rows,
        "rows": graph.tensors[node.inputs[1]].shape[2], "delay": a.delay, "period_bits": a.period.bit_length() - 1, "fill": a.fill,
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_strip_window",
    operator="strip_window",
    header="lam_strips.h",
    sources=("src/lam_strip_window.c",),
    options=_options,
    describe=_describe,
)
