"""What a rewrite is: a small exact step from ONNX to ONNX before the reader sees the model."""

from collections.abc import Callable
from dataclasses import dataclass

from lamella.codegen.rewrites.editor import Editor


@dataclass(frozen=True)
class Rewrite:
    """A step. Rewrites run in ascending `order`; `apply` changes the graph through an Editor, every result unchanged."""

    name: str
    title: str
    order: int
    apply: Callable[[Editor], None]
