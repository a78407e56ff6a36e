"""lam_dense_int8_pairs: a dense layer by dual multiplications. For cores with DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int8_pairs import BLOCKS

KERNEL = block_kernel("lam_dense_int8_pairs", "int8_pairs", BLOCKS, chunk=64, wide=True, requires=frozenset({"dsp"}))
