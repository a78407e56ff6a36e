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
    from lamella.codegen import floats, kernels, operators, rewrites, sources

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
    files = [{"name": s.name, "title": s.title} for s in sources.sources()]
    steps = [{"name": r.name, "title": r.title} for r in rewrites.rewrites()]
    integer = {onnx for o in operators.operators().values() for onnx in o.onnx}
    types = [
        {"onnx": name, "int8": name in integer, "float32": name in floats.readers()}
        for name in sorted({*integer, *floats.readers()})
    ]
    output.emit(args, {"operators": facts, "types": types, "sources": files, "rewrites": steps})
    if output.speaks(args):
        rows = [[f["name"], ", ".join(f["onnx"]), f["title"], ", ".join(f["kernels"])] for f in facts]
        output.table(["operator", "ONNX types", "", "kernels"], rows)
        marks = [[t["onnx"], "yes" if t["int8"] else "", "yes" if t["float32"] else ""] for t in types]
        output.table(["ONNX type", "int8", "float32"], marks)
        output.table(["kind of file", ""], [[f["name"], f["title"]] for f in files])
        output.table(["rewritten first", ""], [[f["name"], f["title"]] for f in steps])
    return 0
