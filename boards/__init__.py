"""Boards: what a firmware is compiled for and where it runs.

Separate facts lie in separate files: a board (`<name>/board.toml`) names its core (`cores/`), its compiler
(`compilers/`) and what runs it (`runners/`). A board exists because its folder has a board.toml.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lamella.errors import UsageError

ROOT = Path(__file__).resolve().parent
SUPPORT = ROOT / "support"

# Room for any image, so that one that does not fit its board can still be measured. Every board leaves that much
# between the beginnings of its flash and its RAM.
ENLARGED_BYTES = 128 << 20


@dataclass(frozen=True)
class Region:
    """Memory from `origin`, `size` bytes long."""

    origin: int
    size: int


@dataclass(frozen=True)
class Core:
    """What a processor can do, how to compile for it, and how a program on it starts."""

    name: str
    title: str
    flags: tuple[str, ...]
    unaligned: bool  # a load may be unaligned
    dsp: bool  # SMLAD and its family
    mve: bool  # vectors of integers (Arm's Helium)
    fpu: bool
    long_multiply: bool  # 32 x 32 -> 64 bit in an instruction or two, not in a function
    startup: Path | None  # from reset to main; None: the operating system does that
    clock: Path | None  # lam_port_time; None: the port has it
    linker_script: Path | None
    stack: Path  # measures the stack, for the harness
    emulated_by: str | None  # the board on which this core's stack is measured when its own cannot run

    @property
    def family(self) -> str:
        """Cores that share assembly and start-up: cortex_m, riscv, or host."""
        return self.startup.parent.name if self.startup else "host"

    @property
    def features(self) -> frozenset[str]:
        """What a kernel may require of a core."""
        return frozenset(name for name in ("dsp", "mve", "long_multiply") if getattr(self, name))


@dataclass(frozen=True)
class Compiler:
    """Commands and flags of a compiler; `optimize` maps an objective to further flags."""

    name: str
    title: str
    cc: str
    ar: str
    objcopy: str
    size: str
    package: str  # Debian packages that bring it
    cmake_system: str  # CMAKE_SYSTEM_NAME; empty: no cross compilation
    cmake_processor: str
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    link: tuple[str, ...]
    optimize: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Runner:
    """The command that runs an ELF file here; `{elf}` stands for the file."""

    name: str
    title: str
    command: tuple[str, ...]
    package: str  # Debian package that brings it; empty: nothing needed
    plugin: Path | None  # source of a QEMU plugin that counts instructions
    trap_unaligned: bool  # the plugin ends the program at an unaligned access, which the emulator lets pass
    clock_arguments: tuple[str, ...]  # make the clock tick once per instruction
    clock_hz: int  # of lam_port_time


@dataclass(frozen=True)
class Board:
    """One board, with all that its files say."""

    name: str
    title: str
    core: Core
    compiler: Compiler
    flash: Region | None  # None: the memory of this computer
    ram: Region | None
    runner: Runner | None  # None: nothing here can run it
    defines: tuple[str, ...]
    port: Path
    files: Path | None  # lam_port_file.h for the harness; None where nothing can run it
    flash_with: str | None  # command with {elf}
    listen_with: str | None

    @property
    def unaligned(self) -> bool:
        """Whether a load may be unaligned."""
        return self.core.unaligned


class Flags(NamedTuple):
    """Arguments of the compiler; `linker_script` is a file of product_files, or None."""

    compile: tuple[str, ...]
    link: tuple[str, ...]
    linker_script: str | None


def names() -> list[str]:
    """All boards: this computer, then the others by name."""
    found = sorted(path.parent.name for path in ROOT.glob("*/board.toml"))
    return sorted(found, key=lambda name: name != "host")


@cache
def load(name: str) -> Board:
    """The board of that name."""
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"board {name!r} is not known{hint} Known boards: {', '.join(names())}")
    folder = ROOT / name
    facts = tomllib.loads((folder / "board.toml").read_text(encoding="utf-8"))
    memory = facts.get("memory", {})
    return Board(
        name=name,
        title=facts["title"],
        core=_core(facts["core"]),
        compiler=_compiler(facts["compiler"]),
        flash=_region(memory.get("flash")),
        ram=_region(memory.get("ram")),
        runner=_runner(facts.get("runner")),
        defines=tuple(facts.get("defines", ())),
        port=_source(facts["port"], folder),
        files=_source(facts["files"], folder) if "files" in facts else None,
        flash_with=facts.get("flash_with"),
        listen_with=facts.get("listen_with"),
    )


def objectives() -> list[str]:
    """What `--optimize` may say."""
    return ["flash", "ram", "speed", "balanced"]


def product_files(board: Board, *, enlarged: bool = False) -> dict[str, str]:
    """The files of the board in a generated folder, flat, by name: start-up, port, linker script."""
    core = board.core
    sources = [SUPPORT / "lam_port.h", core.startup, core.clock, *sorted(board.port.parent.glob("*.h")), board.port]
    files = {path.name: path.read_text(encoding="utf-8") for path in sources if path}
    if board.core.linker_script:
        files[board.core.linker_script.name] = linker_script(board, enlarged=enlarged)
    return files


def product_flags(board: Board, optimize: str = "balanced") -> Flags:
    """Flags that build a generated folder. Warnings are on; a later compiler's new ones do not stop the build."""
    compiler = board.compiler
    if optimize not in compiler.optimize:
        raise UsageError(f"--optimize {optimize} is not known; use one of {', '.join(compiler.optimize)}")
    defines = tuple(f"-D{name}" for name in board.defines)
    return Flags(
        compile=(*board.core.flags, *compiler.flags, *compiler.optimize[optimize], *compiler.warnings, *defines),
        link=(*board.core.flags, *compiler.link),
        linker_script=board.core.linker_script.name if board.core.linker_script else None,
    )


