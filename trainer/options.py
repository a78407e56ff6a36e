"""The options of compression, with their defaults and what each default takes from the method (docs/training.md). No torch."""

from dataclasses import dataclass, fields

from lamella.errors import UsageError
from lamella.trainer.names import closest


@dataclass(frozen=True)
class CompressOptions:
    """Options of lamella.trainer.compress and of [compress] in a recipe."""

    #: Largest loss of integer-mode accuracy on the validation split, in percentage points.
    max_drop: float = 1.0
    #: Fraction of zeros over all layers together, in [0, 1).
    sparsity: float = 0.9
    #: What to do when a layer breaks the bound: "stop", or "skip" it and try the next.
    on_violation: str = "stop"
    #: Ways to store a layer that is collapsed, from lamella.trainer.ladder; the cheapest within the bound is kept.
    ladder: tuple[str, ...] = ("sparse",)
    #: How significance is measured: "sparsity", "weights", "magnitude", "accuracy" or "hessian".
    order: str = "sparsity"
    #: Layers that are never collapsed.
    keep: tuple[str, ...] = ()
    #: Layers that are not collapsed: "dense" int8 (their pruned weights grow again from zero) or "pruned" int8.
    kept_layers: str = "dense"

    #: Epochs of fine-tuning with masks after pruning; thresholds on the way to `sparsity`, one at the start of an epoch.
    prune_epochs: int = 1
    prune_steps: int = 1
    #: Epochs after each collapse, and after the last (kept only if they do not cost accuracy).
    layer_epochs: int = 1
    final_epochs: int = 0

    #: Descent in every phase; see lamella.trainer.fit.Descent.
    learning_rate: float = 0.01
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    #: Share of the loss that follows the float network's softened scores, and their temperature.
    distill: float = 0.0
    temperature: float = 4.0

    #: Ternary weights: zeros from the pruning "mask" or found anew by "mean" (threshold * mean |w|) or "max".
    zeros: str = "mask"
    threshold: float = 0.7
    #: sigma "learned" by gradient or in "closed" form; one per layer or per output channel.
    sigma: str = "learned"
    sigma_per_channel: bool = False

    #: Ranges of activations: "learned" as step sizes, or "calibrated" only.
    activation_range: str = "learned"
    #: Training batches that ranges are found on.
    calibration_batches: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.max_drop >= 0, "max_drop", self.max_drop, "0 or more percentage points")
        _require(0 <= self.sparsity < 1, "sparsity", self.sparsity, "at least 0 and below 1")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        _require(0 <= self.distill <= 1, "distill", self.distill, "between 0 and 1")
        _require(self.temperature > 0, "temperature", self.temperature, "above 0")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(self.calibration_batches >= 1, "calibration_batches", self.calibration_batches, "1 or more")
        _require(len(self.ladder) >= 1, "ladder", list(self.ladder), "at least one rung")
        _require(self.prune_steps >= 1, "prune_steps", self.prune_steps, "1 or more")
        for name in ("prune_epochs", "layer_epochs", "final_epochs", "seed"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        if self.prune_steps > max(1, self.prune_epochs):
            raise UsageError(
                f"prune_steps = {self.prune_steps} needs as many epochs, prune_epochs is {self.prune_epochs}; "
                "raise prune_epochs or lower prune_steps"
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} = {getattr(self, name)!r} is not known; choose one of {', '.join(choices)}")


CHOICES = {
    "on_violation": ("stop", "skip"),
    "order": ("sparsity", "weights", "magnitude", "accuracy", "hessian"),
    "kept_layers": ("dense", "pruned"),
    "optimizer": ("sgd", "adam"),
    "zeros": ("mask", "mean", "max"),
    "sigma": ("learned", "closed"),
    "activation_range": ("learned", "calibrated"),
}


def options_from(values: dict) -> CompressOptions:
    """Options of keyword arguments; UsageError for a name that does not exist."""
    known = [field.name for field in fields(CompressOptions)]
    for name in values:
        if name not in known:
            raise UsageError(f"compress: option {name!r} does not exist{closest(name, known)}")
    return CompressOptions(**values)


def _require(holds: bool, name: str, value: object, range_text: str) -> None:
    if not holds:
        raise UsageError(f"{name} = {value} is out of range; it must be {range_text}")
