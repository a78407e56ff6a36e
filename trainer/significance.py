"""Step 2: how much each layer matters. The least significant is collapsed first.

A measure gives one number a layer, small where the layer matters little. Ties: the larger layer first.
"""

from collections.abc import Callable

from lamella.errors import UsageError
from lamella.trainer.network import QuantNetwork
from lamella.trainer.prune import mask_sparsity

#: Validation accuracy when one layer alone is collapsed, without training.
CollapsedAccuracy = Callable[[str], float]
Measure = Callable[[QuantNetwork, CollapsedAccuracy], dict[str, float]]


def _density(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy) -> dict[str, float]:
    return {name: 1.0 - sparsity for name, sparsity in mask_sparsity(network).items()}


def _fewer_weights(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy) -> dict[str, float]:
    return {name: -float(network.layers[name].weight.numel()) for name in network.compressible}


def _magnitude(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy) -> dict[str, float]:
    return {name: float(network.layers[name].weight.detach().abs().mean()) for name in network.compressible}


def _accuracy_drop(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy) -> dict[str, float]:
    return {name: -collapsed_accuracy(name) for name in network.compressible}


MEASURES: dict[str, Measure] = {
    "sparsity": _density,  # of the layer after pruning: the method's own
    "weights": _fewer_weights,  # many weights: insignificant
    "magnitude": _magnitude,  # small mean |w|: insignificant
    "accuracy": _accuracy_drop,  # small loss when collapsed alone: insignificant
}


def order_layers(network: QuantNetwork, measure: str, collapsed_accuracy: CollapsedAccuracy) -> list[str]:
    """Names of the compressible layers, least significant first."""
    if measure not in MEASURES:
        raise UsageError(f"order {measure!r} is not known; choose one of {', '.join(MEASURES)}")
    scores = MEASURES[measure](network, collapsed_accuracy)
    return sorted(scores, key=lambda name: (scores[name], -network.layers[name].weight.numel()))
