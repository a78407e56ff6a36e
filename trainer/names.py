"""Names that a user writes: found by import, or answered with the nearest known one."""

import difflib
import importlib
from collections.abc import Callable, Iterable

from lamella.errors import UsageError


def closest(name: str, known: Iterable[str]) -> str:
    """'; did you mean "x"?' for the nearest known name, else the list of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(known)}"


def imported(target: str, what: str) -> Callable:
    """The function behind "package.module:function"."""
    module_name, _, function = target.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), function, None)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{what} {target!r}: {module_name!r} cannot be imported ({error}); check PYTHONPATH") from None
    if not callable(found):
        raise UsageError(f"{what} {target!r}: {module_name} has no function {function!r}")
    return found
