"""Digits for a microcontroller with 2 kB of RAM: 25,000 weights, no activation above 784 bytes. Input (1, 28, 28), ten classes."""

from torch import Tensor, nn


class Mnist16k(nn.Module):
    """Four convolutions with BatchNorm, the first two with stride 2, and one fully connected layer.

    Input and first result take 784 + 576 bytes; no other pair with the scratch of its convolution takes more than 1,600.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, size, stride, padding in (
            (1, 4, 5, 2, 0),
            (4, 18, 3, 2, 1),
            (18, 38, 3, 1, 0),
            (38, 48, 3, 1, 0),
        ):
            layers += [
                nn.Conv2d(inputs, outputs, size, stride, padding, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(48 * 2 * 2, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.features(image).flatten(1))


def build() -> nn.Module:
    """A new network with random weights."""
    return Mnist16k()
