"""How much each weight matters for the loss: what pruning ranks weights by. Large where a weight matters."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from lamella.errors import UsageError
from lamella.trainer.names import closest
from lamella.trainer.network import QuantNetwork

#: Samples whose gradients are taken together.
SAMPLES_AT_ONCE = 16
#: Share of the layer's mean curvature that every weight gets: where it is 0 (a dead input), magnitude decides.
LEAST_CURVATURE = 1e-6

Saliency = Callable[[QuantNetwork, Iterable[Tensor]], dict[str, Tensor]]


def magnitude(network: QuantNetwork, inputs: Iterable[Tensor]) -> dict[str, Tensor]:
    """|w|."""
    return {name: network.layers[name].weight.detach().abs() for name in network.compressible}


def obd(network: QuantNetwork, inputs: Iterable[Tensor]) -> dict[str, Tensor]:
    """h w^2 / 2, h the diagonal of the Hessian (Optimal Brain Damage: LeCun, Denker, Solla 1990) in Gauss-Newton form."""
    scores = {}
    for name, h in fisher_diagonal(network, inputs).items():
        h = h + LEAST_CURVATURE * h.mean() + torch.finfo(h.dtype).tiny
        scores[name] = h * network.layers[name].weight.detach().square() / 2
    return scores


def fisher_diagonal(network: QuantNetwork, inputs: Iterable[Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Diagonal of the Fisher matrix, which for cross-entropy is that of the Gauss-Newton matrix, per compressible layer.

    Labels are drawn from the network's own scores: gradients of samples then have mean zero and are independent, so
    the squared gradient of n samples' summed loss has the sum of their squares as its expectation.
    """
    names = network.compressible
    weights = [network.layers[name].weight for name in names]
    total, samples = [torch.zeros_like(weight) for weight in weights], 0
    generator = torch.Generator().manual_seed(seed)
    was_training = network.training
    network.eval()
    for batch in inputs:
        for x in batch.split(SAMPLES_AT_ONCE):
            scores = network(x.to(weights[0].device))
            # Drawn on the CPU: the generator is there.
            labels = torch.multinomial(scores.detach().cpu().softmax(1), 1, generator=generator)[:, 0]
            loss = F.cross_entropy(scores, labels.to(scores.device), reduction="sum")
            for sums, grad in zip(total, torch.autograd.grad(loss, weights), strict=True):
                sums += grad.square()
            samples += len(x)
    network.train(was_training)
    return {name: sums / samples for name, sums in zip(names, total, strict=True)}


SALIENCIES: dict[str, Saliency] = {"magnitude": magnitude, "obd": obd}


def saliency_of(name: str) -> Saliency:
    """A measure by name; UsageError where there is none."""
    if name not in SALIENCIES:
        raise UsageError(f"saliency {name!r} is not known{closest(name, SALIENCIES)}")
    return SALIENCIES[name]
