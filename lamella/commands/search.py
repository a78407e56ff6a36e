"""`lamella search`: options of the compression, found by Optuna."""

import argparse
from pathlib import Path

from lamella import output
from lamella.errors import UsageError

HELP = "search for the options of a recipe's compression (its table [search]) with Optuna: fewest bytes, smallest loss"
EXAMPLES = """\
lamella search recipe.toml --trials 20
lamella search recipe.toml --trials 20 --storage sqlite:///shared/study.db --out shared/study    in several processes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE [--trials N] [--storage URL]."""
    parser.add_argument(
        "recipe", metavar="RECIPE", type=Path, help="a .toml file with a table [search] (docs/training.md)"
    )
    parser.add_argument("--trials", metavar="N", type=int, default=20, help="how many more (default: 20)")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="Optuna's database of trials, to share or to go on with (default: a file in --out)",
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of the data set (else $LAMELLA_DATA, then the cache)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for the results (default: runs/ and the recipe's name)"
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, help="of the training, and of the search where it is not shared"
    )


def run(args: argparse.Namespace) -> int:
    """0."""
    from lamella.commands.train import progress_bars, run_name
    from lamella.trainer.recipe import read_recipe

    if args.trials < 1:
        raise UsageError(f"--trials {args.trials}: at least one is needed")
    recipe = read_recipe(args.recipe, seed=args.seed)
    from lamella.trainer import search  # loads torch: after the recipe is known to be right

    space = search.space_of(args.recipe, search.trial_base(recipe.compress))
    with progress_bars(args) as progress:
        report = search.run(
            recipe,
            space,
            args.out or Path("runs") / f"{run_name(args.recipe)}_search",
            trials=args.trials,
            storage=args.storage,
            data_folder=args.data,
            progress=progress,
            say=lambda line: print(line, flush=True) if output.speaks(args) else None,
        )
    output.emit(args, report)
    if output.speaks(args):
        best = [trial for trial in report["trials"] if trial["number"] in report["best"]]
        rows = [
            [t["number"], f"{t['drop']:+.2f}", t["bytes"], ", ".join(f"{k}={v}" for k, v in t["options"].items())]
            for t in sorted(best, key=lambda t: t["bytes"])
        ]
        output.table(["trial", "points lost", "bytes", "options"], rows, "trials that no other one beats in both")
    return 0
