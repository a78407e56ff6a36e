"""int2_quads: four columns of four rows a word; shifted and masked, it is one column of two rows for one multiplication."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

BLOCKS = Blocks(
    bits=2,
    places=np.array([[0], [16], [2], [18]]) + 4 * np.arange(4),
    offsets=np.full(4, 1),
    sign=-1,  # the larger half of ternary levels is then no more than 2
)
FORMAT = block_format("int2_quads", "2 bits a weight, in blocks of four rows", BLOCKS)
