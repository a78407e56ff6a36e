"""Shared sub-vectors: product quantisation of weights (Gong, Liu, Yang, Bourdev 2014).

Each row of the weight matrix is cut into pieces of `size` weights; k-means finds one codebook for all pieces of the
layer, which is then trained by summed gradients. Codebook values are integers of a few bits times one scale.
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


@dataclass(frozen=True)
class Vector:
    """A codebook of up to `entries` pieces of `size` weights, its values of `bits` bits."""

    size: int = 4
    entries: int = 64
    bits: int = 4
    name: ClassVar[str] = "vector"
    collapsed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, least, most in (("size", 1, 64), ("entries", 2, 4096), ("bits", 2, 8)):
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"vector {name} = {getattr(self, name)} is out of range; choose {least} to {most}")

    def start_(self, layer) -> None:
        layer.extra.clear()
        with torch.no_grad():
            pieces = self.pieces(orientation(layer) * layer.weight)
            centroids = vector_kmeans(pieces, self.entries)
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

    def pieces(self, weight: Tensor) -> Tensor:
        """(pieces, size): the rows cut up, each filled with zeros at its end."""
        rows = weight.reshape(len(weight), -1)
        return F.pad(rows, (0, -rows.shape[1] % self.size)).reshape(-1, self.size)

    def _joined(self, pieces: Tensor, like: Tensor) -> Tensor:
        rows = pieces.reshape(len(like), -1)
        return rows[:, : like[0].numel()].reshape(like.shape)

    def _book(self, layer) -> tuple[Tensor, Tensor]:
        return quantized_book(layer.extra["centroids"].detach(), 2 ** (self.bits - 1) - 1)


RULE = Vector
