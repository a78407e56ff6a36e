"""Networks that recipes can name: a module of this package with a function build() -> nn.Module is one."""

import importlib
import pkgutil
from collections.abc import Callable

from lamella.errors import UsageError
from lamella.trainer.names import closest, imported


def names() -> list[str]:
    """Names of the networks here."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def get(name: str) -> Callable:
    """The build function of a network here, or of "package.module:function"."""
    if ":" in name:
        return imported(name, "network")
    if name not in names():
        raise UsageError(f'network {name!r} is not known{closest(name, names())}; or give "package.module:function"')
    return importlib.import_module(f"{__name__}.{name}").build
