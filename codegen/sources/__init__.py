"""Kinds of model files: every module of this folder that defines SOURCE. Each gives an ONNX model in QDQ form."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path

import onnx

from lamella.codegen.sources.record import Source
from lamella.errors import UsageError

__all__ = ["Source", "parse", "sources"]


@cache
def sources() -> tuple[Source, ...]:
    """All kinds in the order in which they are asked: by name, fallbacks last."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    found = [m.SOURCE for m in modules if hasattr(m, "SOURCE")]
    return tuple(sorted(found, key=lambda s: (s.fallback, s.name)))


def parse(path: Path) -> onnx.ModelProto:
    """A model file of any kind, recognised by its first bytes, as ONNX."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with path.open("rb") as file:
        beginning = file.read(16)
    kind = next((s for s in sources() if s.is_mine(beginning)), None)
    if kind is None:
        names = ", ".join(s.name for s in sources())
        raise UsageError(f"{path}: not a model file of a known kind ({names}); export it again")
    return kind.parse(path)
