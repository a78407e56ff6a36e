"""`lamella operators`: what of ONNX is supported."""

import argparse

from lamella import output

HELP = "list the supported operators, with the ONNX types they read"
EXAMPLES = """\
lamella operators
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    """Prints a table; 0."""
    from lamella.codegen import kernels, operators

    facts = [
        {
            "name": o.name,
            "title": o.title,
            "onnx": list(o.onnx),
            "kernels": [k.function for k in kernels.of_operator(o.name)],
        }
        for o in operators.operators().values()
        if o.onnx  # others only come from passes
    ]
    output.emit(args, {"operators": facts})
    if output.speaks(args):
        rows = [[f["name"], ", ".join(f["onnx"]), f["title"], ", ".join(f["kernels"])] for f in facts]
        output.table(["operator", "ONNX types", "", "kernels"], rows)
    return 0
