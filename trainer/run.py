"""The state of one compression, and what can be done to it: train, validate, put a layer under a rule."""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict

from torch import Tensor, nn

from lamella.errors import PlatformError, UsageError
from lamella.trainer import integer
from lamella.trainer.batches import Share, checked, inputs_for_calibration
from lamella.trainer.decisions import Decision, Point, Try
from lamella.trainer.fit import Descent, Log, Progress, fit, float_accuracy, not_finite
from lamella.trainer.frozen import FrozenNetwork, freeze
from lamella.trainer.names import closest
from lamella.trainer.network import QuantNetwork
from lamella.trainer.norms import renew_statistics_
from lamella.trainer.options import CompressOptions
from lamella.trainer.place import Place
from lamella.trainer.rules import WeightRule
from lamella.trainer.sizes import Price, Prices, by_bytes
from lamella.trainer.trace import trace

#: Trains a module in place for so many epochs, and calls the module's keep_valid_() after every step.
OwnLoop = Callable[[nn.Module, int], None]


class Run:
    """A network under compression with its data. What a checkpoint holds is in state()."""

    def __init__(
        self,
        model: nn.Module,
        train_data: Iterable,
        validation_data: Iterable,
        options: CompressOptions,
        progress: Callable[[str], Progress | None],
        save: Callable[[dict], None],
        place: Place,
        log: Log | None,
        prices: Prices = by_bytes,
    ):
        self.options = options
        self._prices = prices
        self.train_data = train_data
        self.progress = progress
        self._save = save
        self.place = place
        self._log = log
        self.own_loop: OwnLoop | None = None
        if not isinstance(model, nn.Module):
            raise UsageError(f"the model is of {type(model).__name__}; give a torch.nn.Module")
        if name := not_finite(model):
            raise UsageError(f"the model's {name} holds NaN or infinity; train it again")
        self.inputs = inputs_for_calibration(train_data, options.calibration_batches)
        graph = trace(model, self.inputs[0][:2])
        self.network = QuantNetwork(graph, model, learned_ranges=options.activation_range == "learned")
        self.classes = graph.output.shape[0]
        self.validation = list(checked(validation_data, "validation", self.classes, graph.input.shape))
        self.float_accuracy = float_accuracy(model, self.validation, "validation")
        self.teacher = copy.deepcopy(model).eval() if options.distill else None
        self.order: list[str] = []
        self.decisions: list[Decision] = []
        self.points: list[Point] = []
        self.epochs: float = 0
        #: Iterations over training data, whole epochs or parts: what its order follows from.
        self.passes = 0
        self.finished = False
        #: Validation accuracy before training on the validation split itself.
        self.judged: float | None = None
        require_layers(options, self.network)

    def candidates(self) -> list[str]:
        """Layers that may be collapsed, least significant first."""
        return [name for name in self.order if name not in self.options.keep]

    def train(
        self,
        phase: str,
        epochs: float,
        before_epoch: Callable[[int], None] | None = None,
        data: Iterable | None = None,
    ) -> None:
        """Epochs of descent on the network as it is; data: in place of the training split.

        Parts of an epoch are whole passes over fewer batches: 1.5 epochs are two passes over three quarters of them.
        """
        o = self.options
        passes = math.ceil(epochs)
        if self.own_loop is not None:
            self._train_with_own_loop(passes, before_epoch)
            return
        data = self.train_data if data is None else data
        if passes != epochs:
            data = Share(data, epochs / passes)
        rate = o.final_learning_rate if phase == "final" and o.final_learning_rate else o.learning_rate
        descent = Descent(passes, rate, o.optimizer, o.momentum, o.weight_decay, o.distill, o.temperature)
        fit(
            self.network,
            data,
            descent,
            what=phase,
            seed=o.seed,
            first_epoch=self.passes,
            before_epoch=before_epoch,
            teacher=self.teacher,
            progress=self.progress(phase),
            place=self.place,
            log=self._log,
            classes=self.classes,
        )
        self._renew_norms(data, passes)
        self.epochs += passes if passes == epochs else epochs
        self.passes += passes
        if o.activation_range == "calibrated" and phase != "prune":
            self.network.calibrate_(self.inputs)

    def _train_with_own_loop(self, epochs: int, before_epoch: Callable[[int], None] | None) -> None:
        """The user's loop for a whole phase, or for an epoch at a time where something changes before each."""
        for first in range(epochs) if before_epoch is not None else [0] * (epochs > 0):
            if before_epoch is not None:
                before_epoch(first)
            self.network.train()
            self.own_loop(self.network, 1 if before_epoch is not None else epochs)
            self.network.to("cpu").eval()
            if name := not_finite(self.network):
                raise PlatformError(
                    f"own_loop: {name} became NaN or infinite; training diverged: try a lower learning rate"
                )
        self._renew_norms(self.train_data, epochs)
        self.epochs += epochs

    def _renew_norms(self, data: Iterable, passes: int) -> None:
        """Statistics of BatchNorm anew behind a phase, as `norm_batches` says."""
        if passes:
            renew_statistics_(self.network, data, self.options.norm_batches)

    def set_rule(self, name: str, rule: WeightRule) -> None:
        """Puts a layer under a rule; activations get new ranges."""
        self.network.layers[name].set_rule_(rule)
        self.network.calibrate_(self.inputs)

    def frozen(self) -> FrozenNetwork:
        """The network as it is now, in integers."""
        return freeze(self.network, "validation")

    def validate(self) -> float:
        """Integer-mode accuracy on the validation split."""
        return integer.accuracy(self.frozen(), self.validation)

    def accuracy_with(self, name: str, rule: WeightRule, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Integer-mode accuracy if a layer went under a rule, without training. The network stays as it is."""
        before = self.network.snapshot()
        self.set_rule(name, rule)
        accuracy = integer.accuracy(self.frozen(), batches)
        self.network.restore_(before)
        return accuracy

    def price(self, name: str) -> Price:
        """What a layer takes as it is now."""
        return self._prices(self.frozen(), [name])[name]

    def price_with(self, name: str, rule: WeightRule) -> Price:
        """What a layer would take under a rule, without training. The network stays as it is."""
        layer = self.network.layers[name]
        before, learned = layer.rule, dict(layer.extra.items())
        layer.set_rule_(rule)
        price = self.price(name)
        layer.rule = before
        layer.extra.clear()
        layer.extra.update(learned)
        return price

    def point(self, what: str, accepted: bool = True) -> Point:
        """What the network takes as it is now, and its accuracy."""
        frozen = self.frozen()
        prices = self._prices(frozen, list(frozen.layers)).values()
        counts = [price.instructions for price in prices]
        instructions = None if None in counts else round(sum(counts))
        accuracy = integer.accuracy(frozen, self.validation)
        point = Point(what, sum(price.bytes for price in prices), accuracy, accepted, instructions)
        if self._log is not None:
            self._log({"phase": what, "epoch": self.epochs, "bytes": point.bytes, "accuracy": point.accuracy})
        return point

    def save(self) -> None:
        """Hands the state to whoever keeps checkpoints."""
        self._save(self.state())

    def state(self) -> dict:
        """What load() needs; plain types and tensors."""
        return {
            "network": self.network.snapshot(),
            "order": self.order,
            "decisions": [asdict(decision) for decision in self.decisions],
            "points": [asdict(point) for point in self.points],
            "epochs": self.epochs,
            "passes": self.passes,
            "finished": self.finished,
            "judged": self.judged,
        }

    def load(self, state: dict) -> None:
        """Continues from state()."""
        if missing := self.state().keys() - {"judged", "passes"} - state.keys():
            raise UsageError(f"resume: is no state that compress gave to save, it has no {min(missing)!r}; start anew")
        self.network.restore_(state["network"])
        self.order = list(state["order"])
        self.decisions = [
            Decision(**{**entry, "tries": tuple(Try(**t) for t in entry["tries"])}) for entry in state["decisions"]
        ]
        self.points = [Point(**point) for point in state["points"]]
        self.epochs = state["epochs"]
        self.passes = state.get("passes", self.epochs)
        self.finished = state["finished"]
        self.judged = state.get("judged")


def require_layers(options: CompressOptions, network: QuantNetwork) -> None:
    """UsageError for a name in `keep` or `ladders` that no layer has."""
    for option in ("keep", "ladders"):
        for name in getattr(options, option):
            if name not in network.compressible:
                raise UsageError(f"{option}: there is no layer {name!r}{closest(name, network.compressible)}")
