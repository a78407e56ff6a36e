"""Arguments that several commands share."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from lamella.errors import UsageError

OBJECTIVES = ("flash", "ram", "speed", "balanced")


def add_model(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx, --optimize, --calibrate, --name."""
    parser.add_argument("model", metavar="MODEL.onnx", type=Path, help="a quantised ONNX or TFLite file")
    add_optimize(parser)
    parser.add_argument("--calibrate", metavar="X.npz", type=Path, help="samples to quantise a float model with")
    parser.add_argument(
        "--input",
        choices=("whole", "rows"),
        default="whole",
        help="rows: the caller hands the input over row by row, and the arena does not hold it (default: whole)",
    )
    parser.add_argument(
        "--within",
        metavar="ram=28k,flash=64k",
        help="bytes that the whole firmware may take; as fast as --optimize finds it within them",
    )
    parser.add_argument(
        "--no-float", action="store_true", help="refuse what cannot run in integers, instead of running it in float32"
    )
    parser.add_argument(
        "--arithmetic",
        choices=("lamella", "tflite"),
        default="lamella",
        help="tflite: of TFLite files, round as TensorFlow Lite Micro does (default: lamella, one rounding)",
    )
    add_states(parser)
    parser.add_argument(
        "--first-states", metavar="S.npz", type=Path, help="inputs named by --state before the first call (default: 0)"
    )
    parser.add_argument("--name", help="C name of the model (default: the graph's name, else the file's)")


def add_states(parser: argparse.ArgumentParser) -> None:
    """--state, once or several times."""
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="INPUT=OUTPUT",
        help="this input is that output of the call before: the samples are calls of one stream; may be given several times",
    )


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
    if getattr(args, "first_states", None) is not None and not args.state:
        raise UsageError("--first-states: no --state INPUT=OUTPUT is given")


def prepare(args: argparse.Namespace) -> None:
    """Quantises a float model where --calibrate asks for it: args.model is the quantised file then, and args.calibrated how
    it was made."""
    args.calibrated = None
    if getattr(args, "calibrate", None) is None:
        return
    check_model(args)
    from lamella import calibration, output

    if not calibration.is_float(args.model):
        if args.model.is_file():
            warn(f"{args.model} is quantised already: --calibrate is not used")
        return
    import atexit
    from tempfile import TemporaryDirectory

    folder = TemporaryDirectory(prefix="lamella-")
    atexit.register(folder.cleanup)
    with output.progress(args, "calibrate") as progress:
        pairs = state_pairs(args.state, *calibration.ports(args.model)) if args.state else {}
        args.calibrated = calibration.calibrate(args.model, args.calibrate, progress, pairs)
    args.model = Path(folder.name) / args.model.name  # the same name: C names may come from it
    args.model.write_bytes(args.calibrated.model.SerializeToString())
    if output.speaks(args):
        warn(args.calibrated.summary)


def how(args: argparse.Namespace) -> dict:
    """What the arguments of add_model say of the way a model is compiled, for lamella.pipeline.compile_model."""
    from lamella.footprint import parse_budget

    within = parse_budget(args.within, "--within") if args.within is not None else None
    return {"optimize": args.optimize, "name": args.name, "by_row": args.input == "rows", "within": within}


def graph_of(args: argparse.Namespace):
    """The graph of the model."""
    from lamella import output, pipeline

    check_model(args)
    graph = pipeline.read_graph(args.model, not args.no_float, args.arithmetic)
    if graph.in_float and output.speaks(args):
        warn(in_float(graph.in_float))
    return with_states(graph, args.state, args.first_states) if args.state else graph


def with_states(graph, texts: list[str], first_file: Path | None):
    """The graph with what --state and --first-states say."""
    from lamella import vectors
    from lamella.codegen import states

    pairs = state_pairs(texts, *([port.name for port in ports] for ports in (graph.inputs, graph.outputs)))
    return states.carry(graph, pairs, vectors.read_first(first_file, graph, pairs) if first_file else None)


def state_pairs(texts: list[str], inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """Outputs by input, of INPUT=OUTPUT; names may hold = as well."""
    found: dict[str, str] = {}
    for text in texts:
        halves = [(text[:k], text[k + 1 :]) for k, sign in enumerate(text) if sign == "="]
        if not halves:
            raise UsageError(f"--state {text!r}: write INPUT=OUTPUT, e.g. {inputs[0]}={outputs[0]}")
        pair = next(((x, y) for x, y in halves if x in inputs and y in outputs), None)
        if pair is None:
            kind, names, name = ("output", outputs, 1) if any(x in inputs for x, _ in halves) else ("input", inputs, 0)
            raise UsageError(f"--state {text!r}: the model has no {kind} {halves[0][name]!r}; its {kind}s are {names}")
        for name, taken in zip(pair, (found.keys(), found.values()), strict=True):
            if name in taken:
                raise UsageError(f"--state {text!r}: {name!r} is a state already; name each input and output once")
        found[pair[0]] = pair[1]
    return found


def in_float(nodes: Mapping[str, str]) -> str:
    """What a person is told of nodes that run in float32."""
    first = list(nodes.items())[:3]
    if len(set(nodes.values())) == 1:
        some = f"{', '.join(name for name, _ in first)}{', ..' if len(nodes) > 3 else ''}: {first[0][1]}"
    else:
        some = "; ".join(f"{name}: {why}" for name, why in first) + ("; .." if len(nodes) > 3 else "")
    return (
        f"{len(nodes)} operator{'s' if len(nodes) > 1 else ''} of the file run{'' if len(nodes) > 1 else 's'} in float32, which "
        f"takes four times the memory and many times the instructions ({some}); --calibrate X.npz quantises a float model, "
        "--no-float refuses it"
    )


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
