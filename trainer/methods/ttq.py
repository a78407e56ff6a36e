"""Ternary weights with two learned scales."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.ttq import TrainedTernary

METHODS = (
    Method(
        name="ttq",
        year=2017,
        paper="Zhu, Han, Mao, Dally, Trained Ternary Quantization, ICLR 2017",
        reading="W_p and W_n are integers up to 127 times a scale; they start at the means of |w|; first and last layer int8",
        rule=TrainedTernary(threshold=0.05),
        keeps_ends=True,
    ),
)
