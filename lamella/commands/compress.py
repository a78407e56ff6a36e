"""`lamella compress`: from a trained float network to model.onnx."""

import argparse
from pathlib import Path

from lamella.commands import train

HELP = "compress a trained float network (a PyTorch state_dict) as a recipe says; write model.onnx and metrics.json"
EXAMPLES = """\
lamella compress runs/lenet5_fashion_mnist/float.pt --recipe examples/lenet5_fashion_mnist/recipe.toml --out runs/again
lamella compress weights.pt --recipe recipe.toml --max-drop 0.5
lamella compress weights.pt --recipe recipe.toml --resume     continue a run that was interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CHECKPOINT, --recipe and what overrides it."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="state_dict of the recipe's network, saved by torch.save"
    )
    parser.add_argument(
        "--recipe", required=True, metavar="RECIPE", type=Path, help="a .toml file; its [train] epochs are not used"
    )
    train.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """0, or 1 if the accuracy bound is broken."""
    return train.run_recipe(args, args.recipe, float_checkpoint=args.checkpoint)
