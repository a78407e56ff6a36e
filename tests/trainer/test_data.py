"""IDX files, where they are looked for, and the division into training and validation."""

import gzip
import hashlib
import importlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lamella.errors import PlatformError, UsageError
from lamella.trainer import data, networks
from lamella.trainer.data import cifar
from lamella.trainer.data.fashion_mnist import FASHION_MNIST, load
from lamella.trainer.data.files import FileSet, find
from lamella.trainer.data.idx import load_idx, read_idx
from lamella.trainer.data.splits import validation_indices
from lamella.trainer.network import QuantNetwork
from lamella.trainer.trace import trace


def idx_bytes(array: np.ndarray) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """A data set of a few pictures in tmp_path/here, one file of it compressed; other places are empty."""
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.integers(0, 256, (6, 4, 4)),
        "b": np.arange(6) % 3,
        "c": rng.integers(0, 256, (2, 4, 4)),
        "d": np.arange(2),
    }
    folder = tmp_path / "here"
    folder.mkdir()
    digests = {}
    for name, array in arrays.items():
        content = idx_bytes(array)
        digests[name] = hashlib.sha256(content).hexdigest()
        if name == "a":
            (folder / "a.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    monkeypatch.delenv("LAMELLA_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return FileSet("small", digests, "ask a friend"), folder, arrays


def test_plain_and_gzip_files_are_read(small_set):
    record, folder, arrays = small_set
    splits = load_idx(record, folder)
    assert splits.train_x.shape == (6, 1, 4, 4) and splits.train_x.dtype == np.float32
    np.testing.assert_array_equal(np.rint(splits.train_x[:, 0] * 255), arrays["a"])
    np.testing.assert_array_equal(splits.test_y, arrays["d"])


def test_places_are_searched_in_order(small_set, tmp_path, monkeypatch):
    record, folder, _ = small_set
    with pytest.raises(PlatformError, match="ask a friend"):
        find(record, None)
    cached = tmp_path / "cache" / "lamella" / "data" / "small"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(folder)
    assert find(record, None) == cached
    monkeypatch.setenv("LAMELLA_DATA", str(folder))
    assert find(record, None) == folder
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "small").symlink_to(folder)
    assert find(record, parent) == parent / "small"
    with pytest.raises(UsageError, match="no such folder"):
        find(record, tmp_path / "nowhere")


def test_other_content_is_refused(small_set):
    record, folder, _ = small_set
    (folder / "b").write_bytes(idx_bytes(np.zeros(6)))
    with pytest.raises(UsageError, match="sha256"):
        load_idx(record, folder)


def test_damaged_gzip_is_refused(small_set):
    record, folder, _ = small_set
    (folder / "a.gz").write_bytes((folder / "a.gz").read_bytes()[:-20])
    with pytest.raises(UsageError, match="cannot be read"):
        load_idx(record, folder)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x09\1\0\0\0\1x", idx_bytes(np.zeros((2, 2)))[:-1], idx_bytes(np.zeros(3)) + b"x"]
)
def test_damaged_idx_is_refused(content):
    with pytest.raises(UsageError, match="IDX"):
        read_idx(content)


def test_validation_is_a_seeded_choice():
    train, validation = validation_indices(100, 20, 5)
    assert len(validation) == 20 and sorted([*train, *validation]) == list(range(100))
    np.testing.assert_array_equal(validation, validation_indices(100, 20, 5)[1])
    assert list(validation) != list(validation_indices(100, 20, 6)[1])
    for wrong in (0, 100):
        with pytest.raises(UsageError, match="leave some"):
            validation_indices(100, wrong, 0)


@pytest.mark.parametrize("registry", [data, networks])
def test_registries_answer_to_slips(registry):
    for name in registry.names():
        assert callable(registry.get(name))
    slip = registry.names()[0] + "x"
    with pytest.raises(UsageError, match=f'did you mean "{registry.names()[0]}"'):
        registry.get(slip)
    assert registry.get("json:dumps")([1]) == "[1]"
    with pytest.raises(UsageError, match="cannot be imported"):
        registry.get("no_such_package:f")
    with pytest.raises(UsageError, match="no function"):
        registry.get("json:nothing")


@pytest.mark.skipif(not Path(FASHION_MNIST.folders[0]).is_dir(), reason="Fashion-MNIST is not installed")
def test_fashion_mnist_is_complete():
    splits = load(None)
    assert splits.train_x.shape == (60000, 1, 28, 28) and splits.test_x.shape == (10000, 1, 28, 28)
    assert splits.train_x.min() == 0.0 and splits.train_x.max() == 1.0
    np.testing.assert_array_equal(np.bincount(splits.train_y), [6000] * 10)


def cifar_file(n: int, seed: int) -> bytes:
    """n records as in CIFAR-10's binary version."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (n, 1 + cifar.PIXELS)).astype(np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


@pytest.mark.parametrize("name", ["cifar10", "cifar10_batch5"])
def test_cifar_records_become_pictures(name: str, tmp_path, monkeypatch):
    module = importlib.import_module(f"lamella.trainer.data.{name}")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    contents = {f: cifar_file(3, k) for k, f in enumerate([*cifar.TRAIN, "test_batch.bin"])}
    for file, raw in contents.items():
        (folder / file).write_bytes(raw)
    attribute = name.upper()
    digests = {f: hashlib.sha256(contents[f]).hexdigest() for f in getattr(module, attribute).sha256}
    monkeypatch.setattr(module, attribute, replace(getattr(module, attribute), sha256=digests))
    splits = module.load(tmp_path)
    n_train = 5 if name == "cifar10" else 4
    last = np.frombuffer(list(contents.values())[n_train], np.uint8).reshape(3, -1)
    assert splits.train_x.shape == (3 * n_train, 3, 32, 32)
    np.testing.assert_array_equal(splits.test_y, last[:, 0])
    np.testing.assert_array_equal(np.rint(splits.test_x.reshape(3, -1) * 255), last[:, 1:])


@pytest.mark.parametrize("raw", [b"", b"\x01" * cifar.PIXELS, b"\x0a" * (1 + cifar.PIXELS)])
def test_damaged_cifar_files_are_refused(raw: bytes):
    with pytest.raises(UsageError, match=r"f\.bin"):
        cifar.read_records(raw, "f.bin")


@pytest.mark.parametrize("name", networks.names())
def test_every_network_is_traced_and_quantised(name: str):
    """On inputs of the shape that its first lines name."""
    module = importlib.import_module(f"lamella.trainer.networks.{name}")
    shape = [int(n) for n in re.search(r"Input \(([\d, ]+)\)", module.__doc__)[1].split(",")]
    model = networks.get(name)().eval()
    network = QuantNetwork(trace(model, torch.zeros(2, *shape)), model, learned_ranges=True)
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.eval()(x), model(x), rtol=1e-4, atol=1e-4)
