"""Uniform widths: int8, learned steps, fixed point, powers of two."""

from lamella.trainer.methods.method import Method
from lamella.trainer.rules.fixed_point import FixedPoint
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.uniform import Uniform

_PRECISION = "Hashemi, Anthony, Tann, Bahar, Reda, Understanding the Impact of Precision Quantization, DATE 2017"

METHODS = (
    Method(
        name="int8",
        year=2018,
        paper="Jacob et al., Quantization and Training for Integer-Arithmetic-Only Inference, CVPR 2018",
        reading="symmetric, a scale per output channel",
        rule=Int8(),
    ),
    *(
        Method(
            name=f"fixed_point{bits}",
            year=2017,
            paper=_PRECISION,
            reading="weights; a power of two as scale of the layer; activations stay uint8",
            rule=FixedPoint(bits),
        )
        for bits in (8, 4)
    ),
    Method(
        name="powers_of_two",
        year=2017,
        paper=_PRECISION,
        reading="0 and seven powers of two with sign, a power of two as scale of the layer; activations stay uint8",
        rule=FixedPoint(4, powers=True),
    ),
    *(
        Method(
            name=f"lsq{bits}",
            year=2020,
            paper="Esser et al., Learned Step Size Quantization, ICLR 2020",
            reading="a step per output channel; first and last layer int8",
            rule=Uniform(bits),
            keeps_ends=True,
        )
        for bits in (2, 4)
    ),
)
