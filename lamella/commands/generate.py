"""`lamella generate`: a firmware folder for a board."""

import argparse
from pathlib import Path

from lamella import arguments, output

HELP = "write a folder with C, CMake project, board support and self-test; it builds without Python"
EXAMPLES = """\
lamella generate model.onnx --board nucleo_f446re --out firmware
lamella generate model.onnx --board host --out firmware && cmake -S firmware -B firmware/build && cmake --build firmware/build
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --board B --out DIR."""
    arguments.add_model(parser)
    arguments.add_board(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder to write; replaced if Lamella wrote it"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the folder; 0, or 1 if the model does not fit the board."""
    from lamella import firmware, footprint, pipeline

    arguments.boards_of([args.board])
    firmware.refuse_foreign(args.out)
    graph = arguments.graph_of(args)
    compiled = pipeline.compile_model(args.model, args.board, graph=graph, **arguments.how(args))
    entry = footprint.refuse_misfit(compiled)
    entry.pop("layer_instructions")
    files = firmware.folder_files(compiled)
    firmware.write_folder(args.out, files)
    output.emit(
        args,
        {"model": str(args.model), "out": str(args.out), "files": sorted(files), "name": compiled.model.name, **entry},
    )
    if output.speaks(args):
        flash, ram = entry["flash"]["total"], entry["ram"]["total"]
        print(
            f"{args.out}: {len(files)} files, {compiled.model.name} for {args.board}, flash {flash:,} bytes, RAM {ram:,} bytes"
        )
        print(f"build it: cmake -S {args.out} -B {args.out}/build && cmake --build {args.out}/build")
    return 0
