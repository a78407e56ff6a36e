"""lam_dense_ternary_bytes: 1.6 bits a weight through a table. For cores without a long multiplication."""

from lamella.codegen.kernels.dense_blocks import block_kernel
from lamella.formats.ternary_bytes import BLOCKS

KERNEL = block_kernel("lam_dense_ternary_bytes", "ternary_bytes", BLOCKS, chunk=lambda levels: levels + 1, wide=False)
