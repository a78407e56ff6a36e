"""ResNet-20 for CIFAR-10 (He et al. 2016), its two projections as 1x1 convolutions. Input (3, 32, 32), ten classes."""

from itertools import pairwise

from torch import Tensor, nn

from lamella.trainer.networks.resnet8 import Block


class ResNet20(nn.Module):
    """Stem of 16 channels, three stages of three blocks with 16, 32 and 64."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.Sequential(*(Block(a, b, 1 if a == b else 2) for a, b in pairwise(widths)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.bn(self.stem(image)))
        return self.fc(self.pool(self.blocks(x)).flatten(1))


def build() -> nn.Module:
    """A new network with random weights."""
    return ResNet20()
