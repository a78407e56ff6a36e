"""lam_dense: a dense layer with any format that unpacks. Plain C; it judges the others."""

from collections.abc import Iterator

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense

BLOCK = 32  # levels unpacked at a time: LAM_DENSE_BLOCK


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    vectors = dense_shape.batch(graph, node)
    rows, cols = a.levels.shape
    blocks = vectors * rows * -(-cols // BLOCK)
    for packed in weights.candidates(a.levels):
        if packed.format.c_unpack is None:
            continue
        work = {
            "lam_dense.call": 1,
            "lam_dense.row": vectors * rows,
            "lam_dense.block": blocks,
            "lam_dense.mac": vectors * a.levels.size,
            **weights.unpack_work(packed, a.levels, times=vectors, calls=blocks),
        }
        yield Choice("lam_dense", packed.format.name, weight_bytes=packed.bytes, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    record = formats.get(node.choice.format)
    array = weights.array(node.attributes.levels, record.name)
    fields = {"shape": dense_shape.shape(graph, node), "unpack": Symbol(record.c_unpack), "weights": array}
    return Struct("lam_dense_desc", fields)


KERNEL = Kernel(
    function="lam_dense",
    operator="dense",
    header="lam_dense.h",
    sources=("src/lam_dense.c",),
    options=_options,
    describe=_describe,
)
