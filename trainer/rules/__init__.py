"""Weight rules: what a layer's weights are allowed to be. A module of this package that defines RULE is a rule.

A rule is a frozen dataclass of options. The layer holds the numbers: `weight` (float shadow), `mask` (bool) and
`extra` (parameters that the rule learns). A rule has

    name          how recipes, checkpoints and metrics call it
    collapsed     whether a layer under it counts as compressed
    start_(layer)                       sets up layer.extra
    weight(layer) -> Tensor             the weights of the forward pass, differentiable
    freeze(layer) -> (levels, scales)   int64 levels of the weight's shape and positive float64 scales,
                                        one per output channel or shape (1,): weight = levels * scale
    keep_valid_(layer)                  called after every step of the optimiser
"""

import importlib
import pkgutil
from dataclasses import asdict
from functools import cache
from typing import Protocol

import numpy as np
from torch import Tensor

from lamella.errors import UsageError


class WeightRule(Protocol):
    """What every rule offers; see the top of this file."""

    name: str
    collapsed: bool

    def start_(self, layer) -> None: ...
    def weight(self, layer) -> Tensor: ...
    def freeze(self, layer) -> tuple[np.ndarray, np.ndarray]: ...
    def keep_valid_(self, layer) -> None: ...


@cache
def rules() -> dict[str, type]:
    """Every rule by name."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.RULE.name: module.RULE for module in modules if hasattr(module, "RULE")}


def rule_to_dict(rule: WeightRule) -> dict:
    """Name and options, plain types only."""
    return {"name": rule.name, **asdict(rule)}


def rule_from_dict(options: dict) -> WeightRule:
    """The rule that rule_to_dict described."""
    options = dict(options)
    name = options.pop("name")
    if name not in rules():
        raise UsageError(f"weight rule {name!r} is not known; choose one of {', '.join(sorted(rules()))}")
    return rules()[name](**options)
