"""`lamella ablate`: what each option of the compression is worth on a recipe's network."""

import argparse
from pathlib import Path

from lamella import output

HELP = "run a recipe's compression with one option changed at a time, and compare accuracy and bytes"
EXAMPLES = """\
lamella ablate recipe.toml                          every option, every other value
lamella ablate recipe.toml --only order --only distill=0.5
lamella ablate recipe.toml --resume                 go on where it was interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE [--only NAME ...]."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="a .toml file; docs/training.md explains its keys")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="an option, or option=value; may be given several times"
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of the data set (else $LAMELLA_DATA, then the cache)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for the results (default: runs/ and the recipe's name)"
    )
    parser.add_argument("--seed", metavar="N", type=int, help="same seed, same result")
    parser.add_argument("--resume", action="store_true", help="keep what is in --out and run what is missing")


def run(args: argparse.Namespace) -> int:
    """0."""
    from lamella.commands.train import progress_bars, run_name
    from lamella.trainer.recipe import read_recipe

    recipe = read_recipe(args.recipe, seed=args.seed)
    from lamella.trainer import ablation  # loads torch: after the recipe is known to be right

    out = args.out or Path("runs") / f"{run_name(args.recipe)}_ablation"
    with progress_bars(args) as progress:
        report = ablation.run(
            recipe,
            out,
            only=args.only,
            data_folder=args.data,
            resume=args.resume,
            progress=progress,
            say=lambda line: print(line, flush=True) if output.speaks(args) else None,
        )
    output.emit(args, report)
    if output.speaks(args):
        _print(report)
    return 0


def _print(report: dict) -> None:
    base = report["variants"][next(iter(report["variants"]))]
    rows = [
        [
            name,
            100 * v["accuracy"],
            f"{v['drop']:+.2f}",
            v["bytes"],
            v["compression_vs_float32"],
            len(v["collapsed"]),
            f"{100 * (v['accuracy'] - base['accuracy']):+.2f}",
            f"{100 * (v['bytes'] / base['bytes'] - 1):+.1f} %",
        ]
        for name, v in report["variants"].items()
    ]
    columns = [
        "variant",
        "validation %",
        "points lost",
        "bytes",
        "times smaller",
        "layers collapsed",
        "against recipe",
        "bytes",
    ]
    output.table(columns, rows)
