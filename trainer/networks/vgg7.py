"""A VGG-7 for CIFAR-10: six 3x3 convolutions, 0.56 million weights. Input (3, 32, 32), ten classes."""

from torch import Tensor, nn


class Vgg7(nn.Module):
    """Pairs of convolutions with 24, 48 and 96 channels, each pair pooled, and two fully connected layers."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in (24, 48, 96):
            for _ in range(2):
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc1 = nn.Linear(96 * 4 * 4, 256, bias=False)
        self.norm = nn.BatchNorm1d(256)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(256, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc2(self.relu(self.norm(self.fc1(self.features(image).flatten(1)))))


def build() -> nn.Module:
    """A new network with random weights."""
    return Vgg7()
