"""lam_dense_ternary_pairs: 1.6 bits a weight by dual multiplications. For cores with DSP instructions."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.ternary_quads import BLOCKS

KERNEL = block_kernel(
    "lam_dense_ternary_pairs", "ternary_quads", BLOCKS, chunk=50, wide=True, requires=frozenset({"dsp"})
)
