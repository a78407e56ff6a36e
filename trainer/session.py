"""A whole run: data, float baseline, compression, model.onnx and metrics.json. What `lamella train` and `compress` do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from lamella.errors import UsageError
from lamella.trainer import augment, checkpoint, data, export_onnx, metrics, networks, onnxruntime_check
from lamella.trainer.allocator import keep_freed_memory
from lamella.trainer.batches import TensorBatches, checked
from lamella.trainer.budget import Budget
from lamella.trainer.csv_log import CsvLog
from lamella.trainer.data.splits import Splits, validation_indices
from lamella.trainer.fit import Descent, Log, Progress, fit, float_accuracy
from lamella.trainer.ladder import Ladder
from lamella.trainer.layerwise import CompressResult, compress
from lamella.trainer.network import QuantNetwork
from lamella.trainer.place import Place, here
from lamella.trainer.recipe import Recipe
from lamella.trainer.run import require_layers
from lamella.trainer.sizes import Prices, by_bytes
from lamella.trainer.trace import trace

CHECKPOINT = "checkpoint.pt"
FLOAT = "float.pt"
LOG = "log.csv"
#: Validation samples that onnxruntime is asked about.
WITNESS_SAMPLES = 500
EVALUATION_BATCH = 500


def run(
    recipe: Recipe,
    out: Path,
    *,
    data_folder: Path | None = None,
    float_checkpoint: Path | None = None,
    resume: bool = False,
    within: Budget | None = None,
    prices: Prices = by_bytes,
    progress: Callable[[str], Progress] = lambda phase: lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes out/model.onnx and out/metrics.json and returns the metrics.

    float_checkpoint: a state_dict to start from instead of training the baseline. resume: continue from
    out/checkpoint.pt with the same recipe; the result is that of an unbroken run. within: what to fit into, in place of
    the recipe's max_drop. prices: what the ladder goes by.
    """
    place = settle(recipe)
    if not place.is_first:
        say = _silence
    saved = _Saved(recipe, out, resume, place)
    model, training, validation, test = prepare(recipe, data_folder)
    log = CsvLog(out / LOG, new=not resume) if place.is_first else None
    epochs = _baseline(recipe, model, saved, training, float_checkpoint, place, progress, log)
    say(f"float: {100 * float_accuracy(model, validation, 'validation'):.2f} % on the validation split")

    def save_compression(part: dict) -> None:
        saved.update(compress=part)
        if part["decisions"] and not part["finished"]:
            decision = part["decisions"][-1]
            for k, tried in enumerate(decision["tries"]):
                kept = decision["accepted"] and k == len(decision["tries"]) - 1
                verdict = "kept" if kept else "restored"
                say(f"{decision['name']} collapsed to {tried['rung']}: {tried['drop']:+.2f} points lost, {verdict}")

    result = compress(
        model,
        training,
        validation,
        name=recipe.network.name.rpartition(":")[2],
        progress=progress,
        save=save_compression,
        resume=saved.state.get("compress"),
        within=within,
        prices=prices,
        place=place,
        log=log,
        **asdict(recipe.compress),
    )
    with _folder(out, place) as written:
        report = _finish(recipe, result, model, validation, test, written)
    if within is not None:
        report["budget"] = {within.unit: within.most, "fits": result.fits}
    report |= {
        "epochs": round(epochs + result.epochs, 2),
        "seconds": round(saved.seconds(), 1),
        "threads": recipe.train.threads,
        "torch": torch.__version__,
        "recipe": recipe.to_dict(),
    }
    if place.is_first:
        metrics.save(report, out / "metrics.json")
    return report


@contextmanager
def _folder(out: Path, place: Place) -> Iterator[Path]:
    """Where a process writes: the first one to `out`, the others where nobody looks."""
    if place.is_first:
        yield out
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _silence(line: str) -> None:
    """What the other processes say."""


class _Saved:
    """The state of a run and its checkpoint, out/checkpoint.pt, which the first process writes."""

    def __init__(self, recipe: Recipe, out: Path, resume: bool, place: Place):
        self.path, self._place, self._started = out / CHECKPOINT, place, time.monotonic()
        self.float_path = out / FLOAT
        self.state: dict = {"recipe": recipe.to_dict(), "seconds": 0.0}
        if resume:
            if not self.path.is_file():
                raise UsageError(f"--resume: there is no {self.path}; start without --resume")
            self.state = checkpoint.load(self.path)
            checkpoint.check_recipe(self.state, recipe.to_dict(), self.path)
        self._seconds_before = self.state["seconds"]

    def seconds(self) -> float:
        """Of the run so far, those before an interruption included."""
        return self._seconds_before + time.monotonic() - self._started

    def update(self, **parts) -> None:
        """Puts parts into the state and writes it."""
        self.state.update(parts, seconds=self.seconds())
        if self._place.is_first:
            checkpoint.save(self.state, self.path)

    def save_float(self, model: nn.Module) -> None:
        """The float network, for `lamella compress`."""
        if self._place.is_first:
            checkpoint.save_float(model, self.float_path)


