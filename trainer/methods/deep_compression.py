"""Pruning, then shared weights."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.palette import Palette

METHODS = (
    Method(
        name="deep_compression",
        year=2016,
        paper="Han, Mao, Dally, Deep Compression, ICLR 2016",
        reading="16 values a layer, zero included; stored in the generator's smallest format in place of Huffman codes",
        rule=Palette(entries=16, masked=True),
        saliency="magnitude",
    ),
)
