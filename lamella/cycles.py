"""Estimated cycles from executed instructions and the timings that Arm has published for a core.

An estimate, not a measurement: memory without wait states, no interrupts, a fixed refill of the pipeline after each
branch taken. Cores whose manuals give no timings (Cortex-M7, M33, M55) have no estimate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from lamella.qemu_count import Block


@dataclass(frozen=True)
class Timing:
    """Cycles of each class of instruction. `refill` is added for every branch taken, `register` for each one that a
    multiple load or store moves; `load_after` is a single load or store right behind another one."""

    source: str
    load: float = 2
    load_after: float = 1
    store: float = 2
    multiple: float = 1
    register: float = 1
    multiply: float = 1
    multiply_add: float = 1
    long_multiply: float = 1
    long_multiply_add: float = 1
    divide: float = 7  # 2 to 12: the middle
    call: float = 1
    other: float = 1
    refill: float = 2  # 1 to 3: the middle


TIMINGS = {
    "cortex-m0": Timing("Cortex-M0 Technical Reference Manual r0p0, table 3-1, single-cycle multiplier", load_after=2, call=2),
    "cortex-m3": Timing(
        "Cortex-M3 Technical Reference Manual r2p1, table 3-1, middles of ranges",
        multiply_add=2,
        long_multiply=4,
        long_multiply_add=5.5,
    ),
    "cortex-m4": Timing("Cortex-M4 Technical Reference Manual r0p1, table 3-1, middles of ranges"),
}  # fmt: skip

_LONG_ADD = ("smlal", "umlal", "umaal")
_LONG = ("smull", "umull")
_ADD = ("mla", "mls", "smla", "smls", "smmla", "smmls")


def estimate(elf: Path, core: str, blocks: Iterable[Block]) -> dict[int, float] | None:
    """Cycles by segment of the blocks executed; None where the core's timings are not published."""
    timing = TIMINGS.get(core)
    if timing is None:
        return None
    code = _Code(elf)
    known: dict[tuple[int, int], Counter] = {}
    found: dict[int, float] = {}
    for block in blocks:
        key = (block.address, block.instructions)
        if key not in known:
            known[key] = code.classes(*key)
        once = sum(n * getattr(timing, name) for name, n in known[key].items())
        cycles = once * block.times + block.left * timing.refill
        found[block.segment] = found.get(block.segment, 0.0) + cycles
    return found


class _Code:
    """The Thumb code of a program, to be looked at by address."""

    def __init__(self, elf: Path):
        import capstone

        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        with elf.open("rb") as file:
            sections = [s for s in ELFFile(file).iter_sections() if s["sh_flags"] & 4]
            self._parts = [(s["sh_addr"], s.data()) for s in sections]

    def classes(self, address: int, instructions: int) -> Mapping[str, int]:
        """How many instructions of each class (a member of Timing) lie from an address on."""
        start, data = next((a, d) for a, d in self._parts if a <= address < a + len(d))
        code = data[address - start : address - start + 4 * instructions]
        counts: Counter = Counter()
        after_single = False
        n = 0
        for _, _, name, operands in self._decoder.disasm_lite(code, address):
            if n == instructions:
                break
            n += 1
            kind = _class(name.split(".")[0])
            if kind in ("load", "store") and after_single:
                kind = "load_after"
            after_single = kind in ("load", "load_after", "store")
            counts[kind] += 1
            if kind == "multiple":
                counts["register"] += 2 if name.startswith(("ldrd", "strd")) else _registers(operands)
        if n != instructions:
            raise ValueError(f"{n} of {instructions} instructions at {address:#x} could be decoded")
        return counts


def _registers(operands: str) -> int:
    """Registers in the list of an LDM, STM, PUSH or POP."""
    inside = operands[operands.index("{") + 1 : operands.index("}")]
    return sum(1 for part in inside.split(",") if part.strip())


def _class(name: str) -> str:
    """The class of a mnemonic."""
    if name.startswith(("ldm", "stm", "push", "pop", "ldrd", "strd")):
        return "multiple"
    if name.startswith("ldr"):
        return "load"
    if name.startswith("str"):
        return "store"
    if name.startswith(_LONG_ADD):
        return "long_multiply_add"
    if name.startswith(_LONG):
        return "long_multiply"
    if name.startswith(_ADD):
        return "multiply_add"
    if name.startswith(("mul", "smul", "smmul", "smua", "smus")):
        return "multiply"
    if name.startswith(("udiv", "sdiv")):
        return "divide"
    if name in ("bl", "blx"):
        return "call"
    return "other"
