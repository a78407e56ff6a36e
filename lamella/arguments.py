"""Arguments that several commands share."""

import argparse
from pathlib import Path

from lamella.errors import UnsupportedError, UsageError

OBJECTIVES = ("flash", "ram", "speed", "balanced")


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx, --optimize, --calibrate, --name."""
    parser.add_argument("model", metavar="MODEL.onnx", type=Path, help="a quantised ONNX file")
    add_optimize(parser)
    parser.add_argument("--calibrate", metavar="X.npz", type=Path, help="samples to quantise a float model with")
    parser.add_argument("--name", help="C name of the model (default: the graph's name, else the file's)")


def add_optimize(parser: argparse.ArgumentParser) -> None:
    """--optimize."""
    parser.add_argument("--optimize", choices=OBJECTIVES, default="balanced", help="what to save (default: balanced)")


def add_board(parser: argparse.ArgumentParser, several: bool = False, required: bool = True) -> None:
    """--board, once or several times."""
    text = "board; `lamella boards` lists them" + ("; may be given several times" if several else "")
    parser.add_argument(
        "--board", required=required, action="append" if several else "store", metavar="BOARD", help=text
    )


def check_model(args: argparse.Namespace) -> None:
    """Refuse what is asked of the model before any work is done."""
    if args.calibrate is not None and not args.calibrate.is_file():
        raise UsageError(f"--calibrate {args.calibrate}: no such file")


def graph_of(args: argparse.Namespace):
    """The graph of the model. Calibration of float models is not there yet, and says so."""
    from lamella import pipeline

    check_model(args)
    try:
        return pipeline.read_graph(args.model)
    except UnsupportedError as error:
        if args.calibrate is not None and "a float model" in str(error):
            raise UnsupportedError(
                f"{error} (--calibrate: quantising a float model here is not supported yet)"
            ) from None
        raise


def boards_of(names: list[str], runnable: bool = False) -> list[str]:
    """Board names, each once; unknown ones, and where wanted those that nothing can run, are refused at once."""
    from lamella import boards

    for name in names:
        board = boards.load(name)
        if runnable and board.runner is None:
            raise UsageError(
                f"board {name}: nothing here can run it; generate and footprint serve it, run and verify do not"
            )
    return list(dict.fromkeys(names))


def warn(text: str) -> None:
    """A line for a person, beside the results."""
    import sys

    print(text, file=sys.stderr)
