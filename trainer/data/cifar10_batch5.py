"""CIFAR-10 without its test batch: batches 1 to 4 for training, batch 5 for the test.

Accuracies are not those of the published test batch, and the training part is a fifth smaller than the usual one.
"""

from pathlib import Path

from lamella.trainer.data.cifar import FOLDER, REMEDY, TRAIN, load_batches
from lamella.trainer.data.files import FileSet
from lamella.trainer.data.splits import Splits

CIFAR10_BATCH5 = FileSet(FOLDER, TRAIN, REMEDY)


def load(folder: Path | None) -> Splits:
    """Images in 0..1 and labels."""
    names = list(TRAIN)
    return Splits(*load_batches(CIFAR10_BATCH5, folder, names[:4]), *load_batches(CIFAR10_BATCH5, folder, names[4:]))
