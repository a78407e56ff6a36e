"""IDX files (MNIST and its relatives), plain or gzip, found on this machine and checked by their sha256.

Format: yann.lecun.com/exdb/mnist: two zero bytes, type 8 (uint8), rank, the sizes as big-endian uint32, the bytes.
"""

from pathlib import Path

import numpy as np

from lamella.errors import UsageError
from lamella.trainer.data.files import FileSet, content, find
from lamella.trainer.data.splits import Splits


def load_idx(data: FileSet, folder: Path | None) -> Splits:
    """Images as float32 in 0..1, shape (N, 1, rows, columns), and labels."""
    place = find(data, folder)
    train_x, train_y, test_x, test_y = (read_idx(content(place, name, data)) for name in data.sha256)
    return Splits(_images(train_x), train_y.astype(np.int64), _images(test_x), test_y.astype(np.int64))


def read_idx(content: bytes) -> np.ndarray:
    """The uint8 array of an IDX file's bytes; UsageError where they are damaged."""
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise UsageError("not an IDX file of bytes: it does not begin with 00 00 08")
    rank = content[3]
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    start = 4 + 4 * rank
    size = int(np.prod(shape, dtype=np.int64))
    if len(content) != start + size:
        raise UsageError(f"damaged IDX file: shape {shape} needs {size} bytes, {len(content) - start} are there")
    return np.frombuffer(content, np.uint8, size, start).reshape(shape)


def _images(levels: np.ndarray) -> np.ndarray:
    return (levels.astype(np.float32) / np.float32(255.0))[:, None]
