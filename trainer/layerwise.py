"""Layer-wise compressive training: prune, order the layers, collapse them one by one under an accuracy bound.

docs/training.md tells which parts are the published method and which are our reading of it.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from lamella.errors import UsageError
from lamella.trainer import integer
from lamella.trainer.batches import checked, inputs_for_calibration, require_repeatable
from lamella.trainer.fit import Descent, Progress, fit, float_accuracy
from lamella.trainer.frozen import FrozenNetwork, freeze
from lamella.trainer.names import closest
from lamella.trainer.network import QuantNetwork
from lamella.trainer.options import CompressOptions, options_from
from lamella.trainer.prune import prune_, sparsity_schedule
from lamella.trainer.rules import WeightRule
from lamella.trainer.rules.float32 import Float32
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.significance import order_layers
from lamella.trainer.trace import trace


@dataclass(frozen=True)
class Decision:
    """One turn of the greedy loop. order counts from 1; drop in percentage points of validation accuracy."""

    name: str
    order: int
    accepted: bool
    drop: float


@dataclass
class CompressResult:
    """A compressed network. `frozen` is what the accuracies were measured on and what is exported."""

    network: QuantNetwork
    frozen: FrozenNetwork
    options: CompressOptions
    decisions: list[Decision]
    float_validation_accuracy: float
    validation_accuracy: float
    epochs: int
    layer_order: list[str] = field(default_factory=list)

    @property
    def validation_drop(self) -> float:
        """Percentage points lost on the validation split; what the loop decided on."""
        return 100.0 * (self.float_validation_accuracy - self.validation_accuracy)

    def accuracy(self, batches: Iterable) -> float:
        """Integer-mode accuracy on any (x, y) batches, as a fraction."""
        return integer.accuracy(self.frozen, checked(batches, "test", self.frozen.graph.output.shape[0]))

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
    progress: Callable[[str], Progress] | None = None,
    save: Callable[[dict], None] | None = None,
    resume: dict | None = None,
    **options,
) -> CompressResult:
    """A compressed copy of a trained float network; the model itself stays as it is.

    train_data, validation_data: iterables of (inputs (N, ...) float, labels (N,) int) that can be iterated repeatedly.
    name: of the ONNX graph, by default the class. options: fields of CompressOptions, such as max_drop, sparsity, seed.
    rule: what layers are collapsed to, by default Ternary with the options zeros, threshold, sigma, sigma_per_channel.
    progress(phase) gives a function that is told of each batch. save is given the state after pruning and after every
    layer; such a state as `resume` continues from there, with the same result.
    """
    settings = options_from(options)
    for data, split in ((train_data, "training"), (validation_data, "validation")):
        require_repeatable(data, split)
    run = _Run(
        model, train_data, validation_data, settings, progress or (lambda phase: None), save or (lambda state: None)
    )
    run.collapsed_rule = rule or run.collapsed_rule
    if resume is None:
        run.prune_and_order()
    else:
        run.load(resume)
    run.collapse_layers()
    run.train_together()
    frozen = freeze(run.network, name or type(model).__name__.lower())
    accuracy = run.validate()
    return CompressResult(
        run.network, frozen, settings, run.decisions, run.float_accuracy, accuracy, run.epochs, run.order
    )


class _Run:
    """The state of one compression: what a checkpoint holds is in state()."""

    def __init__(self, model, train_data, validation_data, options: CompressOptions, progress, save):
        self.options = options
        self.train_data = train_data
        self.progress = progress
        self.save = save
        self.inputs = inputs_for_calibration(train_data, options.calibration_batches)
        graph = trace(model, self.inputs[0][:2])
        self.network = QuantNetwork(graph, model, learned_ranges=options.activation_range == "learned")
        self.classes = graph.output.shape[0]
        self.validation = list(checked(validation_data, "validation", self.classes))
        self.float_accuracy = float_accuracy(model, self.validation, "validation")
        self.teacher = copy.deepcopy(model).eval() if options.distill else None
        self.collapsed_rule: WeightRule = Ternary(
            options.zeros, options.threshold, options.sigma, options.sigma_per_channel
        )
        self.order: list[str] = []
        self.decisions: list[Decision] = []
        self.epochs = 0
        self.finished = False
        for name in options.keep:
            if name not in self.network.compressible:
                raise UsageError(f"keep: there is no layer {name!r}{closest(name, self.network.compressible)}")

    def prune_and_order(self) -> None:
        """Steps 1 and 2. Afterwards every layer is int8 and activations are quantised."""
        options, network = self.options, self.network
        for name in network.compressible:
            network.layers[name].set_rule_(Float32(masked=True))
        schedule = sparsity_schedule(options.sparsity, options.prune_steps)

        def tighten(epoch: int) -> None:
            if epoch < len(schedule):
                prune_(network, schedule[epoch])

        if options.prune_epochs == 0:
            prune_(network, options.sparsity)
        self._train("prune", options.prune_epochs, tighten)
        for layer in network.layers.values():
            with torch.no_grad():
                layer.weight.mul_(layer.mask)
            layer.set_rule_(Int8(masked=options.kept_layers == "pruned"))
        network.calibrate_(self.inputs)
        self.order = order_layers(network, options.order, self._collapsed_accuracy)
        self.save(self.state())

    def collapse_layers(self) -> None:
        """Step 3: least significant layer first, each kept only within the bound."""
        candidates = [name for name in self.order if name not in self.options.keep]
        for name in candidates[len(self.decisions) :]:
            if self.options.on_violation == "stop" and any(not d.accepted for d in self.decisions):
                return
            before = self.network.snapshot()
            self._collapse(name)
            self._train(f"collapse {name}", self.options.layer_epochs)
            drop = 100.0 * (self.float_accuracy - self.validate())
            accepted = drop <= self.options.max_drop
            if not accepted:
                self.network.restore_(before)
            self.decisions.append(Decision(name, self.order.index(name) + 1, accepted, drop))
            self.save(self.state())

    def train_together(self) -> None:
        """Further epochs on the final form, kept only if validation does not suffer."""
        if self.finished or self.options.final_epochs == 0:
            return
        before, accuracy = self.network.snapshot(), self.validate()
        self._train("final", self.options.final_epochs)
        if self.validate() < accuracy:
            self.network.restore_(before)
        self.finished = True
        self.save(self.state())

    def validate(self) -> float:
        """Integer-mode accuracy on the validation split."""
        return integer.accuracy(freeze(self.network, "validation"), self.validation)

    def state(self) -> dict:
        """What load() needs; plain types and tensors."""
        return {
            "network": self.network.snapshot(),
            "order": self.order,
            "decisions": [[d.name, d.order, d.accepted, d.drop] for d in self.decisions],
            "epochs": self.epochs,
            "finished": self.finished,
        }

    def load(self, state: dict) -> None:
        """Continues from state()."""
        self.network.restore_(state["network"])
        self.order = list(state["order"])
        self.decisions = [Decision(*entry) for entry in state["decisions"]]
        self.epochs = state["epochs"]
        self.finished = state["finished"]

    def _collapse(self, name: str) -> None:
        self.network.layers[name].set_rule_(self.collapsed_rule)
        self.network.calibrate_(self.inputs)

    def _collapsed_accuracy(self, name: str) -> float:
        before = self.network.snapshot()
        self._collapse(name)
        accuracy = self.validate()
        self.network.restore_(before)
        return accuracy

    def _train(self, phase: str, epochs: int, before_epoch: Callable[[int], None] | None = None) -> None:
        o = self.options
        descent = Descent(epochs, o.learning_rate, o.optimizer, o.momentum, o.weight_decay, o.distill, o.temperature)
        fit(
            self.network,
            self.train_data,
            descent,
            what=phase,
            seed=o.seed,
            first_epoch=self.epochs,
            before_epoch=before_epoch,
            teacher=self.teacher,
            progress=self.progress(phase),
        )
        self.epochs += epochs
        if o.activation_range == "calibrated" and phase != "prune":
            self.network.calibrate_(self.inputs)
