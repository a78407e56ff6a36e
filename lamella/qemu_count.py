"""Counting instructions with a QEMU plugin (boards/support/qemu/lam_count.c) that is built at need and cached."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamella.build import cached
from lamella.elf import Symbol

# Versions of QEMU's plugin interface to try, one after the other; each QEMU accepts some of them.
VERSIONS = (1, 2, 3, 4)

MAP = "lam_count_map.txt"
RESULT = "lam_count.txt"

# Control is in one of these when the counted function has returned, whether it was called or jumped to.
_CALLERS = ("lam_harness_", "lam_stack_", "main")


@dataclass(frozen=True)
class Block:
    """Instructions executed one after the other during a segment of the first call, and how often; `left` of these times
    the last one was not followed by the next in memory."""

    segment: int
    address: int
    instructions: int
    times: int
    left: int


@dataclass(frozen=True)
class Counts:
    """Means over the calls. segments: None where calls differ in their number, or have thousands."""

    calls: int
    instructions: float
    segments: tuple[float, ...] | None
    functions: dict[str, float]
    blocks: tuple[Block, ...]  # empty unless asked for


class Plugin:
    """The plugin in the version that an emulator accepts; `path` is None where there is none."""

    def __init__(self, source: Path, emulator: str, cache: Path):
        self._source = source
        self._cache = cache
        real = os.path.realpath(emulator)
        facts = os.stat(real)
        identity = f"{real} {facts.st_size} {facts.st_mtime_ns}".encode() + source.read_bytes()
        self._key = hashlib.sha256(identity).hexdigest()[:40]
        # Which version worked last time: a number, or "none".
        self._note = cache / "plugins" / f"{self._key}.version"
        known = self._note.read_text() if self._note.exists() else str(VERSIONS[0])
        self._version = None if known == "none" else int(known)
        self.path = self._build()

    def refused(self) -> None:
        """The emulator did not load it: tries the next version, and remembers."""
        later = VERSIONS[VERSIONS.index(self._version) + 1 :] if self._version in VERSIONS else ()
        self._version = later[0] if later else None
        self._note.parent.mkdir(parents=True, exist_ok=True)
        self._note.unlink(missing_ok=True)
        cached(self._note, lambda path: _write(path, str(self._version or "none")))
        self.path = self._build()

    def _build(self) -> Path | None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if self._version is None or compiler is None:
            return None
        folder = self._cache / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-std=c99", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden"]
        command += [f"-DLAM_PLUGIN_VERSION={self._version}", str(self._source)]

        def make(target: Path) -> None:
            subprocess.run([*command, "-o", str(target)], check=True, capture_output=True)

        try:
            return cached(folder / f"{self._key}-{self._version}.so", make)
        except subprocess.CalledProcessError:  # a compiler without its library's headers: the clock will do
            return None

    def arguments(self, blocks: bool = False, trap_unaligned: bool = False) -> list[str]:
        """Arguments of the emulator; the map and the result lie in the folder in which it runs."""
        name = str(self.path).replace(",", ",,")
        further = (",blocks=first" if blocks else "") + (",trap=unaligned" if trap_unaligned else "")
        return ["-plugin", f"{name},map={MAP},out={RESULT}{further}"]


def write_map(folder: Path, functions: Sequence[Symbol], run_symbol: str) -> None:
    """Tells the plugin where the functions lie and what they are to it."""
    lines = []
    for function in functions:
        if function.name == run_symbol:
            role = "e"
        elif function.name.startswith(run_symbol + "."):
            role = "o"  # GCC splits cold or early parts off a function: name.part.0, name.cold
        elif function.name.startswith(_CALLERS[:2]) or function.name in _CALLERS:
            role = "s"
        else:
            role = "f"
        lines.append(f"{role} {function.address:x} {function.size:x}\n")
    (folder / MAP).write_text("".join(lines))


def read_result(folder: Path, functions: Sequence[Symbol]) -> Counts | None:
    """What the plugin has counted; None if it saw no call."""
    calls: list[list[int]] = []
    per_function: dict[str, int] = {}
    blocks: list[Block] = []
    for line in (folder / RESULT).read_text().splitlines():
        kind, *numbers = line.split()
        if kind == "call":
            calls.append([int(text) for text in numbers])
        elif kind == "block":
            segment, address, *rest = numbers
            blocks.append(Block(int(segment), int(address, 16), *map(int, rest)))
        else:
            name = functions[int(numbers[0])].name
            per_function[name] = per_function.get(name, 0) + int(numbers[1])
    if not calls:
        return None
    n = len(calls)
    same = len({len(call) for call in calls}) == 1
    columns = list(zip(*calls, strict=True))[1:] if same else []
    segments = tuple(sum(column) / n for column in columns) or None
    return Counts(
        calls=n,
        instructions=sum(call[0] for call in calls) / n,
        segments=segments,
        functions={name: count / n for name, count in per_function.items()},
        blocks=tuple(blocks),
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text)
