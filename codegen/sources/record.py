"""What a kind of model file is to the importer: one record, defined in one file of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx


@dataclass(frozen=True)
class Source:
    """A kind of file.

    is_mine: whether a file begins like one, from its first 16 bytes. parse: the file as a QDQ ONNX model; raises UsageError
    for a damaged file and UnsupportedError for what the kind allows and we do not. A fallback is asked last.
    """

    name: str
    title: str
    is_mine: Callable[[bytes], bool]
    parse: Callable[[Path], onnx.ModelProto]
    fallback: bool = False
