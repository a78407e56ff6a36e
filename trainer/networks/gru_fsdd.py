"""A GRU of 128 units for spoken digits: 55,400 weights. Input (40, 13), ten classes."""

from torch import Tensor, nn


class GruDigits(nn.Module):
    """The last output of a GRU, then a fully connected layer."""

    def __init__(self, units: int = 128) -> None:
        super().__init__()
        self.gru = nn.GRU(13, units, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(units, 10)

    def forward(self, coefficients: Tensor) -> Tensor:
        sequence, _ = self.gru(coefficients)
        return self.fc(self.drop(sequence[:, -1]))


def build() -> nn.Module:
    """A new network with random weights."""
    return GruDigits()
