"""LeNet-300-100: three fully connected layers, 266,200 weights. Input (1, 28, 28), ten classes."""

from torch import Tensor, nn


class LeNet300(nn.Module):
    """784 - 300 - 100 - 10 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.fc1(image.flatten(1)))
        return self.fc3(self.relu(self.fc2(x)))


def build() -> nn.Module:
    """A new network with random weights."""
    return LeNet300()
