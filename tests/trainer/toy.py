"""A network and a data set that recipes of the tests name as lamella_toy:..."""

import numpy as np
from torch import nn

from lamella.trainer.data.splits import Splits

from .conftest import SmallNet, stripes


def network() -> SmallNet:
    """A SmallNet."""
    return SmallNet()


class PlainNet(nn.Module):
    """Without BatchNorm, whose statistics would be those of a process's share."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 4 * 4, 4)

    def forward(self, x):
        return self.fc(nn.functional.max_pool2d(nn.functional.relu(self.conv(x)), 2).flatten(1))


def plain_network() -> PlainNet:
    """A PlainNet."""
    return PlainNet()


def load(folder) -> Splits:
    """640 pictures for training and 128 for the test."""
    train, test = stripes(640, 1), stripes(128, 2)
    return Splits(train.x.numpy(), train.y.numpy(), test.x.numpy(), test.y.numpy())


def broken(folder) -> Splits:
    """As load, with a NaN in one picture."""
    splits = load(folder)
    x = splits.train_x.copy()
    x[:, 0, 0, 0] = np.nan
    return Splits(x, splits.train_y, splits.test_x, splits.test_y)


def nothing(folder) -> int:
    """No data set."""
    return 0
