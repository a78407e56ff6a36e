"""Every board is complete, and its support files build alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from lamella import boards
from lamella.errors import UsageError


def test_every_folder_with_a_board_file_is_a_board():
    assert boards.names() == ["host", *sorted(set(boards.names()) - {"host"})]
    assert {"host", "qemu_microbit", "qemu_mps2_an386", "nucleo_f446re"} <= set(boards.names())


def test_board_is_complete(any_board: str):
    board = boards.load(any_board)
    assert board.title and board.core.title and board.compiler.title
    assert board.port.is_file() and board.core.stack.is_file()
    assert set(board.compiler.optimize) == set(boards.objectives())
    # What runs can read its samples; what does not says how to flash it.
    assert bool(board.runner) == bool(board.files)
    assert board.runner or "{elf}" in (board.flash_with or "")
    assert "x.elf" in boards.run_hint(board, "x.elf")
    if board.core.linker_script:
        assert board.flash and board.ram and board.core.startup
        assert board.flash.size > 0 and board.ram.size > 0
        assert board.flash.origin + boards.ENLARGED_BYTES <= board.ram.origin
    if board.runner and board.runner.plugin:
        assert board.runner.clock_hz > 0 and board.runner.clock_arguments


def test_core_is_emulated_by_a_board_of_its_own(any_board: str):
    core = boards.load(any_board).core
    if core.emulated_by:
        other = boards.load(core.emulated_by)
        assert other.core == core and other.runner


def test_every_core_compiler_and_runner_serves_a_board():
    loaded = [boards.load(name) for name in boards.names()]
    for kind, used in (
        ("cores", {board.core.name for board in loaded}),
        ("compilers", {board.compiler.name for board in loaded}),
        ("runners", {board.runner.name for board in loaded if board.runner}),
    ):
        assert {path.stem for path in (boards.ROOT / kind).glob("*.toml")} == used


def test_unknown_board_names_the_nearest_and_all():
    with pytest.raises(UsageError, match=r"'qemu_mps2_an387'.*did you mean qemu_mps2_an38.*nucleo_f446re"):
        boards.load("qemu_mps2_an387")


def test_unknown_objective_is_refused():
    with pytest.raises(UsageError, match="balanced"):
        boards.product_flags(boards.load("host"), "fast")


MAIN = """#include "lam_port.h"
int main(void)
{
    lam_port_init();
    lam_port_write("product\\n");
    return lam_port_time() == lam_port_time() + 1u ? 1 : 7;
}
"""


@pytest.mark.parametrize("optimize", ["flash", "speed"])
def test_product_files_build_alone_and_run(any_board: str, optimize: str, tmp_path: Path):
    board = boards.load(any_board)
    files = boards.product_files(board)
    for name, text in {**files, "main.c": MAIN}.items():
        assert str(boards.ROOT) not in text and "/" not in name
        (tmp_path / name).write_text(text)
    flags = boards.product_flags(board, optimize)
    script = ["-T", flags.linker_script] if flags.linker_script else []
    sources = [name for name in files if name.endswith(".c")]
    objects = [Path(name).with_suffix(".o").name for name in (*sources, "main.c")]
    for command in (
        [*flags.compile, "-Werror", "-c", *sources, "main.c"],
        [*objects, *flags.link, *script, "-o", "product.elf"],
    ):
        subprocess.run([board.compiler.cc, *command], cwd=tmp_path, check=True)
    if board.runner:
        line = [argument.replace("{elf}", "./product.elf") for argument in board.runner.command]
        done = subprocess.run(
            line, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
        assert (done.stdout + done.stderr, done.returncode) == ("product\n", 7)


def test_nucleo_port_writes_to_its_serial_port(cache: Path):
    """QEMU has no such board, but netduinoplus2 has the same memory map and the same serial port."""
    from lamella.build import build

    elf = build(boards.load("nucleo_f446re"), {"main.c": MAIN}, with_port=True, cache_dir=cache)
    command = ["qemu-system-arm", "-M", "netduinoplus2", "-nographic", "-monitor", "none"]
    command += ["-serial", "null", "-serial", "stdio", "-kernel", str(elf)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "product\n"
            assert process.stdout.readline() == "exit code not 0\n"
        finally:
            process.kill()


def test_command_lists_boards_and_loads_nothing_heavy():
    program = """
import argparse, sys
from lamella.commands import boards
assert boards.run(argparse.Namespace(json=None, quiet=False)) == 0
heavy = {"torch", "onnx", "onnxruntime", "jinja2", "numpy", "elftools"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name in boards.names():
        assert sum(line.split()[:1] == [name] for line in done.stdout.splitlines()) == 1


def test_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    from lamella.commands.boards import describe, rows

    monkeypatch.setenv("PATH", "")
    row = rows([describe(boards.load("qemu_microbit"))])[0]
    assert "needs: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm" in row
