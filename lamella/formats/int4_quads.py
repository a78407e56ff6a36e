"""int4_quads: two columns of four rows a word; shifted and masked, it is one column of two rows for one multiplication."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

BLOCKS = Blocks(bits=4, places=np.array([[0, 8], [16, 24], [4, 12], [20, 28]]), offsets=np.full(4, 8))
FORMAT = block_format("int4_quads", "4 bits a weight, in blocks of four rows", BLOCKS)
