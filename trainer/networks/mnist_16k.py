"""Digits for a microcontroller of 16 kB: 17,000 weights, no activation above 800 bytes. Input (1, 28, 28), ten classes."""

from torch import Tensor, nn


class Mnist16k(nn.Module):
    """Four 3x3 convolutions with BatchNorm, the first two with stride 2, and one fully connected layer."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride, padding in ((1, 4, 2, 1), (4, 16, 2, 1), (16, 32, 1, 0), (32, 32, 1, 0)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(32 * 3 * 3, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.features(image).flatten(1))


def build() -> nn.Module:
    """A new network with random weights."""
    return Mnist16k()
