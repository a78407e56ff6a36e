"""`lamella verify`: the generated C against the integer reference in PyTorch, byte for byte."""

import argparse
from pathlib import Path

from lamella import arguments, output

HELP = "prove that the generated C computes what PyTorch computes, byte for byte, on one or more boards"
EXAMPLES = """\
lamella verify model.onnx --board host --board qemu_mps2_an386
lamella verify model.onnx --board host --inputs test_images.npz
lamella verify model.onnx --board qemu_microbit --firmware folder     # the C in a generated folder, edited or not
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --board B [--board B2 ...] [--inputs X.npz]."""
    arguments.add_model(parser)
    arguments.add_board(parser, several=True)
    parser.add_argument(
        "--inputs", type=Path, metavar="X.npz", help="vectors (default: 16 random, all-minimum, all-maximum)"
    )
    parser.add_argument(
        "--expect", type=Path, metavar="Y.npz", help="outputs from elsewhere (lamella vectors) that must be equal too"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N vectors only")
    parser.add_argument("--firmware", type=Path, metavar="DIR", help="take the model's C from this generated folder")


def run(args: argparse.Namespace) -> int:
    """0 if every byte is equal on every board, else 1."""
    from lamella import pipeline, programs, vectors, verify, witness, witness_tflite

    names = arguments.boards_of(args.board, runnable=True)
    graph = arguments.graph_of(args)
    raw = vectors.read_inputs(args.inputs, graph) if args.inputs else vectors.seeded(graph)
    told = vectors.read_expected(args.expect, graph, vectors.samples_of(raw)) if args.expect else None
    if args.limit is not None:
        if args.limit < 1:
            raise arguments.UsageError(f"--limit {args.limit}: at least one vector is needed")
        raw = {name: array[: args.limit] for name, array in raw.items()}
        told = told and {name: array[: args.limit] for name, array in told.items()}
    how = arguments.how(args)
    compiled = [pipeline.compile_model(args.model, name, graph=graph, **how) for name in names]
    with output.progress(args, "reference") as progress:
        expected = verify.expected_outputs(graph, raw, progress)
    results = []
    for one in compiled:
        sources = _folder_sources(args.firmware, one.model.name) if args.firmware else None
        with output.progress(args, one.board.name) as progress:
            results.append(verify.verify_board(one, raw, expected, sources, progress))
    witnesses = [w.compare(args.model, graph, raw, expected) for w in (witness, witness_tflite)]
    report = verify.report(str(args.model), results, *witnesses)
    if told is not None:
        report["expected_mismatches"] = int(programs.first_difference(graph, told, expected).sum())
        report["bit_exact"] = report["bit_exact"] and report["expected_mismatches"] == 0
    output.emit(args, report)
    if output.speaks(args):
        _print(report)
    return 0 if report["bit_exact"] else 1


def _folder_sources(folder: Path, name: str) -> dict[str, str]:
    """The C of the model in a generated folder."""
    wanted = [f"{name}.h", f"{name}.c", f"{name}_data.h", f"{name}_data.c"]
    missing = [f for f in wanted if not (folder / "model" / f).is_file()]
    if missing:
        raise arguments.UsageError(
            f"--firmware {folder}: has no model/{missing[0]}; give a folder that `lamella generate` wrote, with the same --name"
        )
    return {f: (folder / "model" / f).read_text(encoding="utf-8") for f in wanted}


def _print(report: dict) -> None:
    for board in report["boards"]:
        if board["mismatches"]:
            where = (
                f"; the first layer that differs is {board['first_divergent_layer']}"
                if board["first_divergent_layer"]
                else ""
            )
            print(f"FAIL {board['board']}: {board['mismatches']} of {board['vectors']} vectors differ{where}")
        else:
            n = board["instructions_per_inference"]
            counted = f", {n:,.0f} instructions per inference" if n is not None else ""
            print(f"PASS {board['board']}: {board['vectors']} vectors, every output byte equal{counted}")
    if (wrong := report.get("expected_mismatches")) is not None:
        print(
            f"{'FAIL' if wrong else 'PASS'} --expect: {wrong} vectors differ between its outputs and the imported graph"
        )
    _print_witness("onnxruntime", report["onnxruntime"])
    if report["tflite_micro"] is not None:
        _print_witness("TensorFlow Lite Micro", report["tflite_micro"])


def _print_witness(name: str, w: dict) -> None:
    apart = []
    if w["max_level_difference"] is not None:
        layers = f", each layer on the same inputs {w['max_layer_difference']}" if w["layers"] else ""
        apart.append(f"the network at most {w['max_level_difference']} level(s) apart{layers}")
    if w["max_float_difference"] is not None:
        apart.append(f"float32 outputs at most {w['max_float_difference']:.1g} of the largest apart")
    print(
        f"{name}: {'; '.join(apart)}; {100 * w['equal_fraction']:.2f} % equal, "
        f"top class agrees for {100 * w['top1_agreement']:.2f} %"
    )
