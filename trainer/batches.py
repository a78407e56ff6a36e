"""Batches of (inputs, labels): what the trainer accepts and what it refuses."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

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


class Interleaved:
    """Training batches with those of a second split spread evenly between them, shuffled anew for every epoch.

    second: checked batches; they are cut anew into equal parts of at most `size` samples, as many as a training batch
    has, so that no step counts few samples as much as many. Their order depends on seed and epoch alone.
    """

    def __init__(self, first: Iterable, second: list[tuple[Tensor, Tensor]], size: int, seed: int):
        x, y = (torch.cat(parts) for parts in zip(*second, strict=True))
        self._first, self._count = first, number_of(first)
        self._second = TensorBatches(x, y, math.ceil(len(y) / math.ceil(len(y) / size)), True, seed)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        self._second.set_epoch(epoch)
        if hasattr(self._first, "set_epoch"):
            self._first.set_epoch(epoch)

    def __len__(self) -> int:
        return self._count + len(self._second)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        second, done = iter(self._second), 0
        for number, batch in enumerate(self._first, start=1):
            yield batch
            until = number * len(self._second) // self._count
            yield from islice(second, until - done)
            done = until
        yield from second


class Share:
    """The first batches of every epoch, as many as `share` of all, one at least: of shuffled data another part each time."""

    def __init__(self, batches: Iterable, share: float):
        self._batches, self._count = batches, max(1, round(share * number_of(batches)))

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        if hasattr(self._batches, "set_epoch"):
            self._batches.set_epoch(epoch)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(iter(self._batches), self._count)


def number_of(batches: Iterable) -> int:
    """How many batches an epoch has; counted where the data do not tell, as a DataLoader of an IterableDataset."""
    try:
        return len(batches)
    except TypeError:
        return sum(1 for _ in batches)


def checked(
    batches: Iterable, split: str, classes: int | None = None, shape: tuple[int, ...] | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a split as float32 and int64, empty ones left out; UsageError where they cannot be trained on.

    shape: of one sample; by default that of the first.
    """
    samples = 0
    for number, batch in enumerate(batches):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise UsageError(f"{split} data: batch {number} is no pair (inputs, labels)")
        where = f"{split} data, batch {number}"
        try:
            x, y = (torch.as_tensor(part) for part in batch)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"{where}: cannot be made tensors ({error}); give tensors or arrays of numbers") from None
        if x.dim() < 2 or y.dim() != 1 or len(x) != len(y):
            raise UsageError(
                f"{where}: {tuple(x.shape)} inputs and {tuple(y.shape)} labels; samples along the first axis of the inputs, "
                "and one label a sample, are needed"
            )
        shape = tuple(x.shape[1:]) if shape is None else shape
        if tuple(x.shape[1:]) != shape:
            raise UsageError(
                f"{where}: a sample has shape {tuple(x.shape[1:])}, others {shape}; all must have the same"
            )
        if y.is_floating_point():
            raise UsageError(f"{where}: labels are {y.dtype}; class numbers (integers) are needed")
        x, y = x.float(), y.long()
        if not bool(torch.isfinite(x).all()):
            raise UsageError(f"{where}: holds NaN or infinite inputs; clean the data first")
        if len(y) and (int(y.min()) < 0 or (classes is not None and int(y.max()) >= classes)):
            label, last = int(y.min()) if int(y.min()) < 0 else int(y.max()), "" if classes is None else classes - 1
            raise UsageError(f"{where}: label {label} is outside 0..{last}, the classes of the network")
        samples += len(y)
        if len(y):
            yield x, y
    if not samples:
        raise UsageError(
            f"{split} data: no batches that hold samples; give at least one sample (an iterator that was used up stays empty)"
        )


def require_repeatable(batches: Iterable, split: str) -> None:
    """UsageError for a one-shot iterator, and what is none: training needs several passes."""
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise UsageError(f"{split} data: {type(batches).__name__} has no batches; give a list of them or a DataLoader")
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
