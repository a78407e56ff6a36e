"""lam_matmul: products of two activations as matrices."""

from collections.abc import Iterator

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators import matmul


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    batch, rows, depth, cols = matmul.sizes(graph, node)
    values = batch * rows * cols
    counts = {"call": 1, "row": batch * rows, "value": values, "product": values * depth}
    yield Choice("lam_matmul", work={f"lam_matmul.{name}": n for name, n in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    batch, rows, depth, cols = matmul.sizes(graph, node)
    a, b = (graph.tensors[name] for name in node.inputs)
    steps = (1, depth) if node.attributes.transposed else (cols, 1)
    return Struct("lam_matmul_desc", {
        "batch": batch, "rows": rows, "depth": depth, "cols": cols, "b_step": steps[0], "b_next": steps[1],
        "a_zero": a.quantization.zero, "b_zero": b.quantization.zero, "q": structs.requant(node.attributes.requant),
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_matmul",
    operator="matmul",
    header="lam_matrix.h",
    sources=("src/lam_matmul.c",),
    options=_options,
    describe=_describe,
)
