"""`lamella compare`: published methods of compression on a recipe's network, in equal epochs."""

import argparse
from pathlib import Path

from lamella import output

HELP = "compress a recipe's network by every method, from one float baseline and in equal epochs, and compare them"
EXAMPLES = """\
lamella compare recipe.toml --out runs/methods                     every method
lamella compare recipe.toml --methods twn,ttq,layerwise --epochs 20
lamella compare recipe.toml --resume                               go on where it was interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE [--methods a,b] [--epochs N]."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a .toml file; docs/training.md explains its keys")
    parser.add_argument("--methods", metavar="A,B,...", help="names of methods (default: all; docs/training.md)")
    parser.add_argument("--epochs", metavar="N", type=int, help="epochs of each method (default: 10)")
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of the data set (else $LAMELLA_DATA, then the cache)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for the results (default: runs/ and the recipe's name)"
    )
    parser.add_argument("--seed", metavar="N", type=int, help="same seed, same result")
    parser.add_argument("--resume", action="store_true", help="keep what is in --out and run what is missing")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if a method failed."""
    from lamella.commands.train import progress_bars, run_name
    from lamella.trainer.recipe import read_recipe

    recipe = read_recipe(args.recipe, seed=args.seed)
    from lamella.deployed import with_deployed_bytes
    from lamella.trainer import compare  # loads torch: after the recipe is known to be right

    with progress_bars(args) as progress:
        report = compare.run(
            recipe,
            args.out or Path("runs") / f"{run_name(args.recipe)}_compare",
            only=[name.strip() for name in args.methods.split(",")] if args.methods else None,
            epochs=compare.EPOCHS if args.epochs is None else args.epochs,
            data_folder=args.data,
            resume=args.resume,
            deployed=with_deployed_bytes,
            progress=progress,
            say=lambda line: print(line, flush=True) if output.speaks(args) else None,
        )
    output.emit(args, report)
    if output.speaks(args):
        _print(report)
    return 1 if any("error" in facts for facts in report["methods"].values()) else 0


def _print(report: dict) -> None:
    baseline = report["float"]
    whole = 4 * baseline["weights"]
    rows = [["float32", f"{100 * baseline['accuracy']:.2f}", None, whole, 1.0, whole, 1.0, 0.0, "-"]]
    failed = []
    for name, facts in report["methods"].items():
        if "error" in facts:
            failed.append(f"{name}: failed: {facts['error']}")
            continue
        rows.append(
            [
                name,
                f"{100 * facts['accuracy']:.2f}",
                f"{facts['drop']:+.2f}",
                facts["weight_bytes"],
                facts["compression_vs_float32"],
                facts["flash_bytes"],
                facts["flash_compression"],
                100 * facts["sparsity"],
                " ".join(facts["formats"]),
            ]
        )
    columns = ["method", "test %", "points lost", "bytes", "times smaller", "for flash", "times", "zeros %", "formats"]
    output.table(columns, rows, f"{report['epochs']} epochs each, {baseline['test_samples']:,} test samples")
    print("bytes: weights as the generator stores them by default; for flash: each layer in its smallest format")
    for line in failed:
        print(line)
