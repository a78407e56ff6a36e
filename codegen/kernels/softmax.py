"""lam_softmax: softmax of every row, by table."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.softmax import Softmax


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    y = graph.tensors[node.output]
    rows = prod(y.shape[:-1])
    yield Choice("lam_softmax", work={"lam_softmax.call": 1, "lam_softmax.row": rows, "lam_softmax.value": y.bytes})


def _describe(graph: Graph, node: Node) -> Struct:
    a: Softmax = node.attributes
    y = graph.tensors[node.output]
    fields = {"rows": prod(y.shape[:-1]), "cols": y.shape[-1], "exp": Array("exp", "uint32_t", a.exp)}
    return Struct("lam_softmax_desc", {**fields, "multiplier": a.multiplier, "zero": y.quantization.zero})


KERNEL = Kernel(
    function="lam_softmax",
    operator="softmax",
    header="lam_elementwise.h",
    sources=("src/lam_softmax.c",),
    options=_options,
    describe=_describe,
)
