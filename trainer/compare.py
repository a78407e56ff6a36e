"""Every method on one network, from one float baseline, in equal epochs.

Methods are compared on the validation split; accuracy on the test split is measured once for each, at its end.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from torch import nn

from lamella.errors import LamellaError, UsageError
from lamella.trainer import checkpoint, export_onnx, methods, metrics, onnxruntime_check, session
from lamella.trainer.batches import TensorBatches
from lamella.trainer.fit import Progress, float_accuracy
from lamella.trainer.layerwise import CompressResult
from lamella.trainer.methods.method import Method
from lamella.trainer.methods.train import compressible_weights, train
from lamella.trainer.place import Place
from lamella.trainer.recipe import Recipe

REPORT = "compare.json"
#: Epochs of each method where nothing else is asked for.
EPOCHS = 10
#: Puts what the code generator makes of a model into its metrics: (metrics, path of model.onnx) -> metrics.
Deployed = Callable[[dict, Path], dict]


def run(
    recipe: Recipe,
    out: Path,
    *,
    only: list[str] | None = None,
    epochs: int = EPOCHS,
    data_folder: Path | None = None,
    resume: bool = False,
    deployed: Deployed = lambda report, model: report,
    progress: Callable[[str], Progress] = lambda phase: lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes out/<method>/model.onnx and metrics.json, and out/compare.json after every method; returns the latter.

    only: names of methods. A method that cannot do this network is noted with its message, and the others go on.
    resume: out/float.pt is used, and methods in out/compare.json are not run again, those that failed excepted.
    """
    chosen = [methods.get(name) for name in only] if only else list(methods.methods().values())
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("lamella compare runs in one process; start it without torchrun, or `lamella train` with it")
    if epochs < 1:
        raise UsageError(f"--epochs {epochs} is out of range; it must be 1 or more")
    settings = {"recipe": recipe.to_dict(), "epochs": epochs}
    place = session.settle(recipe)
    model, training, validation, test = session.prepare(recipe, data_folder)
    path = out / REPORT
    report = _read(path, settings) if resume and path.is_file() else {**settings, "methods": {}}
    _baseline(recipe, model, out / session.FLOAT, training, place, progress, resume)
    report["float"] = {
        "accuracy": float_accuracy(model, test, "test"),
        "validation_accuracy": float_accuracy(model, validation, "validation"),
        "weights": sum(compressible_weights(model, training.x[:2]).values()),
        "test_samples": len(test.x),
    }
    for method in chosen:
        if "error" not in report["methods"].get(method.name, {"error": ""}):
            continue
        folder = out / method.name
        try:
            result = train(
                method,
                model,
                training,
                validation,
                recipe.compress,
                epochs,
                name=recipe.network.name.rpartition(":")[2],
                progress=lambda phase, name=method.name: progress(f"{name}: {phase}"),
                place=place,
            )
            facts = _write(method, result, report["float"], validation, test, folder, deployed)
            say(f"{method.name}: {facts['drop']:+.2f} points lost, {facts['weight_bytes']:,} bytes")
        except LamellaError as error:
            facts = {"error": str(error)}
            say(f"{method.name}: {error}")
        report["methods"][method.name] = facts
        checkpoint.save_text(json.dumps(report, indent=2, allow_nan=False) + "\n", path)
    return report


def _baseline(
    recipe: Recipe, model: nn.Module, path: Path, training: TensorBatches, place: Place, progress, resume: bool
) -> None:
    if resume and path.is_file():
        checkpoint.load_float(model, path)
    else:
        session.train_float(recipe, model, training, place, progress("float"))
        checkpoint.save_float(model, path)
    model.eval()


def _write(
    method: Method,
    result: CompressResult,
    baseline: dict,
    validation: TensorBatches,
    test: TensorBatches,
    folder: Path,
    deployed: Deployed,
) -> dict:
    """Writes model.onnx and metrics.json of a method; returns its row of the comparison."""
    path = folder / "model.onnx"
    export_onnx.save(result.frozen, path)
    report = metrics.network_metrics(result, baseline["accuracy"], result.accuracy(test), len(test.x))
    report["onnxruntime"] = onnxruntime_check.compare(path, result.frozen, validation.x[: session.WITNESS_SAMPLES])
    # Each layer in its smallest format: what a microcontroller gets with --optimize flash.
    report["flash_bytes"] = report["weight_bytes"]
    report["flash_compression"] = metrics.FLOAT32_BYTES * baseline["weights"] / report["flash_bytes"]
    report = deployed(report, path)
    if method.rule is not None:  # nothing was tried and refused: the method says what is compressed
        for layer in report["layers"]:
            layer["accepted"] = layer["rule"] == method.rule.name
            layer["reason"] = f"{method.name}: {method.reading}"
    # Against the network as it was: a method that takes filters out has fewer weights to count.
    for counted in (report, *([report["smallest"]] if "smallest" in report else [])):
        counted["compression_vs_float32"] = metrics.FLOAT32_BYTES * baseline["weights"] / counted["weight_bytes"]
    about = {"method": method.name, "paper": method.paper, "reading": method.reading, "epochs": result.epochs}
    metrics.save({**about, **report}, folder / "metrics.json")
    row = ("accuracy", "drop", "validation_accuracy", "validation_drop", "weights", "weight_bytes", "sparsity")
    facts = {key: report[key] for key in (*row, "compression_vs_float32", "flash_bytes", "flash_compression")}
    if "smallest" in report:
        facts["smallest"] = report["smallest"]
    return {**about, **facts, "formats": sorted({layer["format"] for layer in report["layers"]})}


def _read(path: Path, settings: dict) -> dict:
    """What an interrupted comparison has; UsageError if it was made with other settings."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        checkpoint.check_recipe(report, settings["recipe"], path)
        if report["epochs"] != settings["epochs"]:
            raise UsageError(
                f"{path}: was made with --epochs {report['epochs']}, now it is {settings['epochs']}; "
                "put it back, or start again without --resume"
            )
        return {**settings, "methods": dict(report["methods"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: is no result of `lamella compare`; remove it, or start without --resume") from None
