"""lam_layernorm: layer normalisation of rows."""

from collections.abc import Iterator

import numpy as np

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    n = graph.tensors[node.output].bytes
    counts = {"call": 1, "row": n // node.attributes.cols, "value": n}
    yield Choice("lam_layernorm", work={f"lam_layernorm.{name}": count for name, count in counts.items()})


def _describe(graph: Graph, node: Node) -> Struct:
    a = node.attributes
    return Struct("lam_layernorm_desc", {
        "rows": graph.tensors[node.output].bytes // a.cols, "cols": a.cols, "epsilon": a.epsilon,
        "gamma": Array("gamma", "int16_t", a.gamma), "beta": Array("beta", "int32_t", a.beta.astype(np.int32)),
        "q": structs.requant(a.requant),
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_layernorm",
    operator="layernorm",
    header="lam_matrix.h",
    sources=("src/lam_layernorm.c",),
    options=_options,
    describe=_describe,
)
