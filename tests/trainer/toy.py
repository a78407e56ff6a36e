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


def strange_labels(folder) -> Splits:
    """As load, with a class in the test part that the network does not have."""
    splits = load(folder)
    return Splits(splits.train_x, splits.train_y, splits.test_x, splits.test_y + 1)


def too_few_labels(folder) -> Splits:
    """As load, with a label too few."""
    splits = load(folder)
    return Splits(splits.train_x, splits.train_y[1:], splits.test_x, splits.test_y)


def no_test(folder) -> Splits:
    """As load, without a test part."""
    splits = load(folder)
    return Splits(splits.train_x, splits.train_y, splits.test_x[:0], splits.test_y[:0])


def other_pictures(folder) -> Splits:
    """As load, with a test part of pictures half as high."""
    splits = load(folder)
    return Splits(splits.train_x, splits.train_y, splits.test_x[:, :, :4], splits.test_y)


def transposed_network() -> nn.Module:
    """With a layer that has no counterpart in firmware."""
    return nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, 4))


def wider_network() -> SmallNet:
    """A SmallNet with another number of classes."""
    network = SmallNet()
    network.fc2 = nn.Linear(24, 5)
    return network
