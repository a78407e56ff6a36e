"""Methods of compression, to be compared. A module of this package that defines METHODS has some; see method.py."""

import importlib
import pkgutil
from functools import cache

from lamella.errors import UsageError
from lamella.trainer.methods.method import Method
from lamella.trainer.names import closest

__all__ = ["Method", "get", "methods"]


@cache
def _registry() -> dict[str, Method]:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [method for module in modules for method in getattr(module, "METHODS", ())]
    return {method.name: method for method in sorted(found, key=lambda method: (method.year, method.name))}


def methods() -> dict[str, Method]:
    """Every method by name, the oldest first."""
    return dict(_registry())


def get(name: str) -> Method:
    """The method of that name; UsageError where there is none."""
    if name not in _registry():
        raise UsageError(f"there is no method {name!r}{closest(name, _registry())}")
    return _registry()[name]
