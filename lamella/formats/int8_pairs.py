"""int8_pairs: two columns of two rows a word, halfwords 256 * second + (first + 128); for dual multiplications."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

BLOCKS = Blocks(bits=8, places=np.array([[0, 16, 32, 48], [8, 24, 40, 56]]), offsets=np.array([128, 0]))
FORMAT = block_format("int8_pairs", "8 bits a weight, in blocks of two rows for cores with DSP instructions", BLOCKS)
