"""Checkpoints: plain types and tensors, written aside and renamed, read without running code."""

import os
import pickle
import zipfile
from pathlib import Path

import torch
from torch import nn

from lamella.errors import PlatformError, UsageError
from lamella.trainer.recipe import DataRecipe, NetworkRecipe, Recipe

FORMAT = 1


def save(state: dict, path: Path) -> None:
    """Replaces the checkpoint in one step: a crash leaves the old one or the new one."""
    _write({"format": FORMAT, **state}, path)


def save_float(model: nn.Module, path: Path) -> None:
    """Writes the state_dict of the float model, as load_float reads it."""
    _write(model.state_dict(), path)


def _write(state: dict, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # whole before it has the name, also where the power fails
        part.replace(path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise PlatformError(
            f"{path}: the checkpoint cannot be written ({error}); free some space or choose another --out; "
            "an older one is as it was, and --resume goes on from there"
        ) from None


def save_text(text: str, path: Path) -> None:
    """Replaces a text file in one step."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PlatformError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free some space"
        ) from None


def load(path: Path) -> dict:
    """A checkpoint that save wrote."""
    state = _read(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UsageError(f"{path}: is no checkpoint of this version of lamella train; start again without --resume")
    return state


def check_recipe(state: dict, recipe: dict, path: Path) -> None:
    """UsageError that names the first setting in which a checkpoint and a recipe differ."""
    defaults = Recipe(NetworkRecipe(""), DataRecipe("")).to_dict()
    for section, values in recipe.items():
        for key, value in values.items():
            # A key that came after the checkpoint has had its default there.
            there = state["recipe"].get(section, {}).get(key, defaults.get(section, {}).get(key))
            if there != value:
                raise UsageError(
                    f"{path}: was made with [{section}] {key} = {there!r}, the recipe now says {value!r}; "
                    "put it back, or start again without --resume"
                )


def load_float(model: nn.Module, path: Path) -> None:
    """Loads a state_dict (or a file that holds one under "state_dict" or "model") into the float model."""
    state = _read(path)
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"{path}: holds no state_dict; save one with torch.save(model.state_dict(), path)")
    require_state_of(model, state, path)
    model.load_state_dict(state)


def require_state_of(model: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """UsageError where a state_dict, read from `path`, is not one of this model or holds NaN."""
    own = model.state_dict()
    for key in own:
        if key not in state:
            raise UsageError(
                f"{path}: has no {key!r}; it belongs to another network than the recipe's {type(model).__name__}"
            )
        if own[key].shape != state[key].shape:
            raise UsageError(
                f"{path}: {key} has shape {tuple(state[key].shape)}, the recipe's {type(model).__name__} has "
                f"{tuple(own[key].shape)}; it belongs to another network"
            )
        if not bool(torch.isfinite(state[key].float()).all()):
            raise UsageError(f"{path}: {key} holds NaN or infinity; train the float network again")
    extra = sorted(set(state) - set(own))
    if extra:
        raise UsageError(
            f"{path}: has {extra[0]!r}, which the recipe's {type(model).__name__} does not; it belongs to another network"
        )


def _read(path: Path):
    if not path.is_file():
        raise UsageError(f"{path}: there is no such checkpoint")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: cannot be read as a checkpoint ({reason})") from None
