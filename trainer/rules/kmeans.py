"""k-means for shared weights: scalars and short vectors, deterministic."""

import torch
from torch import Tensor

ROUNDS = 30
#: Distances computed at once.
CHUNK = 1 << 22


def scalar_kmeans(values: Tensor, count: int, rounds: int = ROUNDS) -> Tensor:
    """`count` ascending centroids of values (N,), from a start spread evenly over their range (Deep Compression).

    Empty clusters keep their place. No round raises the squared error.
    """
    centroids = torch.linspace(float(values.min()), float(values.max()), count, dtype=values.dtype)
    for _ in range(rounds):
        members = nearest_scalar(values, centroids)
        sums = torch.zeros_like(centroids).scatter_add_(0, members, values)
        counts = torch.bincount(members, minlength=count)
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centroids).sort().values
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def nearest_scalar(values: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest of ascending centroids, shape of values."""
    return torch.searchsorted((centroids[1:] + centroids[:-1]) / 2, values.contiguous())


def vector_kmeans(vectors: Tensor, count: int, rounds: int = ROUNDS, seed: int = 0) -> Tensor:
    """`count` centroids (count, d) of vectors (N, d), from vectors drawn by the seed. No round raises the squared error."""
    generator = torch.Generator().manual_seed(seed)
    centroids = vectors[torch.randperm(len(vectors), generator=generator)[:count]].clone()
    for _ in range(rounds):
        members = nearest_vector(vectors, centroids)
        sums = torch.zeros_like(centroids).index_add_(0, members, vectors)
        counts = torch.bincount(members, minlength=len(centroids))[:, None]
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def nearest_vector(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid of each row."""
    rows = max(1, CHUNK // len(centroids))
    squares = centroids.square().sum(1)
    return torch.cat([(squares - 2 * part @ centroids.T).argmin(1) for part in vectors.split(rows)])
