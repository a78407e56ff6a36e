"""lam_table: a function of each value, looked up."""

from collections.abc import Iterator

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    yield Choice("lam_table", work={"lam_table.call": 1, "lam_table.value": graph.tensors[node.output].bytes})


def _describe(graph: Graph, node: Node) -> Struct:
    table = Array("table", "uint8_t", node.attributes.values, node.attributes.function, shared=True)
    return Struct("lam_table_desc", {"n": graph.tensors[node.output].bytes, "table": table})


KERNEL = Kernel(
    function="lam_table",
    operator="table",
    header="lam_elementwise.h",
    sources=("src/lam_table.c",),
    options=_options,
    describe=_describe,
)
