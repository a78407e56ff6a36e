"""What an operator is to the code generator: one record, defined in one file of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lamella.codegen.ir import Graph, Node


def _never_read(reader: Any, node: Any) -> None:
    raise TypeError("this operator reads no node of a file")


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator of the generator.

    onnx: ONNX operator types it reads, none for operators that passes or other readers make. read: appends nodes to a
    lamella.codegen.import_onnx.Reader.
    reference: exact integer result in PyTorch, uint8 tensors with a batch of any size in, one out.
    macs: multiply-accumulates of a node for one sample.
    sample: a random graph of this operator alone, from a source of choices (see tests/codegen/draw.py).
    is_view: the output is the input's memory under another shape; no kernel.
    What runs it are the kernels of lamella.codegen.kernels that name it.
    """

    name: str
    title: str
    onnx: tuple[str, ...] = ()
    read: Callable[[Any, Any], None] = _never_read
    reference: Callable[[Graph, Node, list[Any]], Any]
    sample: Callable[[Any], Graph]
    macs: Callable[[Graph, Node], int] = lambda graph, node: 0
    in_place: bool = False
    is_view: bool = False
    #: The result takes the place of the first input, whoever else has a claim on it: a state carried from step to step.
    replaces: bool = False
    #: The inputs lie in the result, one behind the other, from the moment they are made; no kernel.
    holds_inputs: bool = False
    #: Its descriptors in C give sizes in 16 bits.
    short_sizes: bool = False
    #: Of a view: bytes between the beginning of the input and its own.
    view_offset: Callable[[Node], int] = lambda node: 0
    #: Quantised values pass unchanged, so that QuantizeLinear may move across it (import_onnx.Reader.sink).
    keeps_quantization: bool = False
    #: Attributes as a list of (label, text) for reports.
    details: Callable[[Graph, Node], str] = lambda graph, node: ""
