"""`lamella train`: a float baseline, then compression, then model.onnx."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lamella import arguments, output
from lamella.errors import UsageError

if TYPE_CHECKING:
    from lamella.trainer.budget import Budget
    from lamella.trainer.sizes import Prices

HELP = "train a network, compress it layer by layer under an accuracy bound, and write model.onnx and metrics.json"
EXAMPLES = """\
lamella train examples/lenet5_fashion_mnist/recipe.toml
lamella train recipe.toml --max-drop 0.5 --sparsity 0.95 --out runs/small
lamella train recipe.toml --budget flash=32k --board qemu_microbit
lamella train recipe.toml --board qemu_mps2_an386 --optimize speed    ladders go by the instructions on that board
lamella train recipe.toml --board qemu_mps2_an386 --budget instructions=2M
lamella train recipe.toml --resume                            continue a run that was interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE and what overrides it."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a .toml file; docs/training.md explains its keys")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """The options that train and compress share."""
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of the data set (else $LAMELLA_DATA, then the cache)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for the results (default: runs/ and the recipe's name)"
    )
    parser.add_argument(
        "--max-drop", metavar="POINTS", type=float, help="largest loss of validation accuracy, percentage points"
    )
    parser.add_argument(
        "--sparsity", metavar="P", type=float, help="fraction of zeros over all layers together, 0 to 1"
    )
    parser.add_argument(
        "--budget",
        metavar="flash=32k",
        help="the best accuracy that fits (or instructions=2M), in place of a bound on accuracy; wants --board",
    )
    arguments.add_board(parser, required=False)
    arguments.add_optimize(parser)
    parser.add_argument("--seed", metavar="N", type=int, help="same seed, same result")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in --out, with the same result"
    )


def run(args: argparse.Namespace) -> int:
    """0, or 1 if the accuracy bound is broken."""
    return run_recipe(args, args.recipe)


def run_recipe(args: argparse.Namespace, recipe_path: Path, *, float_checkpoint: Path | None = None) -> int:
    """What train and compress have in common."""
    from lamella.trainer.recipe import read_recipe

    budget = _budget(args)
    if args.board is not None:
        arguments.boards_of([args.board])
    recipe = read_recipe(recipe_path, max_drop=args.max_drop, sparsity=args.sparsity, seed=args.seed)
    from lamella.trainer import session  # loads torch: after the recipe is known to be right

    out = args.out or Path("runs") / run_name(recipe_path)
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun: the others compute, and leave files and words to it
    if not is_first:
        args.quiet, args.json = True, None
    with progress_bars(args) as progress:
        report = session.run(
            recipe,
            out,
            data_folder=args.data,
            float_checkpoint=float_checkpoint,
            resume=args.resume,
            within=_within(*budget, args.board, args.optimize) if budget else None,
            prices=_prices(budget, args.board, args.optimize),
            progress=progress,
            say=lambda line: print(line, flush=True) if output.speaks(args) else None,
        )
    from lamella.deployed import with_deployed_bytes
    from lamella.trainer import metrics

    if is_first:
        report = with_deployed_bytes(report, out / "model.onnx")
        metrics.save(report, out / "metrics.json")
    output.emit(args, report)
    if output.speaks(args):
        _print(report, out)
    if budget is not None:
        return 0 if report["budget"]["fits"] else 1
    return 0 if report["validation_drop"] <= report["max_drop"] else 1


#: What --budget may limit, and the units a number may have behind it.
BUDGETS = {"flash": {"k": 1 << 10, "m": 1 << 20}, "instructions": {"k": 1000, "m": 1000_000}}


