"""Convolutions along time for motions of a watch: 37,100 weights. Input (6, 128), seven classes."""

from torch import Tensor, nn


class ConvWatch(nn.Module):
    """Three convolutions, each with BatchNorm, ReLU and a pooling by two, the mean over time, a fully connected layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(6, 32, 7, padding=3, bias=False)
        self.norm1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 64, 5, padding=2, bias=False)
        self.norm2 = nn.BatchNorm1d(64)
        self.conv3 = nn.Conv1d(64, 128, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm1d(128)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(2)
        self.whole = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(128, 7)

    def forward(self, motion: Tensor) -> Tensor:
        x = self.pool(self.relu(self.norm1(self.conv1(motion))))
        x = self.pool(self.relu(self.norm2(self.conv2(x))))
        x = self.relu(self.norm3(self.conv3(x)))
        return self.fc(self.whole(x).flatten(1))


def build() -> nn.Module:
    """A new network with random weights."""
    return ConvWatch()
