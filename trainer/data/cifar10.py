"""CIFAR-10 as published: 50,000 pictures of ten classes for training, test_batch.bin for the test."""

from pathlib import Path

from lamella.trainer.data.cifar import FOLDER, REMEDY, TRAIN, load_batches
from lamella.trainer.data.files import FileSet
from lamella.trainer.data.splits import Splits

TEST = "test_batch.bin"
#: No digest of the test batch is at hand; its size and labels are checked.
CIFAR10 = FileSet(FOLDER, {**TRAIN, TEST: ""}, REMEDY)


def load(folder: Path | None) -> Splits:
    """Images in 0..1 and labels."""
    return Splits(*load_batches(CIFAR10, folder, list(TRAIN)), *load_batches(CIFAR10, folder, [TEST]))
