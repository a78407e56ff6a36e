"""A labelled data set in memory, and its division into training, validation and test."""

from dataclasses import dataclass

import numpy as np

from lamella.errors import UsageError


@dataclass(frozen=True)
class Splits:
    """Inputs (N, ...) as float32, labels (N,) as int64. `train` still contains the validation part."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def validation_indices(samples: int, validation: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(training, validation) indices: a seeded choice of `validation` out of `samples`, each ascending."""
    if not 0 < validation < samples:
        raise UsageError(f"validation = {validation}: the training part has {samples} samples; leave some for both")
    order = np.random.default_rng(seed).permutation(samples)
    return np.sort(order[validation:]), np.sort(order[:validation])