def linker_script(board: Board, *, enlarged: bool = False) -> str:
    """The linker script of the core with the memory of the board; `enlarged`: with room for any image."""
    if board.core.linker_script is None or board.flash is None or board.ram is None:
        raise ValueError(f"{board.name} has no linker script")
    lines = [f"/* Memory of {board.name}: {board.title}. */", "MEMORY", "{"]
    for region, access, memory in (("FLASH", "rx", board.flash), ("RAM", "rwx", board.ram)):
        size = ENLARGED_BYTES if enlarged else memory.size
        lines.append(f"    {region} ({access}) : ORIGIN = 0x{memory.origin:08x}, LENGTH = {size}")
    return "\n".join([*lines, "}", "", board.core.linker_script.read_text(encoding="utf-8")])


def run_hint(board: Board, elf: str) -> str:
    """What a person types to run `elf` on this board; on a real one to read what it says and to flash it."""
    if board.runner:
        return " ".join(argument.replace("{elf}", elf) for argument in board.runner.command)
    commands = [board.flash_with.replace("{elf}", elf)] if board.flash_with else []
    if board.listen_with:
        commands.insert(0, f"{board.listen_with}   # in a second terminal")
    return "\n".join(commands)


@cache
def _core(name: str) -> Core:
    facts = _facts("cores", name)
    return Core(
        name=name,
        title=facts["title"],
        flags=tuple(facts["flags"]),
        **{"mve": False} | facts["can"],
        startup=_support(facts.get("startup")),
        clock=_support(facts.get("clock")),
        linker_script=_support(facts.get("linker_script")),
        stack=SUPPORT / facts["stack"],
        emulated_by=facts.get("emulated_by"),
    )


@cache
def _compiler(name: str) -> Compiler:
    facts = _facts("compilers", name)
    lists = {key: tuple(facts.pop(key)) for key in ("flags", "warnings", "link")}
    optimize = {key: tuple(flags) for key, flags in facts.pop("optimize").items()}
    return Compiler(name=name, optimize=optimize, **lists, **facts)


def _runner(board: dict | None) -> Runner | None:
    if board is None:
        return None
    facts = _facts("runners", board["name"])
    return Runner(
        name=board["name"],
        title=facts["title"],
        command=tuple(text.replace("{machine}", board.get("machine", "")) for text in facts["command"]),
        package=facts["package"],
        plugin=_support(facts.get("plugin")),
        trap_unaligned=facts.get("trap_unaligned", False),
        clock_arguments=tuple(facts.get("clock_arguments", ())),
        clock_hz=board.get("clock_hz", 0),
    )


def _facts(kind: str, name: str) -> dict:
    return tomllib.loads((ROOT / kind / f"{name}.toml").read_text(encoding="utf-8"))


def _support(path: str | None) -> Path | None:
    return SUPPORT / path if path else None


def _source(path: str, folder: Path) -> Path:
    """A C file of the board's own folder, else of the shared ones."""
    own = folder / path
    return own if own.exists() else SUPPORT / path


def _region(facts: dict | None) -> Region | None:
    if facts is None:
        return None
    size = facts["size"]
    return Region(facts["origin"], int(size[:-1]) << {"K": 10, "M": 20}[size[-1]])
