"""lam_dense_int8_mve: a dense layer whose levels are read in place, for cores with vectors of integers."""

from collections.abc import Iterator

from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.conv2d_mve import signed_bias
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense

KEPT = 32  # LAM_KEPT


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    vectors = dense_shape.batch(graph, node)
    rows, cols = a.levels.shape
    wide = bool((a.requant.shift != 32).any())
    for packed in weights.candidates(a.levels):
        if packed.format.name == "int8":
            work = {
                "call": 1,
                "four": vectors * (rows // 4),
                "four_16": vectors * (rows // 4) * -(-cols // 16),
                "block": vectors * -(-rows // KEPT),
                "apart" if wide else "stored": vectors * (rows if wide else -(-rows // 4)),
                "one": vectors * (rows % 4),
                "one_16": vectors * (rows % 4) * -(-cols // 16),
            }
            work = {f"lam_dense_int8_mve.{name}": count for name, count in work.items()}
            yield Choice("lam_dense_int8_mve", "int8", weight_bytes=packed.bytes, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    shape = signed_bias(graph, node, dense_shape.shape(graph, node, wide_bias=True), wide=True)
    array = weights.array(node.attributes.levels, "int8")
    return Struct("lam_dense_int8_mve_desc", {"shape": shape, "weights": array})


KERNEL = Kernel(
    function="lam_dense_int8_mve",
    operator="dense",
    header="lam_dense_mve.h",
    sources=("src/lam_dense_int8_mve.c",),
    options=_options,
    describe=_describe,
    requires=frozenset({"mve"}),
)
