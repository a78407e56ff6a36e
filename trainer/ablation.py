"""What each option of the method is worth on one network: the recipe's compression with one thing changed at a time.

All variants start from the same float network. Half of the validation split is theirs, to decide by and, with `final_data`, to
train on; they are compared on the other half, which none of them has seen. The test split is not for choosing.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from lamella.errors import UsageError
from lamella.trainer import checkpoint, session
from lamella.trainer.batches import TensorBatches
from lamella.trainer.decisions import points_lost
from lamella.trainer.fit import Progress, float_accuracy
from lamella.trainer.layerwise import CompressResult, compress
from lamella.trainer.names import closest
from lamella.trainer.options import CHOICES, CompressOptions
from lamella.trainer.recipe import Recipe
from lamella.trainer.sizes import weight_bytes

#: What the recipe says is called so.
BASE = "recipe"
#: Values worth a try where an option is no choice of names.
OTHERS: dict[str, tuple] = {
    "sigma_per_channel": (False, True),
    "distill": (0.0, 0.5),
    "prune_steps": (1, 4),
    "final_epochs": (0, 2),
    "norm_batches": (0, 50),
    "ladder": (("sparse",), ("sparse", "ternary", "int2", "int4")),
}


def variants(options: CompressOptions) -> dict[str, CompressOptions]:
    """The recipe's own options, and for each option every other value, by the names "option=value"."""
    found = {BASE: options}
    for name, values in {**CHOICES, **OTHERS}.items():
        for value in values:
            if value != getattr(options, name):
                found[f"{name}={_text(value)}"] = _with(options, name, value)
    return found


def _with(options: CompressOptions, name: str, value: object) -> CompressOptions:
    changes = {name: value}
    if name == "prune_steps":  # one epoch a step at least
        changes["prune_epochs"] = max(options.prune_epochs, value)
    if name == "zeros" and value == "max":  # a share of the largest weight, not of the mean
        changes["threshold"] = 0.05
    if name == "final_data":  # it has a meaning with final epochs only
        changes["final_epochs"] = max(options.final_epochs, 2)
    if name == "final_epochs" and value == 0:
        changes["final_data"] = "train"
    if name == "optimizer" and value == "adam":
        changes["learning_rate"] = options.learning_rate / 10
    return replace(options, **changes)


def _text(value: object) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value).lower()


def run(
    recipe: Recipe,
    out: Path,
    *,
    only: list[str] | None = None,
    data_folder: Path | None = None,
    resume: bool = False,
    progress: Callable[[str], Progress] = lambda phase: lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes out/ablation.json after every variant and returns it. only: names of variants, or of options.

    resume: variants that are in out/ablation.json already are not run again; out/float.pt is used if it is there.
    """
    chosen = _chosen(variants(recipe.compress), only)
    place = session.settle(recipe)
    model, training, validation, _ = session.prepare(recipe, data_folder)
    path, float_path = out / "ablation.json", out / session.FLOAT
    report = _read(path, recipe) if resume and path.is_file() else {"recipe": recipe.to_dict(), "variants": {}}
    if resume and float_path.is_file():
        checkpoint.load_float(model, float_path)
    else:
        session.train_float(recipe, model, training, place, progress("float"))
        checkpoint.save_float(model, float_path)
    model.eval()
    deciding, judging = halves(validation)
    before = float_accuracy(model, judging, "validation")
    for name, options in chosen.items():
        if name in report["variants"]:
            continue
        result = _one(model, training, deciding, options, place, lambda phase, name=name: progress(f"{name}: {phase}"))
        report["variants"][name] = _facts(result, before, result.accuracy(judging))
        checkpoint.save_text(json.dumps(report, indent=2) + "\n", path)
        say(f"{name}: {report['variants'][name]['drop']:+.2f} points lost, {report['variants'][name]['bytes']:,} bytes")
    return report


def _one(model: nn.Module, training, validation, options: CompressOptions, place, progress) -> CompressResult:
    return compress(model, training, validation, progress=progress, place=place, **asdict(options))


def halves(validation: TensorBatches) -> tuple[TensorBatches, TensorBatches]:
    """Every other sample, and those between."""
    if len(validation.y) < 2:
        raise UsageError("[data] validation = 1: one half of it decides, the other compares; make it 2 or more")
    return tuple(replace(validation, x=validation.x[k::2], y=validation.y[k::2]) for k in (0, 1))


def _facts(result: CompressResult, float_accuracy: float, accuracy: float) -> dict:
    size = weight_bytes(result.frozen)
    weights = sum(layer.levels.size for layer in result.frozen.layers.values())
    return {
        "accuracy": accuracy,
        "drop": points_lost(float_accuracy, accuracy),
        "bytes": size,
        "compression_vs_float32": 4 * weights / size,
        "collapsed": [d.name for d in result.decisions if d.accepted],
        "epochs": result.epochs,
    }


def _chosen(every: dict[str, CompressOptions], only: list[str] | None) -> dict[str, CompressOptions]:
    if not only:
        return every
    known = [*every, *{name.partition("=")[0] for name in every}]
    for name in only:
        if name not in known:
            raise UsageError(f"--only: there is no variant or option {name!r}{closest(name, known)}")
    return {name: o for name, o in every.items() if name == BASE or name in only or name.partition("=")[0] in only}


def _read(path: Path, recipe: Recipe) -> dict:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        checkpoint.check_recipe(report, recipe.to_dict(), path)
        return {"recipe": report["recipe"], "variants": dict(report["variants"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: is no result of `lamella ablate`; remove it, or start without --resume") from None
