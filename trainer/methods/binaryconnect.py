"""Binary weights, one fixed scale a layer."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.binary import Binary

METHODS = (
    Method(
        name="binaryconnect",
        year=2015,
        paper="Courbariaux, Bengio, David, BinaryConnect, NIPS 2015",
        reading="deterministic; scale: mean |w| of the float layer, as not every network has BatchNorm",
        rule=Binary(),
    ),
)
