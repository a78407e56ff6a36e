"""Batches of (inputs, labels): what the trainer accepts and what it refuses."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.augment import Augmentation


@dataclass
class TensorBatches:
    """A split held in memory, in shuffled batches or in order. One epoch is one iteration.

    x: float32 (N, ...), y: int64 (N,). The order of an epoch depends on seed and epoch alone, so a resumed run sees
    the same batches; the trainer calls set_epoch.
    """

    x: Tensor
    y: Tensor
    batch_size: int = 128
    shuffle: bool = False
    seed: int = 0
    epoch: int = 0
    augment: Augmentation | None = None  # of shuffled batches

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.shuffle:
            yield from zip(self.x.split(self.batch_size), self.y.split(self.batch_size), strict=True)
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        for index in torch.randperm(len(self.x), generator=generator).split(self.batch_size):
            x = self.x[index]
            yield x if self.augment is None else self.augment(x, generator), self.y[index]


def checked(batches: Iterable, split: str, classes: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a split as float32 and int64; UsageError where they cannot be trained on."""
    number = -1
    for number, batch in enumerate(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise UsageError(f"{split} data: batch {number} is no pair (inputs, labels)")
        x, y = (torch.as_tensor(part) for part in batch)
        where = f"{split} data, batch {number}"
        if len(x) != len(y) or y.dim() != 1:
            raise UsageError(
                f"{where}: {tuple(x.shape)} inputs and {tuple(y.shape)} labels; one label a sample is needed"
            )
        if y.is_floating_point():
            raise UsageError(f"{where}: labels are {y.dtype}; class numbers (integers) are needed")
        x, y = x.float(), y.long()
        if not bool(torch.isfinite(x).all()):
            raise UsageError(f"{where}: holds NaN or infinite inputs; clean the data first")
        if len(y) and (int(y.min()) < 0 or (classes is not None and int(y.max()) >= classes)):
            raise UsageError(
                f"{where}: label {int(y.min()) if int(y.min()) < 0 else int(y.max())} is outside 0..{(classes or 1) - 1}, "
                "the classes of the network"
            )
        yield x, y
    if number < 0:
        raise UsageError(
            f"{split} data: no batches; give at least one sample (an iterator that was used up stays empty)"
        )


def require_repeatable(batches: Iterable, split: str) -> None:
    """UsageError for a one-shot iterator: training needs several passes."""
    if iter(batches) is batches:
        raise UsageError(f"{split} data can be iterated only once; give a list of batches or a DataLoader")


def inputs_for_calibration(batches: Iterable, count: int) -> list[Tensor]:
    """Inputs of the first `count` batches, in the order of epoch 0."""
    if hasattr(batches, "set_epoch"):
        batches.set_epoch(0)
    inputs = []
    for x, _ in checked(batches, "training"):
        inputs.append(x)
        if len(inputs) == count:
            break
    return inputs
