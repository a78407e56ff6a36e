"""The test split, and what a trained module computes for it: the third way of the proof, beside the graph and the C."""

from pathlib import Path

import numpy as np
import torch

from lamella.errors import UsageError
from lamella.trainer import checkpoint, data, integer, networks
from lamella.trainer.frozen import FrozenNetwork, freeze
from lamella.trainer.network import QuantNetwork
from lamella.trainer.onnx_writer import OUTPUT
from lamella.trainer.recipe import Recipe
from lamella.trainer.session import CHECKPOINT
from lamella.trainer.trace import trace

__all__ = ["OUTPUT", "evaluate", "input_name", "test_split", "trained"]


def test_split(recipe: Recipe, folder: Path | None, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Test inputs (samples, ...) float32 and labels (samples,)."""
    splits = data.get(recipe.data.name)(folder)
    return splits.test_x[:limit], splits.test_y[:limit]


def input_name(recipe: Recipe, x: np.ndarray) -> str:
    """What the exported model calls its input."""
    return trace(networks.get(recipe.network.name)(), torch.from_numpy(x[:2])).input.name


def trained(folder: Path, x: np.ndarray) -> FrozenNetwork:
    """The integers of the module whose training ended in a folder, from its checkpoint; x: samples to trace it with."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise UsageError(f"{path}: no such file; run `lamella train` first, or name its --out with --run")
    state = checkpoint.load(path)
    if "compress" not in state:
        raise UsageError(f"{path}: the training did not get to the compression; run `lamella train --resume`")
    recipe = state["recipe"]
    model = networks.get(recipe["network"]["name"])()
    model.load_state_dict(state["float"])
    model.eval()
    graph = trace(model, torch.from_numpy(x[:2]))
    network = QuantNetwork(graph, model, learned_ranges=recipe["compress"]["activation_range"] == "learned")
    network.restore_(state["compress"]["network"])
    return freeze(network, recipe["network"]["name"])


def evaluate(frozen: FrozenNetwork, x: np.ndarray) -> np.ndarray:
    """Raw integer outputs (samples, classes) of the trained module, uint8."""
    return integer.outputs(frozen, torch.from_numpy(x)).numpy()
