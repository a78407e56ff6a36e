"""A network and a data set that recipes of the tests name as lamella_toy:..."""

import numpy as np

from lamella.trainer.data.splits import Splits

from .conftest import SmallNet, stripes


def network() -> SmallNet:
    """A SmallNet."""
    return SmallNet()


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
