"""CIFAR-10 in its binary version: files of 10,000 records, one label byte and 3 x 32 x 32 bytes, red, green, blue.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lamella.errors import UsageError
from lamella.trainer.data.files import FileSet, content, find

PIXELS = 3 * 32 * 32
REMEDY = "get the binary version of CIFAR-10 and give its folder with --data or $LAMELLA_DATA"
FOLDER = "cifar-10-batches-bin"
TRAIN = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
}


def load_batches(data: FileSet, folder: Path | None, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) of some of a set's files: float32 in 0..1, shape (N, 3, 32, 32), and int64."""
    place = find(data, folder)
    records = np.concatenate([read_records(content(place, name, data), name) for name in names])
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255.0)
    return images, records[:, 0].astype(np.int64)


def read_records(raw: bytes, name: str) -> np.ndarray:
    """uint8 (N, 1 + PIXELS) of a file's bytes; UsageError where they are no whole records or no labels."""
    if not raw or len(raw) % (1 + PIXELS):
        raise UsageError(f"{name}: {len(raw)} bytes are no whole number of records of {1 + PIXELS}; get the file again")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + PIXELS)
    if records[:, 0].max() > 9:
        raise UsageError(f"{name}: label {records[:, 0].max()} is outside 0..9; this is no file of CIFAR-10")
    return records
