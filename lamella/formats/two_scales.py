"""Levels of two scales, -a, 0 and +b: what the formats two_scale and two_scale_ans have in common."""

import numpy as np

HEADER_BYTES = 4


def holds(levels: np.ndarray) -> bool:
    """Whether there is at most one level below zero and at most one above."""
    below, above = levels[levels < 0], levels[levels > 0]
    return bool((below == below[:1]).all() and (above == above[:1]).all())


def alphabet(rng: np.random.Generator, limit: int) -> np.ndarray:
    """-a, 0, b for random a and b."""
    return np.array([-rng.integers(1, limit + 1), 0, rng.integers(1, limit + 1)])


def split(levels: np.ndarray) -> tuple[bytes, np.ndarray]:
    """(header, signs): the levels -a and b as two int16, -1 and 1 where there is none, and -1, 0, 1 in their places."""
    lowest, highest = min(levels.min(initial=0), 0) or -1, max(levels.max(initial=0), 0) or 1
    return np.array([lowest, highest], "<i2").tobytes(), np.sign(levels).astype(np.int16)


def join(name: str, data: bytes, signs: np.ndarray) -> np.ndarray:
    """The levels that `split` made a header and signs of."""
    lowest, highest = read_header(name, data)
    return np.where(signs < 0, lowest, np.where(signs > 0, highest, 0)).astype(np.int16)


def read_header(name: str, data: bytes) -> tuple[int, int]:
    """(-a, b); ValueError where the header is incomplete."""
    if len(data) < HEADER_BYTES:
        raise ValueError(f"{name}: the header is missing")
    lowest, highest = np.frombuffer(data, "<i2", 2)
    return int(lowest), int(highest)
