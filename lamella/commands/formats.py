"""`lamella formats`: how weights can lie in flash."""

import argparse

from lamella import output

HELP = "list the weight formats"
EXAMPLES = """\
lamella formats
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """Prints a table; 0."""
    from lamella import formats

    facts = [
        {"name": f.name, "title": f.title, "lowest": f.lowest, "highest": f.highest, "sparse": f.sparse}
        for f in formats.formats().values()
    ]
    output.emit(args, {"formats": facts})
    if output.speaks(args):
        output.table(
            ["format", "levels", ""], [[f["name"], f"{f['lowest']} .. {f['highest']}", f["title"]] for f in facts]
        )
    return 0
