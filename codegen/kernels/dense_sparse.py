"""lam_dense_sparse: a dense layer over the positions of its non-zero levels."""

from collections.abc import Iterator

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    vectors = dense_shape.batch(graph, node)
    rows = a.levels.shape[0]
    lists = np.concatenate([np.count_nonzero(a.levels > 0, axis=1), np.count_nonzero(a.levels < 0, axis=1)])
    for packed in weights.candidates(a.levels):
        if packed.format.c_positions is None:
            continue
        work = {
            "lam_dense_sparse.call": 1,
            "lam_dense_sparse.row": rows,
            "lam_dense_sparse.result": vectors * rows,
            "lam_dense_sparse.four": vectors * int((lists // 4).sum()),
            "lam_dense_sparse.one": vectors * int((lists % 4).sum()),
            **weights.positions_work(packed, a.levels, times=1),
        }
        scratch = 2 * weights.largest_row(a.levels)
        yield Choice("lam_dense_sparse", packed.format.name, {}, scratch, packed.bytes, work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: Dense = node.attributes
    record = formats.get(node.choice.format)
    fields = {
        "shape": dense_shape.shape(graph, node),
        "positions": Symbol(record.c_positions),
        "weights": weights.array(a.levels, record.name),
        "capacity": weights.largest_row(a.levels),
    }
    return Struct("lam_dense_sparse_desc", fields)


KERNEL = Kernel(
    function="lam_dense_sparse",
    operator="dense",
    header="lam_dense.h",
    sources=("src/lam_dense_sparse.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
