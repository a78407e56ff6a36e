"""Operators the generator knows: every module of this folder that defines OPERATOR."""

import importlib
import pkgutil
from functools import cache

from lamella.codegen.operators.record import Operator

__all__ = ["Operator", "by_onnx_type", "get", "operators"]


@cache
def operators() -> dict[str, Operator]:
    """All operators by name, in alphabetical order."""
    found = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        record = getattr(importlib.import_module(f"{__name__}.{module.name}"), "OPERATOR", None)
        if record is not None:
            found[record.name] = record
    return found


def get(name: str) -> Operator:
    """The operator of that name."""
    return operators()[name]


@cache
def by_onnx_type() -> dict[str, Operator]:
    """Operators by the ONNX operator type they read."""
    return {onnx_type: operator for operator in operators().values() for onnx_type in operator.onnx}
