"""What an operator is to the code generator: one record, defined in one file of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lamella.codegen.ir import Graph, Node


@dataclass(frozen=True)
class Operator:
    """An operator of the generator.

    onnx: ONNX operator types it reads. read: appends nodes to a lamella.codegen.import_onnx.Reader.
    reference: exact integer result in PyTorch, uint8 tensors with a batch of any size in, one out.
    macs: multiply-accumulates of a node for one sample.
    sample: a random graph of this operator alone, from a source of choices (see tests/codegen/draw.py).
    is_view: the output is the input's memory under another shape; no kernel.
    What runs it are the kernels of lamella.codegen.kernels that name it.
    """

    name: str
    title: str
    onnx: tuple[str, ...]
    read: Callable[[Any, Any], None]
    reference: Callable[[Graph, Node, list[Any]], Any]
    sample: Callable[[Any], Graph]
    macs: Callable[[Graph, Node], int] = lambda graph, node: 0
    in_place: bool = False
    is_view: bool = False
    #: Of a view: bytes between the beginning of the input and its own.
    view_offset: Callable[[Node], int] = lambda node: 0
    #: Quantised values pass unchanged, so that QuantizeLinear may move across it (import_onnx.Reader.sink).
    keeps_quantization: bool = False
    #: Attributes as a list of (label, text) for reports.
    details: Callable[[Graph, Node], str] = lambda graph, node: ""
