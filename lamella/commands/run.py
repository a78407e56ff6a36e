"""`lamella run`: the generated C, executed on a board."""

import argparse
from pathlib import Path

from lamella import arguments, output

HELP = "run the generated C on a board (this computer, or an emulated one) over your inputs"
EXAMPLES = """\
lamella run model.onnx --board host --inputs x.npz --outputs y.npz
lamella run model.onnx --board qemu_mps2_an386 --inputs x.npz --outputs y.npz --json -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --board B --inputs X.npz --outputs Y.npz."""
    arguments.add_model(parser)
    arguments.add_board(parser)
    parser.add_argument(
        "--inputs", required=True, type=Path, metavar="X.npz", help="one array per model input, (N, ...)"
    )
    parser.add_argument(
        "--outputs", required=True, type=Path, metavar="Y.npz", help="written: one array per output, and raw integers"
    )


def run(args: argparse.Namespace) -> int:
    """Runs; 0, or 1 if the model does not fit the board."""
    from lamella import pipeline, programs, vectors

    arguments.boards_of([args.board], runnable=True)
    graph = arguments.graph_of(args)
    raw = vectors.read_inputs(args.inputs, graph)
    compiled = pipeline.compile_model(args.model, args.board, graph=graph, **arguments.how(args))
    program = programs.harness_program(compiled)
    with output.progress(args, args.board) as progress:
        result = programs.run(compiled, program, raw, progress=progress)
    vectors.write_outputs(args.outputs, compiled.graph, result.outputs)
    done = result.execution
    data = {
        "board": args.board,
        "samples": done.samples,
        "instructions_per_inference": done.instructions,
        "stack_bytes": done.stack_bytes,
    }
    output.emit(args, data)
    if output.speaks(args):
        counted = f", {done.instructions:,.0f} instructions per inference" if done.instructions is not None else ""
        stack = f", {done.stack_bytes} bytes of stack" if done.stack_bytes is not None else ""
        print(f"{args.outputs}: {done.samples} samples on {args.board}{counted}{stack}")
    return 0
