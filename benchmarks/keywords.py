"""Accuracy of the keyword model of MLPerf Tiny (DS-CNN, int8) in the generated C, on this computer and on an emulated core.

    python benchmarks/keywords.py DIR                        DIR: the 1,000 evaluation clips, int8 MFCC of 49 x 10, as .bin files
    python benchmarks/keywords.py DIR --board qemu_mps2_an386 --samples 200

The class of a clip is the number at the end of its name (tst_000000_Stop_7.bin). tflite-micro, where it is installed, runs the
same file beside it: its accuracy and how many of its output bytes are equal.
"""

import argparse
from pathlib import Path

import numpy as np

from lamella import output, pipeline, programs

MODEL = Path(__file__).resolve().parents[1] / "tests" / "models" / "mlperf_tiny_dscnn_kws_int8.tflite"
SHAPE = (49, 10, 1)


def clips(folder: Path, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 (N, 49, 10, 1) and classes (N,)."""
    paths = sorted(folder.glob("tst_*.bin"))[:samples]
    if not paths:
        raise SystemExit(f"{folder}: holds no tst_*.bin; give the folder of the evaluation clips")
    x = np.stack([np.fromfile(path, np.int8).reshape(SHAPE) for path in paths])
    return x, np.array([int(path.stem.rpartition("_")[2]) for path in paths])


def tflite_micro(x: np.ndarray) -> np.ndarray | None:
    """Outputs of the reference interpreter, int8 (N, 12); None where it is not installed."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        return None
    interpreter = runtime.Interpreter.from_file(str(MODEL))
    outputs = []
    for sample in x:
        interpreter.set_input(sample[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0].copy())
    return np.stack(outputs)


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--board", action="append", help="default: host and qemu_mps2_an386")
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    x, labels = clips(args.folder, args.samples)
    theirs, rows = tflite_micro(x), []
    if theirs is not None:
        rows.append(["tflite-micro", len(x), 100 * float((theirs.argmax(axis=1) == labels).mean()), None, None, None])
    for board in args.board or ["host", "qemu_mps2_an386"]:
        compiled = pipeline.compile_model(MODEL, board)
        (port,), (end,) = compiled.graph.inputs, compiled.graph.outputs
        result = programs.run(compiled, programs.harness_program(compiled), {port.name: x}, count=board != "host")
        y = result.outputs[end.name].reshape(len(x), -1)
        agree = equal = None
        if theirs is not None:
            agree = 100 * float((y.argmax(axis=1) == theirs.argmax(axis=1)).mean())
            equal = 100 * float((y == theirs).mean())
        accuracy = 100 * float((y.argmax(axis=1) == labels).mean())
        rows.append([board, len(x), accuracy, agree, equal, result.execution.instructions])
    columns = ["where", "clips", "accuracy %", "same class %", "equal bytes %", "instructions"]
    output.table(columns, rows)


if __name__ == "__main__":
    main()
