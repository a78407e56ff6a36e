"""lam_dense_int8_quads: a dense layer, four rows at a time. For cores without DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int8_quads import BLOCKS

KERNEL = block_kernel("lam_dense_int8_quads", "int8_quads", BLOCKS, chunk=0xFFFF, wide=False)
