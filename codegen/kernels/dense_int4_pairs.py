"""lam_dense_int4_pairs: a dense layer by dual multiplications. For cores with DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.int4_pairs import BLOCKS

KERNEL = block_kernel("lam_dense_int4_pairs", "int4_pairs", BLOCKS, chunk=64, wide=True, requires=frozenset({"dsp"}))
