"""Shared sub-vectors: product quantisation of weights (Gong, Liu, Yang, Bourdev 2014).

The weights, row after row, are cut into pieces; k-means finds one codebook for all pieces of the layer, which is then
trained by summed gradients. Codebook values are integers of a few bits times one scale. Pieces and codebook are what
the weight format vectors stores: pieces of 2, 4 or 8 weights that run over row ends, not more than 256 different ones.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.rules.kmeans import nearest_vector, vector_kmeans
from lamella.trainer.rules.orientation import orientation
from lamella.trainer.rules.shared import Lookup, quantized_book

SIZES = (2, 4, 8)
#: Pieces that an entry of the codebook serves at least, on average: else it would take more bytes than it saves.
MEMBERS = 4


@dataclass(frozen=True)
class Vector:
    """A codebook of up to `entries` pieces of `size` weights, its values of `bits` bits.

    Small layers have fewer entries.
    """

    size: int = 4
    entries: int = 64
    bits: int = 4
    name: ClassVar[str] = "vector"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"vector size = {self.size} is out of range; choose 2, 4 or 8")
        for name, least, most in (("entries", 2, 256), ("bits", 2, 8)):
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"vector {name} = {getattr(self, name)} is out of range; choose {least} to {most}")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            pieces = self.pieces(orientation(layer) * layer.weight)
            centroids = vector_kmeans(pieces, self.entries_for(len(pieces)))
            members = nearest_vector(pieces, centroids)
        layer.extra["centroids"] = nn.Parameter(centroids)
        layer.extra["members"] = nn.Parameter(members, requires_grad=False)

    def weight(self, layer) -> Tensor:
        with torch.no_grad():
            levels, scale = self._book(layer)
        pieces = Lookup.apply(layer.extra["centroids"], levels * scale, layer.extra["members"])
        return orientation(layer) * self._joined(pieces, layer.weight)

    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            book, scale = self._book(layer)
            levels = orientation(layer) * self._joined(book[layer.extra["members"]], layer.weight)
        return levels.numpy().astype(np.int64), scale.reshape(1).numpy().astype(np.float64)

    def keep_valid_(self, layer) -> None:
        pass

    def entries_for(self, pieces: int) -> int:
        """Entries for a layer of so many pieces: for a small one the power of two that leaves MEMBERS to each."""
        return min(self.entries, max(2, 1 << max(pieces // MEMBERS, 1).bit_length() - 1))

    def pieces(self, weight: Tensor) -> Tensor:
        """(pieces, size): the weights cut up, row after row; zeros fill the last one."""
        return F.pad(weight.flatten(), (0, -weight.numel() % self.size)).reshape(-1, self.size)

    def _joined(self, pieces: Tensor, like: Tensor) -> Tensor:
        return pieces.flatten()[: like.numel()].reshape(like.shape)

    def _book(self, layer) -> tuple[Tensor, Tensor]:
        return quantized_book(layer.extra["centroids"].detach(), 2 ** (self.bits - 1) - 1)


RULE = Vector