def settle(recipe: Recipe) -> Place:
    """Makes torch repeatable as the recipe wants it, and says where it compresses."""
    torch.set_num_threads(recipe.train.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would write every tensor twice
    keep_freed_memory()
    return here(recipe.train.device, recipe.train.compress_precision, recipe.train.compile)


def prepare(recipe: Recipe, folder: Path | None) -> tuple[nn.Module, TensorBatches, TensorBatches, TensorBatches]:
    """The untrained network, and training, validation and test batches; what can be refused is refused here."""
    model, parts = build(recipe), splits(recipe, folder)
    network = QuantNetwork(trace(model, parts[0].x[:2]), model, learned_ranges=False)
    require_layers(recipe.compress, network)
    Ladder(recipe.compress)
    for part, name in zip(parts, ("training", "validation", "test"), strict=True):
        plain = replace(part, shuffle=False, batch_size=EVALUATION_BATCH, augment=None)
        for _ in checked(plain, name, network.graph.output.shape[0], network.graph.input.shape):
            pass
    return model, *parts


def build(recipe: Recipe) -> nn.Module:
    """The recipe's network with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        model = networks.get(recipe.network.name)()
    if not isinstance(model, nn.Module):
        raise UsageError(f"network {recipe.network.name!r} gave {type(model).__name__}, not a torch.nn.Module")
    return model.to(memory_format=torch.channels_last)


def splits(recipe: Recipe, folder: Path | None) -> tuple[TensorBatches, TensorBatches, TensorBatches]:
    """Training, validation and test batches."""
    whole = data.get(recipe.data.name)(folder)
    if not isinstance(whole, Splits):
        raise UsageError(
            f"data {recipe.data.name!r} gave {type(whole).__name__}, not lamella.trainer.data.splits.Splits"
        )
    for name, x in (("training", whole.train_x), ("test", whole.test_x)):
        if not len(x):
            raise UsageError(f"data {recipe.data.name!r}: the {name} part is empty")
    for name, x, y in (("training", whole.train_x, whole.train_y), ("test", whole.test_x, whole.test_y)):
        if len(x) != len(y):
            raise UsageError(f"data {recipe.data.name!r}: the {name} part has {len(x)} samples and {len(y)} labels")
    t = recipe.train
    train, validation = validation_indices(len(whole.train_x), recipe.data.validation, t.seed)
    x, y = torch.from_numpy(whole.train_x), torch.from_numpy(whole.train_y)
    return (
        TensorBatches(x[train], y[train], t.batch_size, True, t.seed, augment=augment.get(recipe.data.augment)),
        TensorBatches(x[validation], y[validation], EVALUATION_BATCH),
        TensorBatches(torch.from_numpy(whole.test_x), torch.from_numpy(whole.test_y), EVALUATION_BATCH),
    )


def _baseline(
    recipe: Recipe,
    model: nn.Module,
    saved: _Saved,
    training,
    float_checkpoint: Path | None,
    place: Place,
    progress,
    log,
) -> int:
    """Gives the float model its weights: from the state, from a file, or by training. Returns the epochs spent."""
    for name in ("float", "baseline"):
        if name in saved.state:
            state = saved.state[name]
            checkpoint.require_state_of(model, state["network"] if name == "baseline" else state, saved.path)
    if "float" in saved.state:
        model.load_state_dict(saved.state["float"])
    else:
        if float_checkpoint is not None:
            checkpoint.load_float(model, float_checkpoint)
        else:
            baseline = saved.state.get("baseline")
            keep = partial(_keep_baseline, saved)
            train_float(recipe, model, training, place, progress("float"), log, keep, baseline)
        saved.state.pop("baseline", None)
        saved.update(float=model.state_dict())
    model.eval()
    if float_checkpoint is not None:
        return 0
    saved.save_float(model)
    return recipe.train.epochs


def _keep_baseline(saved: _Saved, state: dict) -> None:
    saved.update(baseline=state)


def train_float(
    recipe: Recipe,
    model: nn.Module,
    training,
    place: Place,
    progress: Progress,
    log: Log | None = None,
    keep: Callable[[dict], None] | None = None,
    resume: dict | None = None,
) -> None:
    """The float baseline, in place. keep, resume: as for lamella.trainer.fit."""
    t = recipe.train
    descent = Descent(t.epochs, t.learning_rate, t.optimizer, t.momentum, t.weight_decay)
    place = replace(place, precision=t.precision)
    fit(
        model, training, descent, what="float baseline", seed=t.seed, progress=progress, place=place, log=log,
        keep=keep, resume=resume,
    )  # fmt: skip


def _finish(recipe: Recipe, result: CompressResult, model: nn.Module, validation, test, out: Path) -> dict:
    """Exports, asks onnxruntime, and measures on the test split, the only time it is looked at."""
    export_onnx.save(result.frozen, out / "model.onnx")
    witness = onnxruntime_check.compare(out / "model.onnx", result.frozen, validation.x[:WITNESS_SAMPLES])
    float_test = float_accuracy(model, test, "test")
    report = metrics.network_metrics(result, float_test, result.accuracy(test), len(test.x))
    return {"network": recipe.network.name, "data": recipe.data.name, **report, "onnxruntime": witness}
