"""What the dense kernels share that compute a block of two or four rows at a time (runtime_c/include/lam_dense_blocks.h)."""

from collections.abc import Callable, Iterator

import numpy as np

from lamella import formats
from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import dense_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.dense import Dense
from lamella.formats.blocks import Units

SOURCES = ("src/lam_dense_blocks.c", "src/lam_dense_store.c")
GROUP = 16  # LAM_DENSE_GROUP
LANE = 65535  # the largest sum in half a word

Stored = Callable[[np.ndarray], np.ndarray]


def chunk_that_fits(stored: np.ndarray, cols: int) -> int:
    """The most units of so many columns after which no row's sum of stored levels times 255 has left half a word."""
    units = -(-stored.shape[1] // cols)
    sums = np.cumsum(np.pad(stored.astype(np.int64), ((0, 0), (1, units * cols - stored.shape[1]))), axis=1)
    for chunks in range(1, units + 1):
        chunk = -(-units // chunks)
        ends = np.minimum(np.arange(0, units + chunk, chunk), units) * cols
        if 255 * np.diff(sums[:, ends]).max() <= LANE:
            return chunk
    raise ValueError("one unit of levels does not fit into half a word")


def block_kernel(
    function: str,
    name: str,
    blocks: Units,
    chunk: int | Stored,
    wide: bool,
    together: int = 1,
    requires: frozenset[str] = frozenset(),
) -> Kernel:
    """The kernel with that C function, which reads the format `name`.

    chunk: units that one call of its inner loop takes; or what is stored of levels, if its sums are halves of words.
    wide: it reads inputs of 16 bits, which lie in scratch. together: blocks that one call computes.
    """

    def chunk_of(levels: np.ndarray) -> int:
        return chunk if isinstance(chunk, int) else chunk_that_fits(chunk(levels), blocks.cols)

    def options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
        a: Dense = node.attributes
        record = formats.get(name)
        if not record.fits(a.levels):
            return
        (rows, cols), vectors = a.levels.shape, dense_shape.batch(graph, node)
        units = blocks.units(cols)
        padded, chunks = units * blocks.cols, -(-units // chunk_of(a.levels))
        calls = rows // GROUP * (GROUP // (blocks.rows * together)) + -(-(rows % GROUP) // (blocks.rows * together))
        prepare = "lam_dense_widened" if wide else "lam_dense_padded"
        groups = -(-rows // GROUP)
        work = {
            f"{function}.call": 1,
            "lam_dense_blocks.group": vectors * groups,
            "lam_dense_blocks.chunk": vectors * groups * chunks,
            f"{function}.block": vectors * calls * chunks,
            f"{function}.unit": vectors * calls * units,
            f"lam_dense_store.{dense_shape.stored(a.requant)}": vectors * rows,
        }
        size = record.size(a.levels)
        for by_pieces in (False, True) if wide and chunks > 1 else (False,):
            # By pieces: for each group of rows; before that the inputs are summed, which takes about as long as to prepare them.
            times = groups if by_pieces else 1
            preparing = {
                f"{prepare}.call": vectors * times * (chunks if by_pieces else 1),
                f"{prepare}.input": vectors * (times + by_pieces) * cols,
                f"{prepare}.filled": vectors * times * (padded - cols),
            }
            columns = chunk_of(a.levels) * blocks.cols if by_pieces else padded
            scratch = 2 * columns if wide else padded if padded > cols else 0
            yield Choice(function, name, {"by_pieces": int(by_pieces)}, scratch, size, {**work, **preparing})

    def describe(graph: Graph, node: Node) -> Struct:
        levels = node.attributes.levels
        fields = {
            "shape": dense_shape.shape(graph, node, wide_bias=True),
            "weights": weights.array(levels, name),
            "units": blocks.units(levels.shape[1]),
            "chunk": chunk_of(levels),
            "by_pieces": node.choice.parameters["by_pieces"],
        }
        return Struct("lam_dense_blocks_desc", fields)

    return Kernel(
        function=function,
        operator="dense",
        header="lam_dense.h",
        sources=(*SOURCES, f"src/lam_dense_{'widened' if wide else 'padded'}.c", f"src/{function}.c"),
        options=options,
        describe=describe,
        takes_scratch=True,
        requires=requires,
    )
