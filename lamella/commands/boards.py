"""`lamella boards`: what a model can be generated for, and what can run here."""

import argparse
import shutil
from typing import Any

from lamella import boards, output

HELP = "list the boards, and what is installed to build for them and to run on them"
EXAMPLES = """\
lamella boards
lamella boards --json boards.json
"""

COLUMNS = ["board", "core", "flash", "RAM", "here", "what it is"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """Prints a table; 0."""
    facts = [describe(boards.load(name)) for name in boards.names()]
    output.emit(args, {"boards": facts})
    if output.speaks(args):
        output.table(COLUMNS, rows(facts))
    return 0


def describe(board: boards.Board) -> dict[str, Any]:
    """What there is to know about a board; sizes in bytes, null on this computer."""
    runner = board.runner
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core.name,
        "flash": board.flash.size if board.flash else None,
        "ram": board.ram.size if board.ram else None,
        "unaligned": board.core.unaligned,
        "dsp": board.core.dsp,
        "mve": board.core.mve,
        "compiler": board.compiler.cc,
        "compiler_installed": shutil.which(board.compiler.cc) is not None,
        "compiler_package": board.compiler.package,
        "runner": runner.title if runner else None,
        "runner_installed": runner is not None and (not runner.package or shutil.which(runner.command[0]) is not None),
        "runner_package": runner.package if runner else None,
        "stack_measured_on": board.name if runner and board.ram else board.core.emulated_by,
    }


def rows(facts: list[dict[str, Any]]) -> list[list[Any]]:
    """The boards as rows of a table."""
    return [
        [board["name"], board["core"], _size(board["flash"]), _size(board["ram"]), _state(board), board["title"]]
        for board in facts
    ]


def _size(size: int | None) -> str | None:
    if size is None:
        return None
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def _state(board: dict[str, Any]) -> str:
    missing = []
    if not board["compiler_installed"]:
        missing.append(board["compiler_package"])
    if board["runner"] and not board["runner_installed"]:
        missing.append(board["runner_package"])
    if missing:
        return "needs: apt-get install " + " ".join(missing)
    return "builds and runs here" if board["runner"] else "builds here"
