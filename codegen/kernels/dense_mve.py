"""lam_dense_mve: a dense layer with any format that unpacks, for cores with vectors of integers."""

from collections.abc import Iterator

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
    rows, cols = a.levels.shape
    for packed in weights.candidates(a.levels):
        if packed.format.c_unpack is None:
            continue
        work = {
            "lam_dense_mve.call": 1,
            "lam_dense_mve.row": rows,
            "lam_dense_mve.dot": vectors * rows,
            "lam_dense_mve.eight": vectors * rows * -(-cols // 8),
            **weights.unpack_work(packed, a.levels, times=1, calls=rows),
        }
        yield Choice("lam_dense_mve", packed.format.name, {}, 2 * cols, packed.bytes, work)


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    array = weights.array(node.attributes.levels, record.name)
    fields = {"shape": dense_shape.shape(graph, node), "unpack": Symbol(record.c_unpack), "weights": array}
    return Struct("lam_dense_desc", fields)


KERNEL = Kernel(
    function="lam_dense_mve",
    operator="dense",
    header="lam_dense_mve.h",
    sources=("src/lam_dense_mve.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    requires=frozenset({"mve"}),
)
