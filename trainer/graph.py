"""The network as the trainer sees it: a list of nodes in the order of execution. No torch.

A node is what becomes one kernel: a convolution with its BatchNorm and activation function is one LayerNode.
Shapes leave the batch axis out.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """Range of an activation function: ReLU is (0, None), ReLU6 is (0, 6)."""

    low: float | None = None
    high: float | None = None

    def then(self, other: "Clip") -> "Clip":
        """One clip that does what this one and then the other do."""
        bounds = [bound for bound in (self.low, other.low) if bound is not None]
        low = max(bounds) if bounds else None
        bounds = [bound for bound in (self.high, other.high) if bound is not None]
        return Clip(low, min(bounds) if bounds else None)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One step; `inputs` are names of earlier nodes, `shape` is what it gives."""

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    clip: Clip = Clip()


@dataclass(frozen=True, kw_only=True)
class InputNode(Node):
    """The network's only input."""


@dataclass(frozen=True, kw_only=True)
class LayerNode(Node):
    """Convolution (kernel set: one extent along sequences, two over images) or fully connected layer (kernel None).

    path, norm_path: where the source model holds the layer and its BatchNorm; path None: a BatchNorm standing alone,
    which becomes a depthwise 1x1 convolution and is never compressed. weight, bias: their names in the source layer.
    pads: all begins, then all ends (top, left, bottom, right).
    """

    path: str | None
    norm_path: str | None = None
    weight: str = "weight"
    bias: str = "bias"
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] = (1, 1)
    dilation: tuple[int, ...] = (1, 1)
    pads: tuple[int, ...] = (0, 0, 0, 0)
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class MaxPoolNode(Node):
    """Largest value of a window; padding is left out."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class AveragePoolNode(Node):
    """Mean of a window. count_padding: the padding counts as pixels of value 0.

    whole: one window as large as the image or sequence; the shape is then (channels, 1, 1) or (channels, 1), or (channels,).
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0, 0)
    count_padding: bool = True
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class AddNode(Node):
    """Sum of two tensors of one shape."""


@dataclass(frozen=True, kw_only=True)
class SubtractNode(Node):
    """The first input less the second, of one shape."""


@dataclass(frozen=True, kw_only=True)
class MultiplyNode(Node):
    """Product of two tensors of one shape, element by element."""


@dataclass(frozen=True, kw_only=True)
class FunctionNode(Node):
    """A function of each value, by its name in trainer.functions; parameter is a float32 value."""

    function: str
    parameter: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SliceNode(Node):
    """A run of the last axis, from `start` on, as long as the shape says."""

    start: int


@dataclass(frozen=True, kw_only=True)
class TransposeNode(Node):
    """(length, channels) to (channels, length) or back."""


@dataclass(frozen=True, kw_only=True)
class StepNode(Node):
    """Inside a loop: the present step of the loop's input, which is what `inputs` name."""


@dataclass(frozen=True, kw_only=True)
class StateNode(Node):
    """Inside a loop: what `next` gave in the step before; zero at first."""

    next: str


@dataclass(frozen=True, kw_only=True)
class ScanNode(Node):
    """A recurrent layer: the nodes of `body` for each step of the input (steps, features), in the order of execution.

    It gives what `result` gave in the last step, or in all (sequence): then its shape is (steps, ...). Nodes of all bodies
    and of the graph have names of their own.
    """

    body: tuple[Node, ...]
    result: str
    sequence: bool

    @property
    def states(self) -> tuple[StateNode, ...]:
        """What goes from step to step."""
        return tuple(node for node in self.body if isinstance(node, StateNode))


@dataclass(frozen=True, kw_only=True)
class ConcatNode(Node):
    """Inputs side by side along the channels."""


@dataclass(frozen=True, kw_only=True)
class ClipNode(Node):
    """An activation function that no other node could take in."""


@dataclass(frozen=True, kw_only=True)
class FlattenNode(Node):
    """All axes but the batch as one."""


@dataclass(frozen=True, kw_only=True)
class DropoutNode(Node):
    """Identity outside training."""

    probability: float


@dataclass(frozen=True, kw_only=True)
class SoftmaxNode(Node):
    """Softmax over the classes; only as the last node."""


#: Nodes that only move values: what they give has the quantisation of what they take.
PASSING = (MaxPoolNode, FlattenNode, DropoutNode, SliceNode, TransposeNode, StepNode)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of execution; the last one is the output. Iteration leaves out what is inside loops.

    log_scores: the model ends in a LogSoftmax, which training sees; it changes no order of scores, and no node stands for it.
    """

    nodes: tuple[Node, ...]
    log_scores: bool = False

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.every if node.name == name)

    @property
    def every(self) -> tuple[Node, ...]:
        """All nodes, those inside a loop before the loop itself."""
        return tuple(one for node in self.nodes for one in (*(node.body if isinstance(node, ScanNode) else ()), node))

    @property
    def input(self) -> InputNode:
        """The input node."""
        return next(node for node in self.nodes if isinstance(node, InputNode))

    @property
    def output(self) -> Node:
        """The node whose value leaves the network."""
        return self.nodes[-1]

    @property
    def layers(self) -> tuple[LayerNode, ...]:
        """Nodes with weights."""
        return tuple(node for node in self.every if isinstance(node, LayerNode))

    @property
    def quantised(self) -> tuple[Node, ...]:
        """Nodes that choose a quantisation of their own for what they give."""
        return tuple(node for node in self.every if not isinstance(node, (*PASSING, StateNode, ScanNode)))

    def users(self, name: str) -> tuple[Node, ...]:
        """Nodes that take what `name` gives."""
        return tuple(node for node in self.every if name in node.inputs)

    def source(self, name: str) -> Node:
        """The node that chose the quantisation of what `name` gives."""
        node = self[name]
        while isinstance(node, (*PASSING, StateNode, ScanNode)):
            followed = {StateNode: "next", ScanNode: "result"}.get(type(node))
            node = self[getattr(node, followed) if followed else node.inputs[0]]
        return node

    def pools_behind(self, name: str) -> tuple[MaxPoolNode, ...]:
        """Max-poolings that alone take what `name` gives, one behind the other.

        Rounding and clipping never change an order, so they may as well come after these poolings, on fewer values.
        """
        pools: list[MaxPoolNode] = []
        while len(users := self.users(name)) == 1 and isinstance(users[0], MaxPoolNode):
            pools.append(users[0])
            name = users[0].name
        return tuple(pools)
