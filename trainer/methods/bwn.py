"""Binary weights, one scale a filter."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.bwn import BinaryPerFilter

METHODS = (
    Method(
        name="bwn",
        year=2016,
        paper="Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net (binary weight networks), ECCV 2016",
        reading="the gradient is the paper's divided by alpha; first and last layer int8",
        rule=BinaryPerFilter(),
        keeps_ends=True,
    ),
)
