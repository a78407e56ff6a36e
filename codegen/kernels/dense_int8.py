"""lam_dense_int8: a dense layer whose levels are read in place."""

from collections.abc import Iterator

from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    vectors = dense_shape.batch(graph, node)
    rows, cols = a.levels.shape
    for packed in weights.candidates(a.levels):
        if packed.format.name != "int8":
            continue
        work = {
            "lam_dense_int8.call": 1,
            "lam_dense_int8.row": vectors * rows,
            "lam_dense_int8.four": vectors * rows * (cols // 4),
            "lam_dense_int8.one": vectors * rows * (cols % 4),
        }
        yield Choice("lam_dense_int8", "int8", weight_bytes=packed.bytes, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    array = weights.array(node.attributes.levels, "int8")
    return Struct("lam_dense_int8_desc", {"shape": dense_shape.shape(graph, node), "weights": array})


KERNEL = Kernel(
    function="lam_dense_int8",
    operator="dense",
    header="lam_dense.h",
    sources=("src/lam_dense_int8.c",),
    options=_options,
    describe=_describe,
)
