"""`lamella quantize`: a float model and samples in, a quantised model and what each layer lost out."""

import argparse
from pathlib import Path

from lamella import arguments, files, output
from lamella.errors import UnsupportedError

HELP = "quantise a float ONNX model to 8 bits with samples of its input, and show what each layer loses"
EXAMPLES = """\
lamella quantize float.onnx --calibrate samples.npz --out model.onnx
lamella generate float.onnx --calibrate samples.npz --board nucleo_f446re --out fw     the same on the way
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --calibrate X.npz --out FILE."""
    parser.add_argument("model", metavar="MODEL.onnx", type=Path, help="a float ONNX file")
    parser.add_argument(
        "--calibrate",
        required=True,
        metavar="X.npz",
        type=Path,
        help="one array (N, ...) per input; 100 samples will do",
    )
    arguments.add_states(parser)
    parser.add_argument("--out", required=True, metavar="FILE", type=Path, help="QDQ ONNX file to write")


def run(args: argparse.Namespace) -> int:
    """Writes the file (made by arguments.prepare) and prints the tables; 0."""
    result = args.calibrated
    if result is None:
        raise UnsupportedError(f"{args.model}: not a float ONNX model, there is nothing to quantise")
    files.replace(args.out, lambda file: file.write(result.model.SerializeToString()), "--out")
    output.emit(args, {**result.to_dict(), "out": str(args.out)})
    if output.speaks(args):
        trials = [[t.ranges, t.equalized, t.corrected, t.snr_db] for t in result.trials]
        output.table(["ranges", "equalised", "corrected", "outputs dB"], trials)
        layers = [[output.shorten(n.name, 48), n.op, n.snr_db, 100 * n.added] for n in result.layers]
        output.table(["layer", "operator", "dB", "noise added %"], layers)
        print(f"wrote {args.out}")
    return 0
