"""Measuring: the parts are what the source says, and the sum is what would be written into the flash."""

import subprocess
from pathlib import Path

import pytest

from lamella import boards, elf
from lamella.build import build

TEXT = """
#include <stdint.h>
const uint8_t weights_a[100] = {1};
const uint8_t weights_b[{weights}] = {2};
const uint32_t table[8] = {3};
uint8_t arena[512];
uint32_t counter = 5;
static uint8_t line[40];
int main(void);
int main(void)
{
    volatile uint8_t *a = arena;
    volatile uint8_t *l = line;
    volatile uint32_t *c = &counter;
    *l = 1; /* never written, it would be a constant */
    *c += weights_a[*a] + weights_b[*l] + table[*a & 7];
    return (int)*c;
}
"""


def image(name: str, cache: Path, weights: int = 200) -> tuple[Path, elf.Image]:
    board = boards.load(name)
    path = build(board, {"m.c": TEXT.replace("{weights}", str(weights))}, cache_dir=cache)
    return path, elf.measure(path, board, ["weights_a", "weights_b"], "arena")


def test_parts_add_up_and_hold_what_the_source_says(any_board: str, cache: Path):
    _, found = image(any_board, cache)
    assert found.flash_total == found.flash_weights + found.flash_code + found.flash_other
    assert (found.flash_weights, found.ram_arena) == (300, 512)
    assert found.flash_code > 0
    if boards.load(any_board).ram:
        # Vectors, the table, the initial value of the counter. Arrays lie at multiples of 8 on some cores, so there may
        # be a gap before them; and where there is none at the end, the end of the variables is aligned to 8 bytes.
        vectors = 16 * 4 if boards.load(any_board).core.family == "cortex_m" else 0
        assert found.flash_other - (vectors + 8 * 4 + 4) in (0, 4)
        assert found.ram_static - (4 + 40) in (0, 4)


def test_weights_count_byte_by_byte(any_board: str, cache: Path):
    before, after = (image(any_board, cache, weights)[1] for weights in (200, 1224))
    assert after.flash_weights - before.flash_weights == 1024
    assert (after.flash_code, after.ram_static) == (before.flash_code, before.ram_static)
    if boards.load(any_board).ram:
        assert after.flash_total - before.flash_total == 1024


def test_flash_is_the_size_of_the_binary(with_flash: str, cache: Path, tmp_path: Path):
    board = boards.load(with_flash)
    path, found = image(with_flash, cache)
    subprocess.run([board.compiler.objcopy, "-O", "binary", str(path), str(tmp_path / "x.bin")], check=True)
    assert (tmp_path / "x.bin").stat().st_size == found.flash_total


def test_contents_are_the_initial_bytes(any_board: str, cache: Path):
    path, _ = image(any_board, cache)
    assert elf.contents(path, "weights_b") == bytes([2] + [0] * 199)
    assert elf.contents(path, "counter") == bytes([5, 0, 0, 0])
    with pytest.raises(KeyError, match="absent"):
        elf.contents(path, "absent")
