"""lam_dense_index: a dense layer over ready columns of its non-zero levels."""

from collections.abc import Iterator

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense
from lamella.formats import sparse_ternary_index

FORMAT = sparse_ternary_index.FORMAT.name


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    record = formats.get(FORMAT)
    if not record.fits(a.levels):
        return
    rows, vectors = a.levels.shape[0], dense_shape.batch(graph, node)
    lists = np.array(sparse_ternary_index.lists(a.levels))
    groups = -(-rows // sparse_ternary_index.ROWS)
    work = {
        "lam_dense_index.call": 1,
        "lam_dense_index.group": vectors * groups,
        "lam_dense_index.block": vectors * groups * -(-a.levels.shape[1] // sparse_ternary_index.COLS),
        "lam_dense_index.row": vectors * (lists.size // 2),
        "lam_dense_index.sixteen": vectors * int((lists // 16).sum()),
        "lam_dense_index.eight": vectors * int((lists % 16 // 8).sum()),
        "lam_dense_index.level": vectors * int(lists.sum()),
        f"lam_dense_store.{dense_shape.stored(a.requant)}": vectors * rows,
    }
    yield Choice("lam_dense_index", FORMAT, weight_bytes=record.size(a.levels), work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    array = weights.array(node.attributes.levels, FORMAT)
    return Struct("lam_dense_index_desc", {"shape": dense_shape.shape(graph, node, wide_bias=True), "weights": array})


KERNEL = Kernel(
    function="lam_dense_index",
    operator="dense",
    header="lam_dense.h",
    sources=("src/lam_dense_index.c", "src/lam_dense_store.c"),
    options=_options,
    describe=_describe,
)
