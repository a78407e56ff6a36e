"""IDX files (MNIST and its relatives), plain or gzip, found on this machine and checked by their sha256.

Format: yann.lecun.com/exdb/mnist: two zero bytes, type 8 (uint8), rank, the sizes as big-endian uint32, the bytes.
"""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lamella.errors import PlatformError, UsageError
from lamella.trainer.data.splits import Splits


@dataclass(frozen=True)
class IdxSet:
    """Four files with the sha256 of their uncompressed content, where they may lie, and how to get them."""

    name: str
    sha256: dict[str, str]
    remedy: str
    folders: tuple[Path, ...] = ()


def load_idx(data: IdxSet, folder: Path | None) -> Splits:
    """Images as float32 in 0..1, shape (N, 1, rows, columns), and labels."""
    place = find(data, folder)
    arrays = [read_idx(_content(place, name, digest, data)) for name, digest in data.sha256.items()]
    train_x, train_y, test_x, test_y = arrays
    return Splits(_images(train_x), train_y.astype(np.int64), _images(test_x), test_y.astype(np.int64))


def find(data: IdxSet, folder: Path | None) -> Path:
    """The first folder that holds all files: --data, $LAMELLA_DATA, the cache, then where the system keeps them."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--data {folder}: there is no such folder")
    bases = [folder] if folder is not None else []
    if os.environ.get("LAMELLA_DATA"):
        bases.append(Path(os.environ["LAMELLA_DATA"]))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    bases.append(cache / "lamella" / "data")
    places = [place for base in bases for place in (base / data.name, base)] + list(data.folders)
    for place in places:
        if all(_path(place, name) is not None for name in data.sha256):
            return place
    raise PlatformError(
        f"{data.name}: the data set is not on this machine (looked in {', '.join(str(p) for p in bases + list(data.folders))}); "
        f"{data.remedy}"
    )


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


def _path(place: Path, name: str) -> Path | None:
    return next((path for path in (place / f"{name}.gz", place / name) if path.is_file()), None)


def _content(place: Path, name: str, digest: str, data: IdxSet) -> bytes:
    path = _path(place, name)
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error}); {data.remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise UsageError(
            f"{path}: is not the {data.name} file (sha256 of the content {found[:16]}..., expected {digest[:16]}...); {data.remedy}"
        )
    return content


def _images(levels: np.ndarray) -> np.ndarray:
    return (levels.astype(np.float32) / np.float32(255.0))[:, None]
