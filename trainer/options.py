"""The options of compression, with their defaults and what each default takes from the method (docs/training.md). No torch."""

from dataclasses import dataclass, field, fields
from numbers import Integral, Real

from lamella.errors import UsageError
from lamella.trainer.names import closest


@dataclass(frozen=True)
class CompressOptions:
    """Options of lamella.trainer.compress and of [compress] in a recipe."""

    #: Largest loss of integer-mode accuracy on the validation split, in percentage points.
    max_drop: float = 1.0
    #: Points that collapsing layers may lose beyond max_drop, for the final epochs to win back; the result is judged without.
    recover: float = 0.0
    #: Fraction of zeros over all layers together, in [0, 1).
    sparsity: float = 0.9
    #: What pruning ranks weights by, from lamella.trainer.saliency: "magnitude" or "obd".
    saliency: str = "magnitude"
    #: Pruning with one "global" threshold, or with one a layer that weighs loss against bits: "entropy".
    thresholds: str = "global"
    #: What to do when a layer breaks the bound: "stop", or "skip" it and try the next.
    on_violation: str = "stop"
    #: Ways to store a layer that is collapsed, from lamella.trainer.ladder; the cheapest within the bound is kept.
    ladder: tuple[str, ...] = ("sparse",)
    #: Ladders of single layers by name, in place of `ladder`.
    ladders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: How significance is measured: "sparsity", "weights", "magnitude", "accuracy" or "hessian".
    order: str = "sparsity"
    #: Layers that are never collapsed.
    keep: tuple[str, ...] = ()
    #: Layers that are not collapsed: "dense" int8 (their pruned weights grow again from zero) or "pruned" int8.
    kept_layers: str = "dense"

    #: Epochs of fine-tuning with masks after pruning; thresholds on the way to `sparsity`, one at the start of an epoch.
    prune_epochs: int = 1
    prune_steps: int = 1
    #: Epochs after each collapse, or a part of one; and after the last (kept only if they do not cost accuracy).
    layer_epochs: float = 1.0
    final_epochs: int = 0
    #: Learning rate of the last epochs; 0: as in the other phases.
    final_learning_rate: float = 0.0
    #: Data of the final epochs: "train" or "train+validation". validation_drop is then that before them.
    final_data: str = "train"

    #: Descent in every phase; see lamella.trainer.fit.Descent.
    learning_rate: float = 0.01
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    #: Share of the loss that follows the float network's softened scores, and their temperature.
    distill: float = 0.0
    temperature: float = 4.0

    #: Ternary weights: zeros from the pruning "mask"; as many as that but moving, in pruning too ("count"); or found anew
    #: by "mean" (threshold * mean |w|) or "max".
    zeros: str = "mask"
    threshold: float = 0.7
    #: sigma "learned" by gradient or in "closed" form; one per layer or per output channel.
    sigma: str = "learned"
    sigma_per_channel: bool = False

    #: Ranges of activations: "learned" as step sizes, or "calibrated" only.
    activation_range: str = "learned"
    #: Batches over which statistics of BatchNorm are averaged anew after every phase; 0: the running averages of training.
    norm_batches: int = 0
    #: Training batches that ranges are found on.
    calibration_batches: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for option in fields(self):
            if option.name != "ladders":
                _require_kind(getattr(self, option.name), option.default, option.name)
        if not isinstance(self.ladders, dict):
            raise UsageError(f"ladders must be a dict of layers and their ladders, not {self.ladders!r}")
        _require_kind(tuple(self.ladders), (), "ladders: layers")
        for name, rungs in self.ladders.items():
            _require_kind(rungs, (), f"ladders: {name}")
            _require(len(rungs) >= 1, f"ladders: {name}", list(rungs), "at least one rung")
        _require(self.max_drop >= 0, "max_drop", self.max_drop, "0 or more percentage points")
        _require(self.recover >= 0, "recover", self.recover, "0 or more percentage points")
        _require(0 <= self.sparsity < 1, "sparsity", self.sparsity, "at least 0 and below 1")
        _require(0 < self.learning_rate < HIGHEST_RATE, "learning_rate", self.learning_rate, "above 0, and finite")
        rate = self.final_learning_rate
        _require(0 <= rate < HIGHEST_RATE, "final_learning_rate", rate, "0 or more, and finite")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        _require(0 <= self.distill <= 1, "distill", self.distill, "between 0 and 1")
        _require(self.temperature > 0, "temperature", self.temperature, "above 0")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(self.calibration_batches >= 1, "calibration_batches", self.calibration_batches, "1 or more")
        _require(len(self.ladder) >= 1, "ladder", list(self.ladder), "at least one rung")
        _require(self.prune_steps >= 1, "prune_steps", self.prune_steps, "1 or more")
        for name in ("prune_epochs", "layer_epochs", "final_epochs", "norm_batches", "seed"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        if self.prune_steps > max(1, self.prune_epochs):
            raise UsageError(
                f"prune_steps = {self.prune_steps} needs as many epochs, prune_epochs is {self.prune_epochs}; "
                "raise prune_epochs or lower prune_steps"
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} = {getattr(self, name)!r} is not known; choose one of {', '.join(choices)}")
        if self.recover > 0 and (self.final_epochs == 0 or self.final_data != "train"):
            raise UsageError(
                f"recover = {self.recover:g} relies on final epochs that validation judges; raise final_epochs, now "
                f'{self.final_epochs}, and leave final_data at "train"'
            )
        if self.final_data != "train" and self.final_epochs == 0:
            raise UsageError(
                f"final_data = {self.final_data!r} has no effect without epochs; raise final_epochs, now 0"
            )

    @property
    def layer_drop(self) -> float:
        """Largest loss of validation accuracy, in points, with which a collapsed layer is kept."""
        return self.max_drop + self.recover


#: Torch takes no rate that float32 does not hold.
HIGHEST_RATE = 1e38

#: Names of torch's types for forward passes.
PRECISIONS = ("float32", "bfloat16")


def known_precision(name: str, value: str) -> None:
    """Refuses a precision that there is not; `name` says whose."""
    if value not in PRECISIONS:
        raise UsageError(f"{name} = {value!r} is not known; choose one of {', '.join(PRECISIONS)}")


CHOICES = {
    "saliency": ("magnitude", "obd"),
    "thresholds": ("global", "entropy"),
    "final_data": ("train", "train+validation"),
    "on_violation": ("stop", "skip"),
    "order": ("sparsity", "weights", "magnitude", "accuracy", "hessian"),
    "kept_layers": ("dense", "pruned"),
    "optimizer": ("sgd", "adam"),
    "zeros": ("mask", "count", "mean", "max"),
    "sigma": ("learned", "closed"),
    "activation_range": ("learned", "calibrated"),
}


def options_from(values: dict) -> CompressOptions:
    """Options of keyword arguments; UsageError for a name that does not exist."""
    known = [field.name for field in fields(CompressOptions)]
    for name in values:
        if name not in known:
            raise UsageError(f"compress: option {name!r} does not exist{closest(name, known)}")
    return CompressOptions(**{name: with_tuples(value) for name, value in values.items()})


def with_tuples(value: object) -> object:
    """A tuple for a list, also where it is a value of a dict: as options hold them."""
    if isinstance(value, dict):
        return {key: with_tuples(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _require_kind(value: object, default: object, name: str) -> None:
    """UsageError unless a value is of the kind of its default."""
    kind, text = next((k, t) for of, k, t in _KINDS if isinstance(default, of))
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and not isinstance(default, bool))
    if wrong or (kind is tuple and not all(isinstance(item, str) for item in value)):
        raise UsageError(f"{name} must be {text}, not {value!r}")


#: Type of a default, what an option of it may be, and in words.
_KINDS = (
    (bool, bool, "True or False"),
    (int, Integral, "an integer"),
    (float, Real, "a number"),
    (str, str, "a string"),
    (tuple, tuple, "a tuple of strings"),
)


def _require(holds: bool, name: str, value: object, range_text: str) -> None:
    if not holds:
        raise UsageError(f"{name} = {value} is out of range; it must be {range_text}")
