"""What --within asks: the best that --optimize finds in so many bytes of RAM and flash, of the whole firmware."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lamella.errors import CheckFailed

if TYPE_CHECKING:
    from lamella.pipeline import Compiled

#: For an objective, bytes that the arena may take (None: as many as it likes) and what an instruction is worth against a
#: byte of flash (None: as usual), the model.
Compile = Callable[[str, int | None, float | None], "Compiled"]

#: Bytes of stack and static RAM that are assumed before the first measurement.
BESIDE_ARENA = 1024
#: Measurements; the stack changes a little with the kernels.
TRIES = 4
#: Room that is worth another try.
WORTH_A_TRY = 128
#: Bytes of flash that an instruction is worth: tried in this order as long as the firmware goes within its limit.
HASTE = tuple(2e-5 * 4**step for step in range(1, 9))


def fitted(compile_for: Compile, optimize: str, within: Mapping[str, int]) -> "Compiled":
    """A model whose RAM and flash, linked and measured, stay within; CheckFailed with the least that was found if none does.

    Where flash is too small for the objective, weights and code are chosen as --optimize flash would, then with more and
    more bytes for an instruction less, as long as there is room.
    """
    found = []

    def fits(objective: str, haste: float | None = None) -> "Compiled | None":
        compiled, entry = _within_ram(compile_for, objective, within.get("ram"), haste)
        totals = {key: entry[key]["total"] for key in within}
        found.append((compiled, totals))
        return compiled if all(totals[key] <= most for key, most in within.items()) else None

    if (compiled := fits(optimize)) is not None:
        return compiled
    if "flash" in within and optimize != "flash" and (compiled := fits("flash")) is not None:
        return _faster(compiled, fits)
    compiled = found[0][0]
    wanted = ", ".join(f"{key} {most:,}" for key, most in within.items())
    least = ", ".join(f"{key} {min(totals[key] for _, totals in found):,}" for key in within)
    rows = "" if compiled.model.by_row else "let the input arrive by rows (--input rows), "
    raise CheckFailed(
        f"{compiled.path}: does not go within {wanted} bytes on {compiled.board.name}; the least that was found: {least}; allow "
        f"more, {rows}or compress the model further"
    )


def _faster(smallest: "Compiled", fits: Callable[[str, float], "Compiled | None"]) -> "Compiled":
    """The one of fewest instructions among those that trade flash for speed and still go within."""
    from lamella import footprint

    def instructions(compiled: "Compiled") -> float:
        return sum(layer["estimated_instructions"] for layer in footprint.layers(compiled.graph))

    best = smallest
    for haste in HASTE:
        compiled = fits("flash", haste)
        if compiled is None:
            break
        best = min(best, compiled, key=instructions)
    return best


def _within_ram(compile_for: Compile, optimize: str, most: int | None, haste: float | None) -> tuple["Compiled", dict]:
    """The model with as large an arena as goes within `most` bytes of RAM, the smallest if none does; and its footprint."""
    from lamella import footprint

    def measured(arena: int | None) -> tuple["Compiled", dict]:
        compiled = compile_for(optimize, arena, haste)
        return compiled, footprint.measure(compiled)

    if most is None:
        return measured(None)
    arena, best = max(most - BESIDE_ARENA, 0), None
    for _ in range(TRIES):
        compiled, entry = measured(arena)
        ram = entry["ram"]
        room = most - ram["total"]
        if room >= 0:
            best = compiled, entry
        wanted = most - (ram["total"] - ram["arena"])
        if wanted == arena or (room >= 0 and wanted - arena < WORTH_A_TRY) or (room < 0 and ram["arena"] > arena):
            break
        arena = max(wanted, 0)
    return best or measured(0)
