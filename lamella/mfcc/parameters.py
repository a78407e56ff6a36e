"""What a front end computes: frames, mel filters, cosine transform (Davis and Mermelstein 1980), normalisation."""

from dataclasses import dataclass

import numpy as np

from lamella.errors import UsageError

#: A feature is uint8; SCALE * (feature - ZERO_POINT) is a coefficient with mean 0 and deviation 1, within -4 and 4.
SCALE = 1 / 32
ZERO_POINT = 128

#: Frames that the fixed-point transform takes.
FRAMES = (32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Mfcc:
    """rate in Hz; frame and hop in samples; `filters` triangles between low and high Hz, at equal distances in mel.

    floor: where the logarithm ends, as energy of a filter for samples in -1..1 (power spectrum divided by frame).
    mean, deviation: of each coefficient over the training part, for the normalisation; trainer/mfcc.py finds them.
    A coefficient is that of the orthonormal DCT-II of ln((energy + floor) / floor).
    """

    rate: int = 8000
    frame: int = 256
    hop: int = 160
    filters: int = 24
    coefficients: int = 13
    low: float = 60.0
    high: float = 4000.0
    floor: float = 1e-6
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        checks = (
            (self.frame in FRAMES, f"frame = {self.frame}", f"one of {', '.join(map(str, FRAMES))}"),
            (1 <= self.hop <= self.frame, f"hop = {self.hop}", "1 to frame"),
            (self.filters % 2 == 0 and 2 <= self.filters <= 64, f"filters = {self.filters}", "even and 2 to 64"),
            (1 <= self.coefficients <= self.filters, f"coefficients = {self.coefficients}", "1 to filters"),
            (self.rate > 0, f"rate = {self.rate}", "above 0"),
            (
                0 <= self.low < self.high <= self.rate / 2,
                f"low = {self.low:g}, high = {self.high:g}",
                "rising, from 0 to half the rate",
            ),
            (1e-9 <= self.floor <= 0.01, f"floor = {self.floor:g}", "1e-9 to 0.01"),
            (
                len(self.mean) == len(self.deviation) and len(self.mean) in (0, self.coefficients),
                f"mean and deviation have {len(self.mean)} and {len(self.deviation)} values",
                "one each for every coefficient, or none",
            ),
            (
                all(np.isfinite(self.mean)) and all(np.isfinite(d) and d >= 0.01 for d in self.deviation),
                "mean or deviation",
                "finite, deviations 0.01 or more",
            ),
        )
        for holds, what, range_ in checks:
            if not holds:
                raise UsageError(f"MFCC: {what} is out of range; it must be {range_}")
        empty = np.flatnonzero(self.mel().max(axis=1) < 1 / 256)
        if len(empty):
            raise UsageError(
                f"MFCC: filter {empty[0]} has no bin of the spectrum; take fewer filters, a longer frame or a higher low"
            )

    def samples(self, steps: int) -> int:
        """Samples that so many steps look at."""
        return (steps - 1) * self.hop + self.frame

    def corners(self) -> np.ndarray:
        """Frequencies (filters + 2,) in Hz: filter k rises from corner k, is 1 at k + 1 and ends at k + 2."""
        corners = np.linspace(_to_mel(self.low), _to_mel(self.high), self.filters + 2)
        return 700 * (10 ** (corners / 2595) - 1)

    def mel(self) -> np.ndarray:
        """Weights (filters, frame / 2 + 1) of the triangles, 0 to 1."""
        corners = self.corners()
        left, middle, right = (corners[k : k + self.filters, None] for k in range(3))
        bins = np.arange(self.frame // 2 + 1) * self.rate / self.frame
        return np.maximum(0, np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle)))

    def dct(self) -> np.ndarray:
        """The first rows of the orthonormal DCT-II (coefficients, filters)."""
        k, n = np.arange(self.coefficients)[:, None], np.arange(self.filters)
        rows = np.sqrt(2 / self.filters) * np.cos(np.pi * k * (2 * n + 1) / (2 * self.filters))
        rows[0] /= np.sqrt(2)
        return rows


def _to_mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)
