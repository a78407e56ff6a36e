"""int8_quads: a column of four rows a word, a byte each; for cores without DSP instructions."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

BLOCKS = Blocks(bits=8, places=np.array([[0, 32], [8, 40], [16, 48], [24, 56]]), offsets=np.full(4, 128))
FORMAT = block_format("int8_quads", "8 bits a weight, in blocks of four rows", BLOCKS)
