"""Sparse ternary levels as gaps and signs: what the sparse formats have in common."""

import numpy as np


def gaps_and_signs(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(gaps, negative) of levels in row order.

    gaps (int64, n + 1): zeros before each of the n non-zero levels, then the zeros after the last one.
    negative (bool, n): whether each non-zero level is -1.
    """
    flat = levels.ravel()
    where = np.flatnonzero(flat)
    bounds = np.concatenate([[-1], where, [flat.size]])
    return np.diff(bounds) - 1, flat[where] < 0


def levels_of(gaps: np.ndarray, negative: np.ndarray, count: int) -> np.ndarray:
    """The `count` levels (int16) that `gaps_and_signs` takes apart; ValueError where they do not add up."""
    if gaps.sum() + negative.size != count:
        raise ValueError(f"gaps and signs make {gaps.sum() + negative.size} levels, not {count}")
    levels = np.zeros(count, np.int16)
    levels[np.cumsum(gaps[:-1] + 1) - 1] = np.where(negative, -1, 1)
    return levels
