"""How ONNX operators are read as float32 operators: every module of this folder with READERS, by ONNX operator type.

A reader takes a lamella.codegen.onnx_floats.Floats and the node, and gives the node's outputs their operands.
"""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["readers"]


@cache
def readers() -> dict[str, Callable[[Any, Any], None]]:
    """Readers by ONNX operator type."""
    found: dict[str, Callable[[Any, Any], None]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        found |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "READERS", {})
    return dict(sorted(found.items()))
