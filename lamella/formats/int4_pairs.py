"""int4_pairs: two columns of four rows a word, a nibble each, the last row's with sign; for dual multiplications."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

BLOCKS = Blocks(
    bits=4,
    places=np.arange(4)[:, None] * 4 + np.array([0, 16, 32, 48]),
    offsets=np.array([8, 8, 8, 0]),
)
FORMAT = block_format("int4_pairs", "4 bits a weight, in blocks of four rows for cores with DSP instructions", BLOCKS)
