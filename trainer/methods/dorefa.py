"""Weights of k bits through tanh."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.dorefa import Dorefa

METHODS = tuple(
    Method(
        name=f"dorefa{bits}",
        year=2016,
        paper="Zhou et al., DoReFa-Net, 2016",
        reading="weights only; scaled to the size of the float weights; first and last layer int8",
        rule=Dorefa(bits),
        keeps_ends=True,
    )
    for bits in (1, 2, 4)
)
