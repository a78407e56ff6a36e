"""Search for the options of compression, by Optuna: the fewest bytes and the smallest loss of accuracy, both at once.

The space is the recipe's table [search]: for each option of [compress] a list of values, or a range
{ low, high, log = false, step }. Trials are compared on the validation split. Several processes or machines that are given the
same storage and out folder share the work.
"""

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from itertools import islice, product
from pathlib import Path

from lamella.errors import PlatformError, UsageError
from lamella.trainer import checkpoint, session
from lamella.trainer.fit import Progress
from lamella.trainer.ladder import Ladder
from lamella.trainer.layerwise import compress
from lamella.trainer.names import closest
from lamella.trainer.options import CompressOptions, with_tuples
from lamella.trainer.recipe import Recipe
from lamella.trainer.sizes import weight_bytes

try:
    import optuna
except ImportError:
    optuna = None

RANGE = {"low", "high", "log", "step"}
#: So many combinations of values are looked at to find one that a value is allowed in.
COMBINATIONS = 2000


def space_of(path: Path, base: CompressOptions) -> dict[str, list | dict]:
    """The table [search] of a recipe, checked: every value, with `base` for the rest, is allowed in some combination."""
    space = tomllib.loads(path.read_text(encoding="utf-8")).get("search")
    if not isinstance(space, dict) or not space:
        raise UsageError(
            f"{path}: the table [search] is missing; name options of [compress] there, each with values to try"
        )
    known = [field.name for field in fields(CompressOptions)]
    for name, values in space.items():
        if name not in known:
            raise UsageError(f"{path}: [search] {name}: [compress] has no such key{closest(name, known)}")
        is_range = isinstance(values, dict) and {"low", "high"} <= set(values) <= RANGE
        if is_range and not all(isinstance(values[key], int | float) for key in ("low", "high")):
            raise UsageError(f"{path}: [search] {name}: low and high must be numbers")
        if not is_range and not (isinstance(values, list) and values):
            raise UsageError(f"{path}: [search] {name} must be a list of values, or {{ low = .., high = .. }}")
    if "final_data" in space:
        raise UsageError(
            f"{path}: [search] final_data: trials are compared on the validation split, so none may train on it; take it out"
        )
    _check_values(space, base, path)
    return space


def _check_values(space: dict[str, list | dict], base: CompressOptions, path: Path) -> None:
    """UsageError for a value that no combination with values of the other options makes right; long before it is tried."""
    ends = {n: v if isinstance(v, list) else [v["low"], v["high"]] for n, v in space.items()}
    for name, values in ends.items():
        others = [[(other, value) for value in more] for other, more in ends.items() if other != name]
        for value in values:
            said = None
            for combination in islice(product(*others), COMBINATIONS):
                try:
                    Ladder(_options(base, {**dict(combination), name: value}))
                    break
                except UsageError as error:
                    said = said or error
            else:
                raise UsageError(f"{path}: [search] {name}: {said}")


def run(
    recipe: Recipe,
    space: dict[str, list | dict],
    out: Path,
    *,
    trials: int,
    storage: str | None = None,
    data_folder: Path | None = None,
    progress: Callable[[str], Progress] = lambda phase: lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """So many more trials of the study in `storage` (a database URL; default: a file in out). Writes out/search.json.

    Every trial's model is out/trials/<number>/model.onnx. The float network, out/float.pt, is trained by the first process.
    """
    if optuna is None:
        raise PlatformError("search needs Optuna, which is not installed: pip install 'lamella[search]'")
    place = session.settle(recipe)
    model, training, validation, _ = session.prepare(recipe, data_folder)
    float_path = out / session.FLOAT
    if float_path.is_file():
        checkpoint.load_float(model, float_path)
    else:
        session.train_float(recipe, model, training, place, progress("float"))
        checkpoint.save_float(model, float_path)
    model.eval()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=recipe.network.name,
        storage=storage or f"sqlite:///{out / 'search.db'}",
        directions=["minimize", "minimize"],
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=recipe.train.seed) if storage is None else None,
    )

    base = trial_base(recipe.compress)

    def one(trial) -> tuple[float, int]:
        options = _options(base, {name: _suggest(trial, name, values) for name, values in space.items()})
        said = ", ".join(f"{name}={value}" for name, value in trial.params.items())
        result = compress(
            model,
            training,
            validation,
            name=recipe.network.name.rpartition(":")[2],
            place=place,
            progress=lambda phase: progress(f"trial {trial.number}: {phase}"),
            **asdict(options),
        )
        folder = out / "trials" / str(trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        result.export(folder / "model.onnx")
        size = weight_bytes(result.frozen)
        say(f"trial {trial.number}: {result.validation_drop:+.2f} points lost, {size:,} bytes ({said})")
        return result.validation_drop, size

    def told(study, trial) -> None:
        if trial.values is None:
            said = ", ".join(f"{name}={value}" for name, value in trial.params.items())
            say(f"trial {trial.number}: these options do not go together ({said})")

    study.optimize(one, n_trials=trials, catch=(UsageError,), callbacks=[told])
    report = _report(study, recipe)
    checkpoint.save_text(json.dumps(report, indent=2) + "\n", out / "search.json")
    return report


def trial_base(options: CompressOptions) -> CompressOptions:
    """The options of the recipe for trials, which must not train on the validation split that compares them."""
    return replace(options, final_data="train")


def _suggest(trial, name: str, values: list | dict) -> object:
    if isinstance(values, list):
        if all(isinstance(value, str | int | float | bool) for value in values):
            return trial.suggest_categorical(name, values)
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in values]))
    whole = isinstance(values["low"], int) and isinstance(values["high"], int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    steps = {"step": values["step"]} if "step" in values else {}
    return suggest(name, values["low"], values["high"], log=values.get("log", False), **steps)


def _options(base: CompressOptions, values: dict[str, object]) -> CompressOptions:
    return replace(base, **{name: with_tuples(value) for name, value in values.items()})


def _report(study, recipe: Recipe) -> dict:
    """All finished trials; best: the numbers of those that no other one beats in both."""
    done = [t for t in study.trials if t.values is not None]
    return {
        "recipe": recipe.to_dict(),
        "trials": [
            {"number": t.number, "drop": t.values[0], "bytes": int(t.values[1]), "options": t.params} for t in done
        ],
        "best": sorted(t.number for t in study.best_trials),
    }
