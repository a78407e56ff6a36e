"""Weight formats. A module of this package that defines FORMAT is a format: there is no other list to edit."""

import importlib
import pkgutil
from functools import cache

from lamella.errors import UsageError
from lamella.formats.record import WeightFormat

__all__ = ["WeightFormat", "formats", "get"]


@cache
def _registry() -> dict[str, WeightFormat]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {record.name: record for record in sorted(found, key=lambda record: record.name)}


def formats() -> dict[str, WeightFormat]:
    """Every weight format by name, in the order of the names."""
    return dict(_registry())


def get(name: str) -> WeightFormat:
    """The format called `name`; UsageError where there is none."""
    if name not in _registry():
        raise UsageError(f"weight format {name!r} is not known; choose one of {', '.join(_registry())}")
    return _registry()[name]
