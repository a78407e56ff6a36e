"""The convolutions with multiplications, with every tile they can use, against numpy; memory is exactly as documented."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from runtime_cases import c_conv_shape, checks, convs, random_levels, random_pixels, random_requant
from runtime_library import Runtime
from runtime_reference import Conv, Pool, Requant, conv2d, conv2d_accumulators

from lamella.formats import WeightFormat, formats, get

UNPACKING = [record for record in formats().values() if record.c_unpack]


@dataclass(frozen=True)
class Way:
    """A kernel with one of its tiles."""

    kernel: str
    tile: str
    together: int
    taps: int


WAYS = [
    Way("lam_conv2d_pairs", "lam_mac_pairs_2x4", 2, 1),
    Way("lam_conv2d_pairs", "lam_mac_pairs_2x4_by3", 2, 3),
    Way("lam_conv2d_pairs", "lam_mac_pairs_2x4_by5", 2, 5),
    Way("lam_conv2d_columns", "lam_mac_pairs_2x4", 2, 1),
    Way("lam_conv2d_bytes", "lam_mac_bytes_1x8", 1, 1),
    Way("lam_conv2d_bytes", "lam_mac_bytes_1x8_by3", 1, 3),
    Way("lam_conv2d_bytes", "lam_mac_bytes_2x4", 2, 1),
    Way("lam_conv2d_bytes", "lam_mac_bytes_2x4_by3", 2, 3),
    Way("lam_conv2d_bytes", "lam_mac_bytes_2x4_by5", 2, 5),
    Way("lam_conv2d_lanes", "lam_mac_lanes_1x16", 1, 1),
]
SMALL = {"lam_conv2d_lanes": 128}  # the largest level that a kernel can take


def capacity(levels: np.ndarray) -> int:
    """Words of the longest stream of lam_conv2d_lanes: two for each level that is not zero, two for each part."""
    longest = 0
    for row in levels.tolist():
        words, plus, minus = 2, 0, 0
        for level in filter(None, row):
            plus, minus = plus + max(level, 0), minus - min(level, 0)
            if max(plus, minus) > 128:
                words, plus, minus = words + 2, max(level, 0), -min(level, 0)
            words += 2
        longest = max(longest, words)
    return longest


def fits(way: Way, conv: Conv) -> bool:
    """Whether the tile's lines divide the rows of the kernel."""
    neighbours = conv.stride[1] == 1 and conv.dilation[1] == 1
    return way.taps == 1 or (neighbours and conv.kernel[1] % way.taps == 0)


def inside(way: Way, conv: Conv) -> bool:
    """Whether the kernel may read this input where it is."""
    flat = conv.pool.kind == 0 and conv.kernel[1] == 1 and conv.stride == (1, 1)
    used = (conv.pooled[1] - 1) * conv.pool.stride[1] + conv.pool.kernel[1]
    room = conv.pooled[0] * conv.pooled[1] if flat else used
    return way.kernel == "lam_conv2d_bytes" and not any(conv.pad) and conv.stride[1] == 1 and room >= 4


def run(
    lam: Runtime,
    way: Way,
    record: WeightFormat,
    conv: Conv,
    layer: tuple[np.ndarray, np.ndarray, Requant, np.ndarray],
    band_rows: int,
    in_place: bool = False,
) -> np.ndarray:
    """One of the kernels, in exactly the scratch memory it asks for."""
    levels, bias, q, x = layer
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_conv2d_mac_desc *", {"shape": c_conv_shape(memory, conv, bias, q)})
        desc.unpack = lam.function(record.c_unpack)
        desc.weights = memory.bytes(record.pack(levels))
        desc.tile = lam.function(way.tile)
        desc.together, desc.taps, desc.in_place, desc.band_rows = way.together, way.taps, in_place, band_rows
        desc.capacity = capacity(levels) if way.kernel == "lam_conv2d_lanes" else 0
        scratch = memory.blank(lam.function(f"{way.kernel}_scratch")(desc))
        y = memory.blank(conv.out_c * conv.pooled[0] * conv.pooled[1])
        lam.function(way.kernel)(desc, memory.array("uint8_t", x), y, scratch)
        return memory.read(y, conv.out_c * conv.pooled[0] * conv.pooled[1]).reshape(conv.out_c, *conv.pooled)


