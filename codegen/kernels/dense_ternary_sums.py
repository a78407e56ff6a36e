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
        pairs, single, whole = -(-groups // 2), groups % 2, rows // 8 * 8
        work = {
            "lam_dense_ternary_sums.call": 1,
            "lam_dense_ternary_sums.table": vectors * pairs,
            "lam_dense_ternary_sums.entry": vectors * pairs * (3**digits - 3),
            "lam_dense_ternary_sums.eight": vectors * (pairs - single) * whole // 8,
            "lam_dense_ternary_sums.one": vectors * (pairs - single) * (rows - whole),
            "lam_dense_ternary_sums.single": vectors * rows * single,
            "lam_dense_ternary_sums.row": vectors * rows,
            f"lam_dense_store.{dense_shape.stored(a.requant)}": vectors * rows,
        }
        work = {event: times for event, times in work.items() if times}
        scratch = 4 * (3**digits + rows)  # the table of two groups, and the rows' sums
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
