"""`lamella vectors`: the test split as an inputs file, and what the trained module itself computes for it."""

import argparse
from pathlib import Path

from lamella import output
from lamella.commands.train import run_name

HELP = "write the test split of a recipe as X.npz, and with --outputs what the trained module computes, in integers"
EXAMPLES = """\
lamella vectors recipe.toml --inputs x.npz
lamella vectors recipe.toml --run runs/recipe --inputs x.npz --outputs y.npz && lamella verify model.onnx --board host --inputs x.npz --expect y.npz
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE --inputs X.npz [--outputs Y.npz --run DIR]."""
    parser.add_argument("recipe", metavar="RECIPE", type=Path, help="the recipe that was trained")
    parser.add_argument("--inputs", required=True, type=Path, metavar="X.npz", help="written: the test split")
    parser.add_argument("--outputs", type=Path, metavar="Y.npz", help="written: raw integers from the trained module")
    parser.add_argument(
        "--run", type=Path, dest="folder", metavar="DIR", help="where `lamella train` wrote its checkpoint"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder of the data set")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N samples only")


def run(args: argparse.Namespace) -> int:
    """Writes; 0."""
    from lamella.trainer.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    from lamella import vectors as files
    from lamella.trainer import vectors

    x, labels = vectors.test_split(recipe, args.data, args.limit)
    data = {"recipe": str(args.recipe), "samples": len(x), "inputs": str(args.inputs)}
    folder = args.folder or Path("runs") / run_name(args.recipe)
    if args.outputs:
        y = vectors.evaluate(vectors.trained(folder, x), x)
        files.write_npz(args.outputs, {f"{vectors.OUTPUT}__q": y})
        data |= {"outputs": str(args.outputs), "accuracy": float((y.reshape(len(y), -1).argmax(1) == labels).mean())}
    files.write_npz(args.inputs, {vectors.input_name(recipe, x): x})
    output.emit(args, data)
    if output.speaks(args):
        print(
            f"{args.inputs}: {len(x)} samples"
            + (f"; {args.outputs}: accuracy {100 * data['accuracy']:.2f} %" if args.outputs else "")
        )
    return 0
