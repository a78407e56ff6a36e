"""lam_dense_int2_pairs: a dense layer by dual multiplications. For cores with DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int2_pairs import BLOCKS

KERNEL = block_kernel("lam_dense_int2_pairs", "int2_pairs", BLOCKS, chunk=32, wide=True, requires=frozenset({"dsp"}))
