"""Random changes of training pictures that leave their class as it is."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.names import closest

#: A batch (N, channels, rows, columns) and the source of randomness to the changed batch.
Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def crop(x: Tensor, generator: torch.Generator, margin: int) -> Tensor:
    """Each picture moved by up to `margin` pixels both ways; what is uncovered is zero."""
    n, _, height, width = x.shape
    offsets = torch.randint(0, 2 * margin + 1, (2, n, 1), generator=generator)
    rows, cols = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
    padded = F.pad(x, (margin, margin, margin, margin))
    sample = torch.arange(n)[:, None, None]
    return padded[sample, :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored or not."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "shift": lambda x, generator: crop(x, generator, 2),  # digits, clothes: up to two pixels
    "crop_flip": lambda x, generator: flip(crop(x, generator, 4), generator),  # the usual one for CIFAR-10
}


def get(name: str) -> Augmentation | None:
    """The augmentation of that name; None for "none"."""
    if name not in AUGMENTATIONS:
        raise UsageError(
            f"augmentation {name!r} is not known{closest(name, AUGMENTATIONS)}; choose one of {', '.join(AUGMENTATIONS)}"
        )
    return AUGMENTATIONS[name]
