"""Rewrites of ONNX to the one form that the reader knows: every module of this folder that defines REWRITE."""

import importlib
import pkgutil
from functools import cache

import onnx

from lamella.codegen.rewrites.editor import Editor
from lamella.codegen.rewrites.record import Rewrite

__all__ = ["Rewrite", "rewrites", "rewritten"]


@cache
def rewrites() -> tuple[Rewrite, ...]:
    """All rewrites in the order in which they run."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return tuple(sorted((m.REWRITE for m in modules if hasattr(m, "REWRITE")), key=lambda r: (r.order, r.name)))


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model after all rewrites; the one given may be changed."""
    editor = Editor(model)
    for rewrite in rewrites():
        rewrite.apply(editor)
    return editor.finish()
