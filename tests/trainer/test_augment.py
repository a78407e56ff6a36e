"""Random changes of training pictures."""

import pytest
import torch

from lamella.errors import UsageError
from lamella.trainer import augment
from lamella.trainer.batches import TensorBatches


def numbered(n: int = 64, size: int = 6) -> torch.Tensor:
    """Pictures whose pixels are all different and above zero."""
    return torch.arange(1.0, n * 2 * size * size + 1).reshape(n, 2, size, size)


def test_crop_moves_pictures_and_fills_with_zeros():
    x = numbered()
    y = augment.crop(x, torch.Generator().manual_seed(0), 2)
    moves = set()
    for before, after in zip(x, y, strict=True):
        row, col = (int(i) for i in torch.nonzero(after[0])[0])
        value = after[0, row, col]
        (there,) = torch.nonzero(before[0] == value)
        down, right = row - int(there[0]), col - int(there[1])
        moves.add((down, right))
        expected = torch.zeros_like(before)
        rows, cols = slice(max(down, 0), 6 + min(down, 0)), slice(max(right, 0), 6 + min(right, 0))
        source = before[:, max(-down, 0) : 6 - max(down, 0), max(-right, 0) : 6 - max(right, 0)]
        expected[:, rows, cols] = source
        assert torch.equal(after, expected)
    assert len(moves) > 15 and max(abs(m) for move in moves for m in move) == 2


def test_flip_mirrors_about_half():
    x = numbered(256)
    y = augment.flip(x, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(b, a.flip(2)) for a, b in zip(x, y, strict=True)]
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, x, y, strict=True))
    assert 90 < sum(mirrored) < 166


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_an_epoch_is_repeatable_and_differs_from_the_next(name: str):
    x, y = numbered(32), torch.arange(32)
    first, again = (TensorBatches(x, y, 8, True, 3, augment=augment.get(name)) for _ in range(2))
    epochs = []
    for batches, epoch in ((first, 0), (again, 0), (first, 1)):
        batches.set_epoch(epoch)
        epochs.append(torch.cat([batch for batch, _ in batches]))
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])
    assert epochs[0].shape == x.shape


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="crop_flip"):
        augment.get("crop_flop")
