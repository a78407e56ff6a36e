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
    """int16 levels that the format holds, of any shape, empty ones included; often most of them are the same."""
    rows, cols = draw(st.integers(0, 9)), draw(st.one_of(st.integers(0, 20), st.integers(0, 2000)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alphabet = record.alphabet(rng)
    usual = 0 if 0 in alphabet else alphabet[0]
    density = draw(st.sampled_from([0.0, 0.01, 0.3, 1.0, 1.0]))
    return np.where(rng.random((rows, cols)) < density, rng.choice(alphabet, (rows, cols)), usual).astype(np.int16)


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
    levels = rng.choice(record.alphabet(rng, limit=3), (6, 50)).astype(np.int16)
    packed = record.pack(levels)
    for keep in range(len(packed)):
        with pytest.raises(ValueError, match=record.name):
            record.unpack(packed[:keep], 6, 50)


INTEGERS = {"int16", "int8", "int8_ans"}
SPARSE_TERNARY = {"sparse_ternary", "sparse_ternary_ans", "sparse_ternary_bytes"}
TWO_SCALE = {"two_scale", "two_scale_ans"}
#: Alphabets that trainers make, and the formats that hold them, of those that this test is about.
ALPHABETS = {
    "binary": ([-1, 1], INTEGERS | SPARSE_TERNARY | TWO_SCALE | {"binary", "int4", "int2", "ternary", "palette"}),
    "ternary": ([-1, 0, 1], INTEGERS | SPARSE_TERNARY | TWO_SCALE | {"int4", "int2", "ternary", "palette"}),
    "two scales": ([-300, 0, 17], TWO_SCALE | {"int16", "palette"}),
    "two scales, one unused": ([0, 17], TWO_SCALE | INTEGERS | {"palette"}),
    "three above zero": ([3, 5, 17], INTEGERS | {"palette"}),
    "four odd levels": ([-3, -1, 1, 3], INTEGERS | {"int4", "palette"}),
    "sixteen": (list(range(-800, 800, 100)), {"int16", "palette"}),
    "seventeen": (list(range(-800, 900, 100)), {"int16"}),
    "one": ([5], INTEGERS | TWO_SCALE | {"int4", "palette"}),
}
LISTED = set.union(*(holding for _, holding in ALPHABETS.values()))


@pytest.mark.parametrize("kind", ALPHABETS)
def test_formats_hold_exactly_the_levels_they_are_for(kind: str):
    alphabet, expected = ALPHABETS[kind]
    levels = np.array([alphabet] * 3, np.int16)
    holding = {name for name, record in formats().items() if record.fits(levels)}
    assert holding & LISTED == expected
    for name in holding:
        np.testing.assert_array_equal(get(name).unpack(get(name).pack(levels), *levels.shape), levels)


@EVERY
def test_alphabets_are_levels_the_format_holds(record: WeightFormat):
    for seed in range(30):
        alphabet = record.alphabet(np.random.default_rng(seed), limit=[1, 2, 100, 32767][seed % 4])
        assert np.abs(alphabet).max() <= [1, 2, 100, 32767][seed % 4]
        assert np.unique(alphabet).size == alphabet.size > 0 and record.fits(alphabet[None, :])


@EVERY
def test_record_names_real_c(record: WeightFormat):
    """Every function is declared in one of the format's files, and the files exist. Without any, kernels read in place."""
    text = "".join((ROOT / "runtime_c" / name).read_text() for name in record.sources)
    for function in (record.c_unpack, record.c_positions):
        assert function is None or len(re.findall(rf"^void {function}\(", text, re.MULTILINE)) == 2
    assert record.c_type in ("uint8_t", "int8_t", "int16_t", "uint32_t")


def ternary_bound(levels: np.ndarray) -> float:
    """Information in levels whose zeros and signs are independent, in bytes: H(d) + d bits each."""
    d = np.count_nonzero(levels) / levels.size
    h = -sum(p * np.log2(p) for p in (d, 1 - d) if p > 0)
    return levels.size * (d + h) / 8


def entropy_bytes(levels: np.ndarray) -> float:
    """Information in independent levels, in bytes."""
    counts = np.unique(levels, return_counts=True)[1]
    return float((counts * np.log2(levels.size / counts)).sum()) / 8


def ternary_levels(seed: int, shape: tuple[int, int], density: float) -> np.ndarray:
    """Levels -1, 0, 1 of this density."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, np.where(rng.random(shape) < 0.5, -1, 1), 0).astype(np.int16)


DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.113, 0.15, 0.2, 0.214, 0.25, 0.3, 0.35, 0.382, 0.4, 0.45, 0.5, 0.6, 0.62, 0.67]


@pytest.mark.parametrize("density", [d for d in DENSITIES if d <= 0.5])
@pytest.mark.parametrize("shape", [(32, 288), (10, 84), (100, 1000)])
def test_sparse_ternary_comes_within_three_percent_of_the_bound(density: float, shape: tuple[int, int]):
    levels = ternary_levels(int(1000 * density), shape, density)
    levels[0, 0] = 1
    assert get("sparse_ternary").size(levels) <= 1.03 * ternary_bound(levels) + 16


@settings(max_examples=60, deadline=None)
@given(density=st.floats(0.01, 0.67), digits=st.floats(0, 5.6), rows=st.integers(1, 40), seed=st.integers(0, 999))
def test_some_format_comes_within_three_percent_of_the_bound(density: float, digits: float, rows: int, seed: int):
    """At every density and size up to 400000 weights; sparse_ternary_ans does so alone."""
    levels = ternary_levels(seed, (rows, max(1, int(10**digits) // rows)), density)
    allowed = 1.03 * ternary_bound(levels) + 16
    assert min(record.size(levels) for record in formats().values() if record.fits(levels)) <= allowed
    assert get("sparse_ternary_ans").size(levels) <= allowed
    assert get("two_scale_ans").size(5 * levels) <= allowed + 4


@pytest.mark.parametrize("density", DENSITIES)
def test_sparse_ternary_ans_of_a_large_layer_comes_within_one_percent(density: float):
    levels = ternary_levels(3, (400, 1000), density)
    assert get("sparse_ternary_ans").size(levels) <= 1.01 * ternary_bound(levels)


def test_sparse_ternary_ans_gains_where_channels_differ():
    """Rows with densities between 0.02 and 0.5: what one density for all would cost is not needed."""
    levels = np.concatenate([ternary_levels(row, (1, 600), 0.02 + 0.48 * (row % 8) / 7) for row in range(64)])
    assert get("sparse_ternary_ans").size(levels) < 0.97 * ternary_bound(levels)
    by_row = sum(ternary_bound(row[None, :]) for row in levels)
    assert get("sparse_ternary_ans").size(levels) <= 1.04 * by_row


def other_levels(kind: str) -> np.ndarray:
    """64 x 576 levels of the kinds that trainers make, but ternary ones."""
    rng = np.random.default_rng(7)
    shape = (64, 576)
    if kind in ("normal 20", "normal 2.5", "Laplace 1.5"):
        spread = float(kind.split()[1])
        if kind.startswith("normal"):
            drawn = spread * np.sqrt(-2 * np.log(1 - rng.random(shape))) * np.cos(2 * np.pi * rng.random(shape))
        else:
            drawn = -spread * np.log(1 - rng.random(shape)) * np.sign(rng.random(shape) - 0.5)
        return np.clip(np.round(drawn), -8 if spread < 10 else -128, 7 if spread < 10 else 127).astype(np.int16)
    alphabet, probabilities = {
        "DoReFa 2 bits": ([-3, -1, 1, 3], [0.08, 0.42, 0.42, 0.08]),
        "binary 80:20": ([-1, 1], [0.8, 0.2]),
    }[kind]
    return np.array(alphabet, np.int16)[np.searchsorted(np.cumsum(probabilities)[:-1], rng.random(shape))]


OTHERS = ["normal 20", "normal 2.5", "Laplace 1.5", "DoReFa 2 bits", "binary 80:20"]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("weights", [3000, 36864])
def test_int8_ans_comes_within_two_percent_and_a_header_of_the_entropy(kind: str, weights: int):
    levels = other_levels(kind).ravel()[:weights].reshape(1, -1)
    header = 16 + 2 * min(np.unique(levels).size, 24)
    assert get("int8_ans").size(levels) <= 1.02 * entropy_bytes(levels) + header


def documented_rows(heading: str) -> tuple[list[str], list[list[str]]]:
    """(formats, rows) of the table in docs/FORMATS.md whose first column has this heading; the second is the bound."""
    lines = (ROOT / "docs" / "FORMATS.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:] if line.startswith("|")]
    end = next((i for i, line in enumerate(lines[start:]) if not line.startswith("|")), None)
    return cells[0][2:], cells[2:end]


@pytest.mark.parametrize("heading", ["density", "levels of 36864 weights"])
def test_documented_bits_a_weight_are_those_of_the_packers(heading: str):
    names, rows = documented_rows(heading)
    assert len(rows) >= 5 and len(names) >= 4
    for first, bound, *cells in rows:
        ternary = heading == "density"
        levels = ternary_levels(1, (64, 576), float(first)) if ternary else other_levels(first)
        least = ternary_bound(levels) if ternary else entropy_bytes(levels)
        assert bound == f"{8 * least / levels.size:.3f}"
        for name, cell in zip(names, cells, strict=True):
            fits = get(name).fits(levels)
            assert cell == (f"{8 * get(name).size(levels) / levels.size:.3f}" if fits else "-"), (first, name)


def test_dense_sizes_are_exact():
    levels = np.zeros((3, 7), np.int16)
    expected = {"int16": 42, "int8": 21, "int4": 11, "int2": 6, "ternary": 5, "two_scale": 9, "palette": 8}
    assert {name: get(name).size(levels) for name in expected} == expected
    assert get("binary").size(levels + 1) == 3


@settings(max_examples=80, deadline=None)
@given(
    length=st.sampled_from([2, 4, 8]),
    bits=st.integers(1, 8),
    entries=st.integers(1, 256),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 200)),
    seed=st.integers(0, 2**32 - 1),
)
def test_repeated_pieces_cost_a_codebook_and_their_places(length, bits, entries, shape, seed):
    """Never more than what the layer was made of, whatever its rows; the last piece is made up."""
    rng = np.random.default_rng(seed)
    book = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (entries, length))
    pieces = -(-shape[0] * shape[1] // length)
    levels = book[rng.integers(0, entries, pieces)].ravel()[: shape[0] * shape[1]].reshape(shape)
    depth = bits if bits * length <= 32 else 8
    most = 2 + entries * -(-length * depth // 8) + -(-pieces * max(1, (entries - 1).bit_length()) // 8)
    record = get("vectors")
    assert record.size(levels) == len(record.pack(levels)) <= most
    np.testing.assert_array_equal(record.unpack(record.pack(levels), *shape), levels)


def test_vectors_hold_256_pieces_and_not_one_more():
    pairs = np.array([[first, second] for first in range(16) for second in range(16)] * 9)
    pairs = np.random.default_rng(1).permutation(pairs)  # so that only pairs repeat
    assert get("vectors").fits(pairs)
    pairs[-1] = -1
    assert not get("vectors").fits(pairs)


def test_damaged_vectors_are_refused():
    levels = np.array([[1, 2, 3, 4] * 3 + [5, 6, 7, 8] * 3 + [0] * 8])
    packed = get("vectors").pack(levels)
    for damaged in (b"\x00" + packed[1:], b"\x99" + packed[1:], b"\x58" + packed[1:], packed[:-1] + b"\xff"):
        with pytest.raises(ValueError, match=r"vectors: .*(damaged|outside|are there)"):
            get("vectors").unpack(damaged, *levels.shape)


@SPARSE
def test_zeros_cost_next_to_nothing(record: WeightFormat):
    """A few bytes a layer, or two a row where only whole rows are read."""
    assert record.size(np.zeros((1000, 400), np.int16)) <= (14 if record.c_unpack else 1 + 2 * 1000)


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
