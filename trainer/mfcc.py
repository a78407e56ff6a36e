"""Cepstral coefficients as inputs of a network: the integers of lamella.mfcc, which a microcontroller computes too."""

from dataclasses import replace

import numpy as np

from lamella.mfcc import SCALE, ZERO_POINT, Mfcc, integer
from lamella.mfcc.tables import ENERGY_BITS

__all__ = ["Mfcc", "fitted", "inputs"]


def fitted(front_end: Mfcc, samples: np.ndarray) -> Mfcc:
    """The front end with mean and deviation of these int16 recordings' (..., n) coefficients, to three decimals."""
    plain = integer.log_energies(front_end, samples).reshape(-1, front_end.filters)
    coefficients = plain * (np.log(2) / 2**ENERGY_BITS) @ front_end.dct().T
    mean, deviation = coefficients.mean(axis=0), np.maximum(coefficients.std(axis=0), 0.01)
    return replace(front_end, mean=tuple(mean.round(3).tolist()), deviation=tuple(deviation.round(3).tolist()))


def inputs(front_end: Mfcc, samples: np.ndarray) -> np.ndarray:
    """float32 (..., steps, coefficients), multiples of 1/32 from -4 to 127/32, of int16 samples (..., n).

    A QuantizeLinear to uint8 with scale 1/32 and zero point 128 gives back the integers that the C computes.
    """
    return (np.float32(SCALE) * (integer.features(front_end, samples).astype(np.int16) - ZERO_POINT)).astype(np.float32)
