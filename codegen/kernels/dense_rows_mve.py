"""lam_dense_rows_mve: a dense layer with levels of four or two bits, for cores with vectors of integers."""

from collections.abc import Iterator

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense
from lamella.formats import int2_rows, int4_rows

BITS = {"int4_rows": int4_rows.BITS, "int2_rows": int2_rows.BITS}
KEPT = 32  # LAM_KEPT


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    (rows, cols), vectors = a.levels.shape, dense_shape.batch(graph, node)
    wide = bool((a.requant.shift != 32).any())
    work = {
        "call": 1,
        "sum_16": vectors * -(-cols // 16),
        "block": vectors * -(-rows // KEPT),
        "four": vectors * -(-rows // 4),
        "four_16": vectors * -(-rows // 4) * -(-cols // 16),
        "apart" if wide else "stored": vectors * (rows if wide else -(-rows // 4)),
    }
    work = {f"lam_dense_rows_mve.{name}": count for name, count in work.items()}
    for name in BITS:
        record = formats.get(name)
        if record.fits(a.levels):
            yield Choice("lam_dense_rows_mve", name, weight_bytes=record.size(a.levels), work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    name = node.choice.format
    fields = {
        "shape": dense_shape.shape(graph, node, wide_bias=True),
        "weights": weights.array(node.attributes.levels, name),
        "bits": BITS[name],
    }
    return Struct("lam_dense_rows_mve_desc", fields)


KERNEL = Kernel(
    function="lam_dense_rows_mve",
    operator="dense",
    header="lam_dense_mve.h",
    sources=("src/lam_dense_rows_mve.c",),
    options=_options,
    describe=_describe,
    requires=frozenset({"mve"}),
)
