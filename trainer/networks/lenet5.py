"""LeNet-5 in the shape that compression papers use: 430,500 weights. Input (1, 28, 28), ten classes."""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two convolutions, each with ReLU and pooling, and two fully connected layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        # Pooling before ReLU gives the same as ReLU before pooling, from a quarter of the values.
        x = self.relu(self.pool(self.conv1(image)))
        x = self.relu(self.pool(self.conv2(x)))
        x = self.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def build() -> nn.Module:
    """A new network with random weights."""
    return LeNet5()
