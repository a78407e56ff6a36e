"""int2_pairs: eight columns of two rows a word; rotated and masked, it is two columns for one dual multiplication."""

import numpy as np

from lamella.formats.blocks import Blocks, block_format

_PAIR = np.array([[0, 16], [14, 30]])  # of two rows and two columns: bits under the mask 0xc003c003
BLOCKS = Blocks(
    bits=2,
    places=np.concatenate([(_PAIR + 4 * k) % 32 for k in range(4)], axis=1),
    offsets=np.array([2, 0]),
)
FORMAT = block_format("int2_pairs", "2 bits a weight, in blocks of two rows for cores with DSP instructions", BLOCKS)
