"""Data sets that recipes can name: a module of this package with a function load(folder) -> Splits is one.

`folder` is what --data says, or None.
"""

import importlib
import pkgutil
from collections.abc import Callable

from lamella.errors import UsageError
from lamella.trainer.names import closest, imported

#: Modules of this package that are no data sets.
_TOOLS = ("cifar", "files", "idx", "splits")


def names() -> list[str]:
    """Names of the data sets here."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if info.name not in _TOOLS)


def get(name: str) -> Callable:
    """The load function of a data set here, or of "package.module:function"."""
    if ":" in name:
        return imported(name, "data")
    if name not in names():
        raise UsageError(f'data set {name!r} is not known{closest(name, names())}; or give "package.module:function"')
    return importlib.import_module(f"{__name__}.{name}").load
