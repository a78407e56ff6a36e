"""Step 2: how much each layer matters. The least significant is collapsed first.

A measure gives one number a layer, small where the layer matters little. Ties: the larger layer first.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.network import QuantNetwork
from lamella.trainer.prune import mask_sparsity

#: Validation accuracy when one layer alone is collapsed, without training.
CollapsedAccuracy = Callable[[str], float]
#: Batches of (inputs, labels) of the training split.
Batches = Iterable[tuple[Tensor, Tensor]]
Measure = Callable[[QuantNetwork, CollapsedAccuracy, Batches], dict[str, float]]

#: Random vectors that an estimate of the Hessian's trace averages over, for each batch.
PROBES = 4


def _density(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy, batches: Batches) -> dict[str, float]:
    return {name: 1.0 - sparsity for name, sparsity in mask_sparsity(network).items()}


def _fewer_weights(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy, batches: Batches) -> dict[str, float]:
    return {name: -float(network.layers[name].weight.numel()) for name in network.compressible}


def _magnitude(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy, batches: Batches) -> dict[str, float]:
    return {name: float(network.layers[name].weight.detach().abs().mean()) for name in network.compressible}


def _accuracy_drop(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy, batches: Batches) -> dict[str, float]:
    return {name: -collapsed_accuracy(name) for name in network.compressible}


def _hessian(network: QuantNetwork, collapsed_accuracy: CollapsedAccuracy, batches: Batches) -> dict[str, float]:
    counts = {name: network.layers[name].weight.numel() for name in network.compressible}
    return {name: trace / counts[name] for name, trace in hessian_traces(network, batches).items()}


def hessian_traces(network: QuantNetwork, batches: Batches, probes: int = PROBES, seed: int = 0) -> dict[str, float]:
    """Trace of the Hessian of the mean loss for each compressible layer's weights, by Hutchinson's estimator.

    For random signs v the expectation of v' H v is the trace. Rounding counts as the identity, as in training.
    """
    names = network.compressible
    weights = [network.layers[name].weight for name in names]
    traces, count = dict.fromkeys(names, 0.0), 0
    generator = torch.Generator().manual_seed(seed)
    was_training = network.training
    network.eval()
    for x, y in batches:
        gradients = torch.autograd.grad(F.cross_entropy(network(x), y), weights, create_graph=True)
        for _ in range(probes):
            # One layer's signs are independent of another's: the blocks between layers have expectation zero.
            signs = [torch.randint(0, 2, w.shape, generator=generator).to(w.dtype) * 2 - 1 for w in weights]
            along = sum((g * v).sum() for g, v in zip(gradients, signs, strict=True))
            products = torch.autograd.grad(along, weights, retain_graph=True)
            for name, v, product in zip(names, signs, products, strict=True):
                traces[name] += float((v * product).sum())
            count += 1
    network.train(was_training)
    return {name: total / count for name, total in traces.items()}


MEASURES: dict[str, Measure] = {
    "sparsity": _density,  # of the layer after pruning: the method's own
    "weights": _fewer_weights,  # many weights: insignificant
    "magnitude": _magnitude,  # small mean |w|: insignificant
    "accuracy": _accuracy_drop,  # small loss when collapsed alone: insignificant
    "hessian": _hessian,  # small trace of the Hessian per weight, a flat loss: insignificant
}


def order_layers(
    network: QuantNetwork, measure: str, collapsed_accuracy: CollapsedAccuracy, batches: Batches = ()
) -> list[str]:
    """Names of the compressible layers, least significant first. batches: of the training split, for "hessian"."""
    if measure not in MEASURES:
        raise UsageError(f"order {measure!r} is not known; choose one of {', '.join(MEASURES)}")
    scores = MEASURES[measure](network, collapsed_accuracy, batches)
    return sorted(scores, key=lambda name: (scores[name], -network.layers[name].weight.numel()))