@pytest.mark.parametrize(
    "way", WAYS, ids=lambda w: w.kernel.removeprefix("lam_conv2d_") + w.tile.removeprefix("lam_mac")
)
@checks(80)
@given(conv=convs(), seed=st.integers(0, 2**32 - 1), record=st.sampled_from(UNPACKING), data=st.data())
def test_conv2d_mac_matches_reference(lam: Runtime, way: Way, conv: Conv, seed: int, record, data):
    if not fits(way, conv):
        conv = Conv(**{**conv.__dict__, "kernel": (conv.kernel[0], way.taps), "stride": (conv.stride[0], 1)})
        conv = Conv(
            **{**conv.__dict__, "dilation": (conv.dilation[0], 1), "in_w": conv.in_w + way.taps, "pool": Pool()}
        )
    rng = np.random.default_rng(seed)
    levels = random_levels(rng, record, conv.out_c, conv.cols)
    if way.kernel in SMALL:
        levels = levels.clip(-SMALL[way.kernel], SMALL[way.kernel])
        assume(record.fits(levels))
    x = random_pixels(rng, (conv.in_c, conv.in_h, conv.in_w))
    bias = rng.integers(-2000, 2001, conv.out_c)
    spread = float(np.abs(conv2d_accumulators(conv, levels, bias, x)).max())
    layer = (levels, bias, random_requant(rng, conv.out_c, spread), x)
    expected = conv2d(conv, *layer)
    band_rows = data.draw(st.integers(1, conv.pooled[0]), label="band_rows")
    np.testing.assert_array_equal(run(lam, way, record, conv, layer, band_rows), expected)
    if inside(way, conv):
        np.testing.assert_array_equal(run(lam, way, record, conv, layer, conv.pooled[0], in_place=True), expected)


@pytest.mark.parametrize("way", [w for w in WAYS if w.taps == 1], ids=lambda w: w.kernel + w.tile)
@pytest.mark.parametrize("width", [1, 3, 4, 5, 8, 11, 63, 64, 65, 71, 72, 73, 128, 131])
def test_runs_of_any_length_are_cut_into_tiles(lam: Runtime, way: Way, width: int):
    """A kernel of one pixel: rows and images that are shorter and longer than what is requantised at once."""
    rng = np.random.default_rng(width)
    for rows in (1, 2):
        conv = Conv(in_c=3, in_h=rows, in_w=width, out_c=3)
        levels = rng.integers(-128, 128, (3, 3)).astype(np.int16)
        q = Requant(np.array([2**23]), None, zero=128)
        layer = (levels, np.array([-500, 0, 300]), q, rng.integers(0, 256, (3, rows, width)).astype(np.uint8))
        expected = conv2d(conv, *layer)
        for in_place in {False, inside(way, conv)}:
            y = run(lam, way, get("int8"), conv, layer, rows, in_place)
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    "way", [w for w in WAYS if w.taps != 5 and w.kernel not in SMALL], ids=lambda w: w.kernel + w.tile
)
def test_largest_products_do_not_meet(lam: Runtime, way: Way):
    """Levels of 16 bits at both ends on pixels of 255: halves of a word must not reach into each other."""
    conv = Conv(in_c=5, in_h=5, in_w=7, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1), in_zero=255)
    levels = np.full((3, conv.cols), 32767, np.int16)
    levels[1] = -32768
    levels[2, ::2] = -32768
    x = np.full((5, 5, 7), 255, np.uint8)
    q = Requant(np.array([50]), None, zero=100)
    layer = (levels, np.array([-(2**28), 2**28, 0]), q, x)
    for band_rows in (1, 2, 5):
        y = run(lam, way, get("int16"), conv, layer, band_rows)
        np.testing.assert_array_equal(y, conv2d(conv, *layer))


@pytest.mark.parametrize("level", [-128, -1, 1, 2, 127, 128])
@pytest.mark.parametrize("width", [1, 8, 9, 16, 17, 40])
def test_lanes_hold_the_largest_sums(lam: Runtime, level: int, width: int):
    """Levels of one sign on pixels of 255, below, at and above what half a word holds."""
    way = WAYS[-1]
    conv = Conv(in_c=15, in_h=4, in_w=width, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1), in_zero=255)
    levels = np.full((3, conv.cols), level, np.int16)
    levels[1, ::3] = 0
    levels[2, ::2] = -level
    x = np.full((15, 4, width), 255, np.uint8)
    q = Requant(np.array([2**31 - 1]), None, zero=100)
    layer = (levels, -levels.astype(np.int64).sum(1) * 255 + np.array([-40, 0, 40]), q, x)
    for band_rows in (1, 4):
        y = run(lam, way, get("int16"), conv, layer, band_rows)
        np.testing.assert_array_equal(y, conv2d(conv, *layer))
