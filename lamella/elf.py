"""What lies in a linked program: symbols, and how many bytes of flash and RAM each part takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Section, SymbolTableSection

from lamella.boards import Board


class Symbol(NamedTuple):
    """A named piece of the program; `address` without the bit that marks Thumb code."""

    name: str
    address: int
    size: int
    function: bool


@dataclass(frozen=True)
class Image:
    """Bytes of a program. flash_total = weights + code + other; the RAM without the stack is static + arena."""

    flash_total: int
    flash_weights: int  # the weight symbols
    flash_code: int  # executable sections, literal pools included
    flash_other: int  # the rest that occupies flash: constants, vectors, initial values of variables, gaps
    ram_static: int  # variables without the arena; no stack
    ram_arena: int


def symbols(elf: Path) -> list[Symbol]:
    """Functions and objects, by address. A function of unknown size reaches to the next symbol."""
    with elf.open("rb") as file:
        image = ELFFile(file)
        thumb = image["e_machine"] == "EM_ARM"
        found = []
        for section in image.iter_sections("SHT_SYMTAB"):
            assert isinstance(section, SymbolTableSection)
            for symbol in section.iter_symbols():
                kind = symbol["st_info"]["type"]
                if kind not in ("STT_FUNC", "STT_OBJECT") or symbol["st_shndx"] == "SHN_UNDEF":
                    continue
                function = kind == "STT_FUNC"
                address = symbol["st_value"] & ~1 if thumb and function else symbol["st_value"]
                found.append(Symbol(symbol.name, address, symbol["st_size"], function))
    found.sort(key=lambda symbol: symbol.address)
    for i, symbol in enumerate(found):
        if symbol.function and symbol.size == 0:
            later = (other.address for other in found[i + 1 :] if other.address > symbol.address)
            found[i] = symbol._replace(size=next(later, symbol.address) - symbol.address)
    return found


def contents(elf: Path, name: str) -> bytes:
    """The initial bytes of an object."""
    symbol = next((symbol for symbol in symbols(elf) if symbol.name == name), None)
    if symbol is None:
        raise KeyError(f"{elf.name} has no object {name}")
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            offset = symbol.address - section["sh_addr"]
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and 0 <= offset and offset + symbol.size <= section["sh_size"]:
                return section.data()[offset : offset + symbol.size]
    raise KeyError(f"{name} lies in no section of {elf.name}")


def parts(unit: Path) -> dict[str, tuple[int, list[str]]]:
    """What a linker takes or leaves of an object file: each section's bytes and the parts that it refers to, by name.

    A part is named like the function or object in it if others can see that, else <file>:<section>.
    """
    with unit.open("rb") as file:
        image = ELFFile(file)
        (table,) = image.iter_sections("SHT_SYMTAB")
        assert isinstance(table, SymbolTableSection)
        symbols = list(table.iter_symbols())
        kept = {
            k: x for k, x in enumerate(image.iter_sections()) if x["sh_flags"] & SH_FLAGS.SHF_ALLOC and x["sh_size"]
        }
        names = {k: f"{unit.stem}:{section.name}" for k, section in kept.items()}
        for symbol in symbols:
            if symbol["st_shndx"] in kept and symbol["st_info"]["bind"] == "STB_GLOBAL":
                names[symbol["st_shndx"]] = symbol.name
        refers: dict[int, set[str]] = {k: set() for k in kept}
        for section in image.iter_sections():
            if isinstance(section, RelocationSection) and section["sh_info"] in kept:
                for relocation in section.iter_relocations():
                    symbol = symbols[relocation["r_info_sym"]]
                    refers[section["sh_info"]].add(names.get(symbol["st_shndx"], symbol.name))
        return {names[k]: (kept[k]["sh_size"], sorted(refers[k] - {names[k], ""})) for k in kept}


def measure(elf: Path, board: Board, weight_symbols: Sequence[str], arena_symbol: str) -> Image:
    """The bytes of flash and RAM that a program takes.

    On a board, flash is all from its first to its last used byte. On the host, where the C library's own start-up is part
    of the program, it is the sum of the loaded sections, and only comparisons of like with like mean anything.
    """
    sizes = {symbol.name: symbol.size for symbol in symbols(elf)}
    # A weight array that two layers share is there once.
    weights = sum(sizes[name] for name in set(weight_symbols))
    arena = sizes[arena_symbol]
    code = constants = variables = 0
    with elf.open("rb") as file:
        image = ELFFile(file)
        for section in image.iter_sections():
            flags, size = section["sh_flags"], section["sh_size"]
            if not flags & SH_FLAGS.SHF_ALLOC:
                continue
            if flags & SH_FLAGS.SHF_EXECINSTR:
                code += size
            elif flags & SH_FLAGS.SHF_WRITE:
                variables += size
                constants += 0 if _starts_empty(section) else size
            else:
                constants += size
        total = code + constants
        if board.flash is not None:
            loaded = (segment for segment in image.iter_segments("PT_LOAD") if segment["p_filesz"])
            total = max(segment["p_paddr"] + segment["p_filesz"] for segment in loaded) - board.flash.origin
    return Image(
        flash_total=total,
        flash_weights=weights,
        flash_code=code,
        flash_other=total - weights - code,
        ram_static=variables - arena,
        ram_arena=arena,
    )


def _starts_empty(section: Section) -> bool:
    return section["sh_type"] == "SHT_NOBITS"
