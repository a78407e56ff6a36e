"""Mel-frequency cepstral coefficients in integers, the same numbers here and on the microcontroller. numpy only.

front_end = Mfcc(rate=8000, ...)                    what is computed
integer.features(front_end, samples) -> uint8       the reference, for training and for tests
lamella.features.folder(front_end, "digits")       the same in C, with runtime_c's lam_mfcc

docs/mfcc.md describes every step.
"""

from lamella.mfcc.parameters import SCALE, ZERO_POINT, Mfcc

__all__ = ["SCALE", "ZERO_POINT", "Mfcc"]
