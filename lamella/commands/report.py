"""`lamella report`: one HTML file with what a model is, what it costs, and the proof that it is right."""

import argparse
import shutil
from pathlib import Path

from lamella import arguments, output
from lamella.errors import UsageError

HELP = "write an HTML report: pictures and tables of flash, RAM, instructions, weights, and the verification"
EXAMPLES = """\
lamella report model.onnx --out report.html
lamella report model.onnx --board qemu_microbit --board nucleo_f446re --out report.html
"""

DEFAULT_BOARDS = ("host", "qemu_mps2_an386")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --out report.html [--board B ...] [--metrics FILE] [--no-verify]."""
    arguments.add_model(parser)
    arguments.add_board(parser, several=True, required=False)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="HTML file to write")
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE", help="accuracy from this file (default: metrics.json beside the model)"
    )
    parser.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="prove that the C equals PyTorch on the default vectors (default: yes)",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the file; 0, or 1 if a board is not bit-exact (the report says so too)."""
    names = arguments.boards_of(args.board) if args.board else default_boards()
    arguments.check_model(args)

    from lamella import report
    from lamella.codegen.ir import every_node

    report.refuse_unwritable(args.out)
    metrics = report.read_metrics(args.metrics) if args.metrics else None
    graph = arguments.graph_of(args)
    compiled = report.compile_for(args.model, names, graph, **arguments.how(args))
    if metrics is None:
        metrics = _metrics_beside(args.model, {placed.node.name for placed in every_node(graph)})
    verification = None
    if args.verify:
        with output.progress(args, "verify") as progress:
            verification = report.check(graph, compiled, progress)
    with output.progress(args, "measure") as progress:
        how = None if args.calibrated is None else args.calibrated.to_dict()
        data = report.gather(compiled, verification, metrics, progress, how)
    shown = next(one for one in compiled if one.board.name == data["detail_board"])
    report.write(args.out, report.render(data, shown.graph))
    output.emit(args, {**data, "out": str(args.out)})
    if output.speaks(args):
        for line in data["verdict"]:
            print({True: "PASS", False: "FAIL", None: "note"}[line["ok"]], line["text"])
        print(f"{args.out}: {args.out.stat().st_size:,} bytes")
    return 0 if verification is None or verification["bit_exact"] else 1


def default_boards() -> list[str]:
    """This computer, and an emulated Cortex-M4 where its compiler and emulator are installed."""
    from lamella import boards

    found = []
    for name in DEFAULT_BOARDS:
        board = boards.load(name)
        tools = [board.compiler.cc] + ([board.runner.command[0]] if board.runner and board.runner.package else [])
        if name == "host" or all(shutil.which(tool) for tool in tools):
            found.append(name)
    return found


def _metrics_beside(model: Path, names: set[str]) -> dict | None:
    """metrics.json beside the model, if it is of that model; a note where it is not."""
    from lamella import report

    path = model.parent / "metrics.json"
    if not path.is_file():
        return None
    try:
        metrics = report.read_metrics(path)
    except UsageError as error:
        arguments.warn(f"lamella report: left out: {error}")
        return None
    if not names & {layer["name"] for layer in metrics["layers"]}:
        arguments.warn(
            f"lamella report: left out: {path} has no layer of {model.name}; --metrics FILE names the right one"
        )
        return None
    return metrics
