"""Shared sub-vectors."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.vector import Vector

METHODS = (
    Method(
        name="vector_quant",
        year=2014,
        paper="Gong, Liu, Yang, Bourdev, Compressing Deep Convolutional Networks using Vector Quantization, 2014",
        reading="one codebook of 64 pieces of 4 weights a layer (small layers: fewer), fine-tuned; 4-bit values",
        rule=Vector(size=4, entries=64, bits=4),
    ),
)
