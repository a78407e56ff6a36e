"""Small networks and data that every test of the trainer can afford."""

import pytest
import torch
from torch import nn

from lamella.trainer.batches import TensorBatches


@pytest.fixture(autouse=True)
def one_thread():
    """The machine is shared; small networks gain nothing from a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class SmallNet(nn.Module):
    """A convolution with BatchNorm, a plain one, and two fully connected layers, for (1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.fc1 = nn.Linear(8 * 3 * 3, 24)
        self.fc2 = nn.Linear(24, 4)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = self.relu(self.pool(self.conv2(x)))
        return self.fc2(self.relu(self.fc1(x.flatten(1))))


def stripes(samples: int, seed: int, batch_size: int = 32, shuffle: bool = False) -> TensorBatches:
    """Four classes of noisy 8x8 pictures: rows, columns, checks, plain."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (samples,), generator=generator)
    grid = torch.arange(8) % 2
    patterns = torch.stack(
        [grid[:, None].expand(8, 8), grid[None].expand(8, 8), grid[:, None] ^ grid[None], torch.zeros(8, 8)]
    )
    x = (0.7 * patterns[y].float() + 0.5 * torch.rand(samples, 8, 8, generator=generator)).clamp(0, 1)[:, None]
    return TensorBatches(x, y, batch_size, shuffle, seed)


@pytest.fixture(scope="session")
def data():
    """(training, validation) batches."""
    return stripes(512, 1, shuffle=True), stripes(256, 2)


@pytest.fixture(scope="session")
def trained(data):
    """A SmallNet that classifies the stripes well; tests must not change it."""
    from lamella.trainer.fit import Descent, fit

    torch.manual_seed(0)
    model = SmallNet()
    fit(model, data[0], Descent(6, 0.05), what="test", seed=0)
    return model
