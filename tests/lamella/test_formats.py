"""Weight formats: what every registered one must do, and what each promises about its size."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella.errors import UsageError
from lamella.formats import WeightFormat, formats, get

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("record", formats().values(), ids=lambda record: record.name)
SPARSE = pytest.mark.parametrize("record", [r for r in formats().values() if r.sparse], ids=lambda record: record.name)


@st.composite
def level_arrays(draw: st.DrawFn, record: WeightFormat) -> np.ndarray:
    """int16 levels of any shape, empty ones included, over the whole range of the format."""
    rows, cols = draw(st.integers(0, 9)), draw(st.one_of(st.integers(0, 20), st.integers(0, 2000)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = rng.integers(record.lowest, record.highest + 1, (rows, cols))
    density = draw(st.sampled_from([0.0, 0.01, 0.3, 1.0, 1.0]))
    return (levels * (rng.random((rows, cols)) < density)).astype(np.int16)


@EVERY
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_unpack_gives_back_what_was_packed(record: WeightFormat, data):
    levels = data.draw(level_arrays(record))
    packed = record.pack(levels)
    again = record.unpack(packed, *levels.shape)
    assert again.dtype == np.int16
    np.testing.assert_array_equal(again, levels)
    assert record.size(levels) == len(packed)


@EVERY
@pytest.mark.parametrize("level", ["lowest", "highest"])
def test_extremes_fit_and_what_lies_beyond_is_refused(record: WeightFormat, level: str):
    value = getattr(record, level)
    levels = np.full((3, 7), value, np.int32)
    assert record.fits(levels)
    np.testing.assert_array_equal(record.unpack(record.pack(levels), 3, 7), levels)
    levels[1, 2] += 1 if level == "highest" else -1
    assert not record.fits(levels)
    for refuse in (record.pack, record.size):
        with pytest.raises(ValueError, match="do not fit"):
            refuse(levels)


@EVERY
def test_levels_that_are_no_matrix_of_integers_are_refused(record: WeightFormat):
    with pytest.raises(ValueError, match="shape"):
        record.pack(np.zeros(4, np.int16))
    with pytest.raises(ValueError, match="integers"):
        record.pack(np.zeros((2, 2), np.float32))


@EVERY
def test_truncated_bytes_are_refused(record: WeightFormat):
    rng = np.random.default_rng(1)
    levels = rng.integers(max(record.lowest, -1), 2, (6, 50)).astype(np.int16)
    packed = record.pack(levels)
    for keep in range(len(packed)):
        with pytest.raises(ValueError, match=record.name):
            record.unpack(packed[:keep], 6, 50)


@EVERY
def test_record_names_real_c(record: WeightFormat):
    """Every function is declared in one of the format's files, and the files exist."""
    text = "".join((ROOT / "runtime_c" / name).read_text() for name in record.sources)
    assert record.c_unpack or record.c_positions
    for function in (record.c_unpack, record.c_positions):
        assert function is None or len(re.findall(rf"^void {function}\(", text, re.MULTILINE)) == 2
    assert record.c_type in ("uint8_t", "int8_t", "int16_t")


def entropy_bytes(levels: np.ndarray) -> float:
    """Information in levels whose zeros and signs are independent, in bytes: H(d) + d bits each."""
    d = np.count_nonzero(levels) / levels.size
    return levels.size * (d - d * np.log2(d) - (1 - d) * np.log2(1 - d)) / 8


@pytest.mark.parametrize(
    "density", [0.01, 0.02, 0.05, 0.1, 0.113, 0.15, 0.2, 0.214, 0.25, 0.3, 0.35, 0.382, 0.4, 0.45, 0.5]
)
@pytest.mark.parametrize("shape", [(32, 288), (10, 84), (100, 1000)])
def test_sparse_ternary_comes_within_three_percent_of_the_entropy(density: float, shape: tuple[int, int]):
    rng = np.random.default_rng(int(1000 * density))
    levels = np.where(rng.random(shape) < density, rng.choice([-1, 1], shape), 0)
    levels[0, 0] = 1
    assert get("sparse_ternary").size(levels) <= 1.03 * entropy_bytes(levels) + 16


def test_dense_sizes_are_exact():
    levels = np.zeros((3, 7), np.int16)
    sizes = {name: get(name).size(levels) for name in ("int16", "int8", "int4", "ternary")}
    assert sizes == {"int16": 42, "int8": 21, "int4": 11, "ternary": 5}


@SPARSE
def test_zeros_cost_next_to_nothing(record: WeightFormat):
    assert record.size(np.zeros((1000, 400), np.int16)) <= 5


def test_formats_stand_in_the_order_of_their_names():
    assert list(formats()) == sorted(formats())
    assert all(get(name) is record and record.name == name for name, record in formats().items())


def test_unknown_format_names_those_there_are():
    with pytest.raises(UsageError, match="int3.*int8"):
        get("int3")


@EVERY
def test_documented_example_is_what_pack_gives(record: WeightFormat):
    """docs/FORMATS.md has a section for the format, whose example shows levels and the bytes they become."""
    text = (ROOT / "docs" / "FORMATS.md").read_text()
    section = re.search(rf"^## {record.name}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/FORMATS.md has no section {record.name}"
    example = re.search(r"```\nlevels\n(.*?)\nbytes\n(.*?)\n```", section[1], re.DOTALL)
    assert example, f"section {record.name} has no example"
    levels = np.array([[int(level) for level in row.split()] for row in example[1].splitlines()])
    assert record.pack(levels) == bytes.fromhex(example[2])
