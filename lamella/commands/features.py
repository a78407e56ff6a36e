"""`lamella features`: the front end of a data set of sounds as C, and what it costs on a board."""

import argparse
from pathlib import Path

from lamella import arguments, output
from lamella.errors import CheckFailed, UsageError

HELP = "write the MFCC front end of a data set as C that builds without Python; with --board, run and measure it there"
EXAMPLES = """\
lamella features fsdd --out fsdd_features
lamella features fsdd --model model.onnx --board qemu_microbit --board qemu_mps2_an386
"""

#: Steps of noise that are compared on a board; the first ones are silence.
STEPS, SILENT = 64, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DATA [--out DIR] [--name NAME] [--model MODEL.onnx] [--board B ...]."""
    parser.add_argument(
        "data", metavar="DATA", help='a data set with a front end (fsdd), or "package.module:NAME", a lamella.mfcc.Mfcc'
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write; replaced if Lamella wrote it")
    parser.add_argument("--name", help="C name, _features behind it (default: DATA)")
    parser.add_argument(
        "--model", type=Path, metavar="MODEL.onnx", help="check that its input takes the bytes as they are"
    )
    arguments.add_board(parser, several=True, required=False)


def run(args: argparse.Namespace) -> int:
    """Writes and measures; 0, or 1 if a byte differs on a board or the model's input is another."""
    boards = arguments.boards_of(args.board or [], runnable=True)
    if not (args.out or boards or args.model):
        raise UsageError("features: nothing to do; give --out, --board or --model")
    front_end = _front_end(args.data)

    from lamella import features

    name = features.c_name(args.name or args.data.rpartition(":")[2].lower())
    data = {"data": args.data, "name": name}
    if args.model:
        _check_input(args.model, front_end)
    if args.out:
        data |= {"out": str(args.out), "files": features.write(front_end, name, args.out)}
    data["boards"] = [_measure(front_end, board) for board in boards]
    output.emit(args, data)
    if output.speaks(args):
        _say(args, data)
    return 0 if all(entry["bit_exact"] for entry in data["boards"]) else 1


def _front_end(target: str):
    """The front end of a data set by name, or the object behind "package.module:NAME"."""
    import importlib

    from lamella.mfcc import Mfcc
    from lamella.trainer import data

    if ":" in target:
        module, _, attribute = target.partition(":")
    else:
        module, attribute = data.get(target).__module__, "FRONT_END"
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, ValueError) as error:
        raise UsageError(f"features {target}: {module!r} cannot be imported ({error}); check PYTHONPATH") from None
    if not isinstance(found, Mfcc):
        raise UsageError(f"features {target}: {module} has no {attribute} that is a lamella.mfcc.Mfcc; fsdd has one")
    return found


def _check_input(path: Path, front_end) -> None:
    """CheckFailed unless the model's input takes the bytes of the front end as they are."""
    from lamella import pipeline
    from lamella.mfcc import SCALE, ZERO_POINT

    graph = pipeline.read_graph(path)
    port = graph.inputs[0]
    tensor = graph.tensor_of(port)
    q = tensor.quantization
    found = (port.raw_dtype, q and float(q.scale), q and q.zero, tensor.shape[-1])
    wanted = ("uint8", SCALE, ZERO_POINT, front_end.coefficients)
    if found != wanted:
        raise CheckFailed(
            f"{path}: input {port.name} is {found[0]} with scale {found[1]:g}, zero point {found[2]} and {found[3]} values a "
            f"step; the features are uint8 with {SCALE}, {ZERO_POINT} and {wanted[3]}; train it on lamella.trainer.mfcc.inputs"
        )


def _measure(front_end, name: str) -> dict:
    import numpy as np

    from lamella import boards, features

    samples = features.noise(front_end, STEPS)
    samples[: SILENT * front_end.hop] = 0
    done = features.run(front_end, boards.load(name), samples)
    return {
        "board": name,
        "steps": STEPS,
        "bit_exact": bool(np.array_equal(done.features, features.stream(front_end, samples))),
        "instructions_per_step": done.instructions,
        "flash": {"code": done.code, "tables": done.tables},
        "ram": {"state": 2 * (front_end.frame - front_end.hop), "scratch": 4 * front_end.frame, "stack": done.stack},
    }


def _say(args: argparse.Namespace, data: dict) -> None:
    if args.model:
        print(f"{args.model}: its input takes the bytes of {data['name']} as they are")
    if args.out:
        print(f"{args.out}: {len(data['files'])} files")
        print(f"test them here: cmake -S {args.out} -B {args.out}/build && cmake --build {args.out}/build")
    if data["boards"]:
        rows = [
            [b["board"], b["bit_exact"], round(b["instructions_per_step"]) if b["instructions_per_step"] else None,
             b["flash"]["code"], b["flash"]["tables"], b["ram"]["state"], b["ram"]["scratch"], b["ram"]["stack"]]
            for b in data["boards"]
        ]  # fmt: skip
        columns = ["board", "bit-exact", "instructions a step", "code", "tables", "state", "scratch", "stack"]
        output.table(columns, rows)
