"""Layer-wise compressive training: prune, order the layers, collapse them one by one under an accuracy bound.

docs/training.md tells which parts are the published method and which are our reading of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from lamella.errors import UsageError
from lamella.trainer import budget, integer, ladder
from lamella.trainer.batches import Interleaved, checked, require_repeatable
from lamella.trainer.decisions import Decision, Point, Try, points_lost
from lamella.trainer.fit import Log, Progress
from lamella.trainer.frozen import FrozenNetwork, freeze
from lamella.trainer.network import QuantNetwork
from lamella.trainer.options import CompressOptions, options_from
from lamella.trainer.place import CPU, Place
from lamella.trainer.prune import prune_, prune_by_entropy_, sparsity_schedule
from lamella.trainer.rules import WeightRule
from lamella.trainer.rules.float32 import Float32
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.run import OwnLoop, Run
from lamella.trainer.saliency import saliency_of
from lamella.trainer.significance import order_layers
from lamella.trainer.sizes import Prices, by_bytes


@dataclass
class CompressResult:
    """A compressed network. `frozen` is what the accuracies were measured on and what is exported."""

    network: QuantNetwork
    frozen: FrozenNetwork
    options: CompressOptions
    decisions: list[Decision]
    float_validation_accuracy: float
    validation_accuracy: float
    epochs: float
    layer_order: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    fits: bool | None = None  # into the bytes asked for; None where none were

    @property
    def validation_drop(self) -> float:
        """Percentage points lost on the validation split; what the loop decided on."""
        return points_lost(self.float_validation_accuracy, self.validation_accuracy)

    def accuracy(self, batches: Iterable) -> float:
        """Integer-mode accuracy on any (x, y) batches, as a fraction."""
        graph = self.frozen.graph
        return integer.accuracy(self.frozen, checked(batches, "test", graph.output.shape[0], graph.input.shape))

    def export(self, path: str | Path) -> None:
        """Writes the ONNX file."""
        from lamella.trainer.export_onnx import save

        save(self.frozen, Path(path))


def compress(
    model: nn.Module,
    train_data: Iterable,
    validation_data: Iterable,
    *,
    name: str | None = None,
    rule: WeightRule | None = None,
    within: budget.Budget | None = None,
    prices: Prices = by_bytes,
    own_loop: OwnLoop | None = None,
    progress: Callable[[str], Progress | None] | None = None,
    save: Callable[[dict], None] | None = None,
    resume: dict | None = None,
    place: Place = CPU,
    log: Log | None = None,
    **options,
) -> CompressResult:
    """A compressed copy of a trained float network; the model itself stays as it is.

    train_data, validation_data: iterables of (inputs (N, ...) float, labels (N,) int) that can be iterated repeatedly.
    name: of the ONNX graph, by default the class. options: fields of CompressOptions, such as max_drop, sparsity, seed.
    rule: what layers are collapsed to, in place of the rules of the ladder. within: what to fit into, in place of the
    bound on accuracy. prices: what a layer takes, which the ladder goes by: bytes, or those of a board
    (lamella.deployed.prices). own_loop(network, epochs): your training loop, in place of ours; it calls
    network.keep_valid_() after each step of its optimiser, and the options of descent are not looked at.
    progress(phase) gives a function that is told of each batch. save is given the state after pruning and after every
    layer; such a state as `resume` continues from there, with the same result. place: device, precision and processes
    of training (lamella.trainer.place.here); what is measured is measured on the CPU. log is given a dict after every
    epoch and of every network measured.
    """
    settings = options_from(options)
    if own_loop is not None and settings.final_data != "train":
        raise UsageError(
            f"final_data = {settings.final_data!r} has no effect on own_loop, which has its own data; leave it out"
        )
    if own_loop is not None and settings.layer_epochs % 1:
        raise UsageError(
            f"layer_epochs = {settings.layer_epochs:g} is no whole number, and own_loop trains whole epochs"
        )
    for data, split in ((train_data, "training"), (validation_data, "validation")):
        require_repeatable(data, split)
    run = Run(
        model,
        train_data,
        validation_data,
        settings,
        progress or (lambda phase: None),
        save or (lambda state: None),
        place,
        log,
        prices,
    )
    run.own_loop = own_loop
    ladder_of = ladder.Ladder(settings, rule)
    if resume is None:
        prune_and_order(run, ladder_of)
    else:
        run.load(resume)
    fits = None
    if within is None:
        collapse_layers(run, ladder_of)
    elif not run.finished:
        fits = budget.shrink(run, ladder_of, within)
    train_together(run)
    frozen = freeze(run.network, name or type(model).__name__.lower())
    if within is not None:
        fits = within.measure(frozen) <= within.most
    accuracy = run.validate() if run.judged is None else run.judged
    return CompressResult(
        run.network,
        frozen,
        settings,
        run.decisions,
        run.float_accuracy,
        accuracy,
        run.epochs,
        run.order,
        run.points,
        fits,
    )


def prune_and_order(run: Run, ladder_of: ladder.Ladder) -> None:
    """Steps 1 and 2. Afterwards every layer is int8 and activations are quantised."""
    options, network = run.options, run.network
    for name in network.compressible:
        network.layers[name].set_rule_(Float32(masked=True, moving=options.zeros == "count"))
    schedule = sparsity_schedule(options.sparsity, options.prune_steps)

    def tighten(epoch: int) -> None:
        if epoch < len(schedule):
            _prune(run, schedule[epoch])

    if options.prune_epochs == 0:
        _prune(run, options.sparsity)
    run.train("prune", options.prune_epochs, tighten)
    for layer in network.layers.values():
        with torch.no_grad():
            layer.weight.mul_(layer.mask)
        layer.set_rule_(Int8(masked=options.kept_layers == "pruned"))
    network.calibrate_(run.inputs)
    run.order = order_layers(
        network,
        options.order,
        lambda name: run.accuracy_with(name, ladder_of.first(name), run.validation),
        islice(checked(run.train_data, "training", run.classes), options.calibration_batches),
    )
    run.points.append(run.point("all layers int8"))
    run.save()


def _prune(run: Run, sparsity: float) -> None:
    """Masks by the saliency and the thresholds asked for."""
    network, options = run.network, run.options
    scores = saliency_of(options.saliency)(network, run.inputs)
    if options.thresholds == "global":
        prune_(network, sparsity, scores)
    else:
        squared = options.saliency == "magnitude"  # the others are losses already
        prune_by_entropy_(network, sparsity, {n: s.square() if squared else s for n, s in scores.items()})


def collapse_layers(run: Run, ladder_of: ladder.Ladder) -> None:
    """Step 3: least significant layer first, each on the cheapest rung that keeps the network within the bound."""
    for name in run.candidates()[len(run.decisions) :]:
        if run.options.on_violation == "stop" and any(not d.accepted for d in run.decisions):
            return
        run.decisions.append(_climb(run, ladder_of, name))
        run.save()


def _climb(run: Run, ladder_of: ladder.Ladder, name: str) -> Decision:
    """Tries the rungs of a layer that are cheaper than int8; leaves it on the first within the bound, or in int8."""
    before, int8 = run.network.snapshot(), run.price(name)
    tries: list[Try] = []

    def decided(accepted: bool) -> Decision:
        return Decision(name, run.order.index(name) + 1, accepted, tuple(tries), int8.bytes, int8.instructions)

    for rung in ladder_of.rungs(name, lambda rule: run.price_with(name, rule), int8.cost):
        run.set_rule(name, rung.rule)
        run.train(f"collapse {name}", run.options.layer_epochs)
        point = run.point(f"{name}: {rung.name}")
        drop = points_lost(run.float_accuracy, point.accuracy)
        accepted = drop <= run.options.layer_drop
        price = run.price(name)
        tries.append(Try(rung.name, price.bytes, drop, price.instructions))
        run.points.append(replace(point, accepted=accepted))
        if accepted:
            return decided(True)
        run.network.restore_(before)
    return decided(False)


def train_together(run: Run) -> None:
    """Further epochs on the final form, kept only if validation does not suffer.

    With the validation split in the training data that is a safeguard only; what is reported was measured before.
    """
    if run.finished or run.options.final_epochs == 0:
        return
    before, accuracy = run.network.snapshot(), run.validate()
    data, what = None, "final"
    if run.options.final_data == "train+validation":
        data = Interleaved(run.train_data, run.validation, len(run.inputs[0]), run.options.seed)
        what, run.judged = "final, validation data trained on", accuracy
    run.train("final", run.options.final_epochs, data=data)
    point = run.point(what)
    accepted = point.accuracy >= accuracy
    run.points.append(replace(point, accepted=accepted))
    if not accepted:
        run.network.restore_(before)
    run.finished = True
    run.save()
