"""Pruning of single weights, the rest int8."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.int8 import Int8

METHODS = (
    Method(
        name="obd",
        year=1990,
        paper="LeCun, Denker, Solla, Optimal Brain Damage, NIPS 1989",
        reading="diagonal of the Gauss-Newton matrix, sampled; one threshold for the network; kept weights int8",
        rule=Int8(masked=True),
        saliency="obd",
    ),
    Method(
        name="prune",
        year=2015,
        paper="Han, Pool, Tran, Dally, Learning both Weights and Connections, NIPS 2015",
        reading="one threshold for the network, raised every epoch; kept weights int8",
        rule=Int8(masked=True),
        saliency="magnitude",
    ),
)
