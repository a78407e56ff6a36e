"""The ladder: ways to store a layer, and which of them a layer can afford.

A rung is a weight rule with the name that recipes call it by. Layers try the rungs of their ladder from the cheapest
upwards and stay on the first that keeps the network within its bound; above the last there is int8. What is cheap says
sizes.Prices: bytes, or what the code generator finds for a board.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lamella.errors import UsageError
from lamella.trainer.names import closest
from lamella.trainer.options import CompressOptions
from lamella.trainer.rules import WeightRule
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.rules.uniform import Uniform
from lamella.trainer.sizes import Price

#: Of Ternary Weight Networks (Li, Liu 2016): weights up to this share of mean |w| become zero.
DENSE_THRESHOLD = 0.7


def _sparse(options: CompressOptions) -> WeightRule:
    return Ternary(options.zeros, options.threshold, options.sigma, options.sigma_per_channel)


def _ternary(options: CompressOptions) -> WeightRule:
    return Ternary("mean", DENSE_THRESHOLD, options.sigma, options.sigma_per_channel)


#: Name to the rule under some options.
RUNGS: dict[str, Callable[[CompressOptions], WeightRule]] = {
    "sparse": _sparse,  # the method's own: zeros of pruning, or as the option `zeros` says
    "ternary": _ternary,  # about 40 % zeros, found anew at every step
    "sparse_int4": lambda options: Uniform(bits=4, masked=True),  # the zeros of pruning, the others of many sizes
    "int2": lambda options: Uniform(bits=2),
    "int4": lambda options: Uniform(bits=4),
}


@dataclass(frozen=True)
class Rung:
    """A way to store one layer, and what it takes before any training."""

    name: str
    rule: WeightRule
    price: Price


class Ladder:
    """The rungs of a run's options, for each layer. rule: stands in for the rule of every rung."""

    def __init__(self, options: CompressOptions, rule: WeightRule | None = None):
        def rules(names: tuple[str, ...], option: str) -> dict[str, WeightRule]:
            return {name: rule or rule_of(name, options, option) for name in names}

        self._rules = rules(options.ladder, "ladder")
        self._of_layers = {layer: rules(names, f"ladders: {layer}") for layer, names in options.ladders.items()}

    def first(self, layer: str) -> WeightRule:
        """The rule that is named first in the layer's ladder."""
        return next(iter(self._of(layer).values()))

    def rungs(self, layer: str, price_with: Callable[[WeightRule], Price], below: float) -> list[Rung]:
        """The rungs of a layer that cost less than `below`, cheapest first; price_with(rule): what the layer takes under it."""
        found = [Rung(name, rule, price_with(rule)) for name, rule in self._of(layer).items()]
        return sorted((rung for rung in found if rung.price.cost < below), key=lambda rung: rung.price.cost)

    def _of(self, layer: str) -> dict[str, WeightRule]:
        return self._of_layers.get(layer, self._rules)


def rule_of(name: str, options: CompressOptions, option: str = "ladder") -> WeightRule:
    """The rule of a rung; UsageError for an unknown name, which `option` holds."""
    if name not in RUNGS:
        raise UsageError(f"{option}: there is no rung {name!r}{closest(name, RUNGS)}; choose from {', '.join(RUNGS)}")
    return RUNGS[name](options)
