"""lam_dense_ternary_sums: a dense layer that looks up the sum of four or five columns at once."""

from collections.abc import Iterator

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense
from lamella.formats import ternary_fives, ternary_fours, ternary_sums

DIGITS = {"ternary_fours": ternary_fours.DIGITS, "ternary_fives": ternary_fives.DIGITS}


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: Dense = node.attributes
    (rows, cols), vectors = a.levels.shape, dense_shape.batch(graph, node)
    for name, digits in DIGITS.items():
        record = formats.get(name)
        if not record.fits(a.levels):
            return
        groups = ternary_sums.groups(cols, digits)
        work = {
            "lam_dense_ternary_sums.call": 1,
            "lam_dense_ternary_sums.table": vectors * groups,
            "lam_dense_ternary_sums.entry": vectors * groups * 3**digits,
            "lam_dense_ternary_sums.pair": vectors * (groups // 2),
            "lam_dense_ternary_sums.row_pair": vectors * rows * (groups // 2),
            "lam_dense_ternary_sums.single": vectors * (groups % 2),
            "lam_dense_ternary_sums.row_single": vectors * rows * (groups % 2),
            "lam_dense_ternary_sums.row": vectors * rows,
            f"lam_dense_store.{dense_shape.stored(a.requant)}": vectors * rows,
        }
        work = {event: times for event, times in work.items() if times}
        # A table for each group of a pair, the smaller ones that they are made of, and the rows' sums.
        scratch = 4 * (2 * 3**digits + (3**digits - 3) // 2 + rows)
        yield Choice(
            "lam_dense_ternary_sums", name, scratch_bytes=scratch, weight_bytes=record.size(a.levels), work=work
        )


def _describe(graph: Graph, node: Node) -> Struct:
    name = node.choice.format
    return Struct(
        "lam_dense_sums_desc",
        {
            "shape": dense_shape.shape(graph, node),
            "weights": weights.array(node.attributes.levels, name),
            "digits": DIGITS[name],
        },
    )


KERNEL = Kernel(
    function="lam_dense_ternary_sums",
    operator="dense",
    header="lam_dense.h",
    sources=("src/lam_dense_ternary_sums.c", "src/lam_dense_store.c"),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
