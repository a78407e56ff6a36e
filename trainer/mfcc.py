"""Mel-frequency cepstral coefficients, in floating point, written so that a fixed-point twin in C can follow every step.

Hann window, power spectrum, triangular mel filters, logarithm, orthonormal DCT-II (Davis and Mermelstein 1980).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mfcc:
    """rate in Hz; frame and hop in samples, frame a power of two; filters between low and high Hz.

    floor: what is added to the energy of a filter before the logarithm, for samples in -1..1.
    """

    rate: int = 8000
    frame: int = 256
    hop: int = 160
    filters: int = 24
    coefficients: int = 13
    low: float = 60.0
    high: float = 4000.0
    floor: float = 1e-6

    def samples(self, steps: int) -> int:
        """Samples that so many steps look at."""
        return (steps - 1) * self.hop + self.frame

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """float32 (steps, coefficients) of samples (n,) in -1..1; n is at least a frame."""
        frames = np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64), self.frame)[:: self.hop]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.frame) / self.frame)
        power = np.abs(np.fft.rfft(frames * window)) ** 2 / self.frame
        return (np.log(power @ self.mel().T + self.floor) @ self.dct().T).astype(np.float32)

    def mel(self) -> np.ndarray:
        """Filters (filters, frame / 2 + 1): triangles with corners at equal distances in mel = 2595 log10(1 + f / 700)."""
        corners = np.linspace(_to_mel(self.low), _to_mel(self.high), self.filters + 2)
        corners = 700 * (10 ** (corners / 2595) - 1)
        left, middle, right = (corners[k : k + self.filters, None] for k in range(3))
        bins = np.arange(self.frame // 2 + 1) * self.rate / self.frame
        rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
        return np.maximum(0, np.minimum(rising, falling))

    def dct(self) -> np.ndarray:
        """The first rows of the orthonormal DCT-II (coefficients, filters)."""
        k, n = np.arange(self.coefficients)[:, None], np.arange(self.filters)
        rows = np.sqrt(2 / self.filters) * np.cos(np.pi * k * (2 * n + 1) / (2 * self.filters))
        rows[0] /= np.sqrt(2)
        return rows


def _to_mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)
