"""lam_dense_ternary_quads: 1.6 bits a weight, four rows at a time. For cores with a long multiplication."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.ternary_quads import BLOCKS

KERNEL = block_kernel(
    "lam_dense_ternary_quads",
    "ternary_quads",
    BLOCKS,
    chunk=lambda levels: levels + 1,
    wide=False,
    requires=frozenset({"long_multiply"}),
)
