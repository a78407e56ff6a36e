"""Estimated cycles: instructions with known timings, on every core that has any."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamella import boards, cycles
from lamella.execute import execute

CLOBBER = ' ::: "r0", "r1", "r2", "r3", "cc", "memory"'


def expected(timing: cycles.Timing) -> dict[str, float]:
    """Assembly, and the cycles that it adds to those of one nop."""
    return {
        '"nop\\n nop\\n nop"': 2.0,
        '"nop\\n ldr r0, [sp]"' + CLOBBER: timing.load,
        '"nop\\n ldr r0, [sp]\\n ldr r1, [sp]"' + CLOBBER: timing.load + timing.load_after,
        '"nop\\n push {r0, r1, r2}\\n pop {r0, r1, r2}"' + CLOBBER: 2 * (timing.multiple + 3 * timing.register),
        '"nop\\n movs r0, #1\\n mul r0, r0, r0"' + CLOBBER: 1 + timing.multiply,
        '"nop\\n b 1f\\n 1: nop"': 2.0,  # to the next address: nothing to refill
        '"nop\\n b 1f\\n nop\\n 1: nop"': 2.0 + timing.refill,
    }


def test_known_instructions_take_their_published_cycles(
    emulated: str, program: Callable[..., Path], model: Callable[..., str], cache: Path
):
    board = boards.load(emulated)

    def cycles_of(assembly: str) -> float | None:
        elf = program(
            board, model(f"(void)x; (void)y; __asm volatile({assembly}); return 0;").replace("__asm", "__asm__")
        )
        done = execute(board, elf, bytes(8), run_symbol="m_run", segments=True, blocks=True, cache_dir=cache)
        found = cycles.estimate(elf, board.core.name, done.blocks)
        return None if found is None else sum(found.values())

    if board.core.name not in cycles.TIMINGS:
        assert cycles.estimate(Path("unused"), board.core.name, ()) is None
        return
    nop = cycles_of('"nop"')
    for assembly, more in expected(cycles.TIMINGS[board.core.name]).items():
        assert cycles_of(assembly) - nop == pytest.approx(more), assembly
