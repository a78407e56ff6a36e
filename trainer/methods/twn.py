"""Ternary weights with threshold and scale in closed form."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.ternary import Ternary

METHODS = (
    Method(
        name="twn",
        year=2016,
        paper="Li, Zhang, Liu, Ternary Weight Networks, 2016",
        reading="one threshold and one scale a layer; all layers",
        rule=Ternary(zeros="mean", threshold=0.7, sigma="closed"),
    ),
)
