"""The graph between importer and emitter: small frozen records, no behaviour.

Activations are uint8, planar; int8 at the edge of a model is the same value plus 128 inside. Where a network falls back to
float32, tensors have no quantisation.
Shapes are those of ONNX with the batch axis (axis 0) equal to 1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Quantization:
    """Real value = scale * (q - zero), q in 0..255; scale is the float32 value of the ONNX file."""

    scale: float
    zero: int


@dataclass(frozen=True)
class Tensor:
    """An activation: name, shape with batch 1, quantisation (None: float32 values), and how it lies in RAM."""

    name: str
    shape: tuple[int, ...]
    quantization: Quantization | None
    layout: str = "planar"

    @property
    def is_float(self) -> bool:
        """Whether it holds float32 values."""
        return self.quantization is None

    @property
    def bytes(self) -> int:
        """Bytes in RAM."""
        return prod(self.shape) * (4 if self.is_float else 1)


@dataclass(frozen=True)
class Sink:
    """Where a float result goes: quantisation and range (activation functions included) of the integer result."""

    quantization: Quantization
    low: int = 0
    high: int = 255
    raw: str = "uint8"  # integer type in the file


@dataclass(frozen=True)
class Requant:
    """How an accumulator becomes an activation (lamella.requant): multipliers and shifts of shape (1,) or (channels,)."""

    multiplier: np.ndarray
    shift: np.ndarray
    zero: int
    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """A way to run a node: C kernel, weight format, parameters, and what it takes.

    work: how often each named event happens during one inference, e.g. {"lam_add.value": 640}. What an event costs in
    instructions on a core is in the measured tables of lamella.codegen.cost; `instructions` is the sum, once priced.
    overwrites: the result may begin where the first input does, whatever their sizes.
    """

    kernel: str
    format: str | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)
    scratch_bytes: int = 0
    weight_bytes: int = 0
    work: Mapping[str, float] = field(default_factory=dict)
    instructions: float = 0.0
    reason: str = ""
    overwrites: bool = False


@dataclass(frozen=True)
class Node:
    """One operator: `op` names its record in codegen.operators, `attributes` is that record's frozen dataclass."""

    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Any
    choice: Choice | None = None


@dataclass(frozen=True)
class Port:
    """An input or output of the model: ONNX name, the tensor inside, element types outside ("float32", "uint8", "int8")
    and of the raw values ("uint8" or "int8", "float32" where there are no integers), and whether axis 0 is a batch of any size."""

    name: str
    tensor: str
    dtype: str
    raw_dtype: str

    @property
    def offset(self) -> int:
        """What is added to a raw integer to get the activation inside."""
        return 128 if self.raw_dtype == "int8" else 0


@dataclass(frozen=True)
class State:
    """What one call leaves to the next: the input `before` is the output `after` of the call before (names of ports), and
    `first` for the first call (values as they are inside, of the tensor's shape)."""

    before: str
    after: str
    first: np.ndarray


@dataclass(frozen=True)
class Graph:
    """A whole network; nodes in execution order. Inputs and outputs are all of the file's, those of states too."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    in_float: Mapping[str, str] = field(default_factory=dict)  # nodes of the file that run in float32, and why
    arithmetic: str = (
        "lamella"  # whose rounding: "lamella" (lamella.requant), "tflite" for that of TensorFlow Lite Micro
    )
    states: tuple[State, ...] = ()  # carried from call to call

    @property
    def caller_inputs(self) -> tuple[Port, ...]:
        """Inputs that the caller gives: all but those of states."""
        carried = {state.before for state in self.states}
        return tuple(port for port in self.inputs if port.name not in carried)

    @property
    def caller_outputs(self) -> tuple[Port, ...]:
        """Outputs that the caller gets: all but those of states."""
        carried = {state.after for state in self.states}
        return tuple(port for port in self.outputs if port.name not in carried)

    def tensor_of(self, port: Port) -> Tensor:
        """The tensor behind a port."""
        return self.tensors[port.tensor]

    def consumers(self, tensor: str) -> list[Node]:
        """Nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.inputs]


@dataclass(frozen=True)
class Placed:
    """A node where it runs: in which graph, how often for one inference, and inside which loop of the outer graph."""

    graph: Graph
    node: Node
    times: int = 1
    loop: Node | None = None


def body_of(node: Node) -> Graph | None:
    """The inner graph of a loop (operator scan); None for other nodes."""
    return getattr(node.attributes, "body", None)


def every_node(graph: Graph) -> Iterator[Placed]:
    """All nodes in execution order, those inside a loop before the loop itself."""
    for node in graph.nodes:
        body = body_of(node)
        for inner in body.nodes if body is not None else ():
            every = getattr(node.attributes, "periods", {}).get(inner.name, 1)
            yield Placed(body, inner, node.attributes.steps // every, node)
        yield Placed(graph, node)


@dataclass(frozen=True)
class Target:
    """What the generator must know of a board.

    core: names the cost tables. level: the compiler's optimisation, which selects one of them.
    features: what kernels may require of the core ("dsp", "mve", "long_multiply").
    haste: how many bytes of flash an instruction is worth where flash is what counts.
    """

    name: str
    core: str = "cortex-m4"
    level: str = "-O2"
    unaligned: bool = True
    features: frozenset[str] = frozenset()
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    haste: float = 2e-5  # fifty million instructions weigh as much as a kilobyte: nobody waits long for the last bytes