def _budget(args: argparse.Namespace) -> tuple[str, int] | None:
    """What --budget limits, and to how much; None without it."""
    if args.budget is None:
        return None
    name, _, value = args.budget.partition("=")
    units = BUDGETS.get(name.strip())
    if units is None:
        raise UsageError(
            f"--budget {args.budget}: only flash and instructions depend on training; write --budget flash=32k or "
            "--budget instructions=2M"
        )
    unit = units.get(value.strip()[-1:].lower(), 1)
    digits = value.strip()[:-1] if unit > 1 else value.strip()
    if not digits.isdigit() or int(digits) == 0:
        raise UsageError(f"--budget {args.budget}: {value!r} is no number above 0; write flash=32k or instructions=2M")
    if args.board is None:
        raise UsageError(f"--budget: {name.strip()} is that of a firmware; say for which board with --board")
    return name.strip(), int(digits) * unit


def _within(what: str, most: int, board: str, optimize: str) -> "Budget":
    """The budget: flash of the linked firmware, or the instructions of all layers."""
    from lamella import deployed
    from lamella.trainer import export_onnx
    from lamella.trainer.budget import Budget

    if what == "instructions":
        return Budget(most, lambda network: deployed.layer_instructions(network, board, optimize), "instructions")

    def measure(network) -> int:
        with TemporaryDirectory() as folder:
            model = Path(folder) / "model.onnx"
            export_onnx.save(network, model)
            return deployed.flash_bytes(model, board, optimize)

    return Budget(most, measure)


def _prices(budget: tuple[str, int] | None, board: str | None, optimize: str) -> "Prices":
    """What the ladder goes by: a board's bytes and instructions, else bytes alone."""
    from lamella import deployed
    from lamella.trainer.sizes import by_bytes

    if board is None:
        return by_bytes
    # Steps towards a budget are worth what they save of it.
    by = {"flash": "bytes", "instructions": "instructions"}[budget[0]] if budget is not None else None
    return deployed.prices(board, optimize, by)


def run_name(recipe_path: Path) -> str:
    """The recipe's file name; that of its folder if it is just called recipe.toml."""
    return recipe_path.resolve().parent.name if recipe_path.stem == "recipe" else recipe_path.stem


@contextmanager
def progress_bars(args: argparse.Namespace) -> Iterator[Callable]:
    """A function that opens the progress bar of a phase and closes the one before."""
    with ExitStack() as stack:

        def start(phase: str) -> Callable:
            stack.close()
            return stack.enter_context(output.progress(args, phase))

        yield start


def _print(report: dict, out: Path) -> None:
    columns = ["layer", "format", "weights", "zeros %", "bytes", "bits a weight", "order", "collapsed"]
    rows = [
        [
            r["name"],
            r["format"],
            r["weights"],
            100 * r["sparsity"],
            r["bytes"],
            r["bits_per_weight"],
            r["order"],
            r["accepted"],
        ]
        for r in report["layers"]
    ]
    output.table(columns, rows)
    print(
        f"accuracy {100 * report['accuracy']:.2f} % in integers, {100 * report['float_accuracy']:.2f} % as float: "
        f"{report['drop']:+.2f} points lost on {report['test_samples']:,} test samples"
    )
    if "budget" in report:
        fits = "fits" if report["budget"]["fits"] else "does NOT fit"
        unit, most = next(pair for pair in report["budget"].items() if pair[0] != "fits")
        print(f"validation: {report['validation_drop']:+.2f} points lost; {fits} into {most:,} {unit}")
    else:
        _print_bound(report)
    print(
        f"weights: {report['weight_bytes']:,} bytes, {report['compression_vs_float32']:.1f} times smaller than float32; "
        f"with --optimize flash {report['smallest']['weight_bytes']:,} bytes, "
        f"{report['smallest']['compression_vs_float32']:.1f} times"
    )
    print(f"wrote {out / 'model.onnx'} and {out / 'metrics.json'}")


def _print_bound(report: dict) -> None:
    bound = "within" if report["validation_drop"] <= report["max_drop"] else "BEYOND"
    print(f"validation: {report['validation_drop']:+.2f} points lost, {bound} the bound of {report['max_drop']:g}")
