"""lam_dense_int4_quads: a dense layer, two blocks of four rows at a time. For cores without DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int4_quads import BLOCKS

KERNEL = block_kernel(
    "lam_dense_int4_quads",
    "int4_quads",
    BLOCKS,
    chunk=lambda levels: levels + 8,
    wide=False,
    together=2,
)
