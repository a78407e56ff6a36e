"""lam_dense_int2_quads: a dense layer, two blocks of four rows at a time. For cores without DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int2_quads import BLOCKS

KERNEL = block_kernel(
    "lam_dense_int2_quads",
    "int2_quads",
    BLOCKS,
    chunk=lambda levels: 1 - levels,
    wide=False,
    together=2,
)
