"""Passes over freshly traced nodes: what belongs to one kernel becomes one node. No torch."""

from dataclasses import dataclass, replace

from lamella.errors import UnsupportedError
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    LayerNode,
    MaxPoolNode,
    MultiplyNode,
    Node,
    SubtractNode,
    TransposeNode,
)
from lamella.trainer.recurrent import expand


@dataclass(frozen=True, kw_only=True)
class NormNode(Node):
    """A BatchNorm before it joins its layer."""

    path: str


@dataclass(frozen=True, kw_only=True)
class SameNode(Node):
    """Identity."""


@dataclass(frozen=True, kw_only=True)
class _OutputNode(Node):
    """Takes the output, so that it counts as a user and follows when nodes merge."""


_TAKES_CLIP = (LayerNode, AveragePoolNode, AddNode, SubtractNode, MultiplyNode, ConcatNode, ClipNode)


def simplify(nodes: list[Node], output: str) -> tuple[Node, ...]:
    """The nodes that `output` depends on, in order and `output` last, merged by the passes below."""
    nodes = [*nodes, _OutputNode(name="", inputs=(output,), shape=())]
    for one_pass in (_drop_identities, _set_whole_windows, _join_norms, _join_clips, expand):
        nodes = one_pass(nodes)
    return _reachable(nodes)


def _drop_identities(nodes: list[Node]) -> list[Node]:
    for node in [n for n in nodes if isinstance(n, SameNode)]:
        nodes = _without(nodes, node.name)
    while isinstance(last := _find(nodes, nodes[-1].inputs[0]), DropoutNode):  # of scores: of no use
        nodes = _without(nodes, last.name)
    return nodes


def _set_whole_windows(nodes: list[Node]) -> list[Node]:
    """Poolings over the whole image get its size as their window."""
    shapes = {node.name: node.shape for node in nodes}
    return [
        replace(node, kernel=tuple(shapes[node.inputs[0]][1:]))
        if isinstance(node, AveragePoolNode) and node.whole
        else node
        for node in nodes
    ]


def _join_norms(nodes: list[Node]) -> list[Node]:
    """Every BatchNorm joined to the layer before it, or turned into a layer of its own."""
    for norm in [n for n in nodes if isinstance(n, NormNode)]:
        before = _find(nodes, norm.inputs[0])
        free = isinstance(before, LayerNode) and before.path is not None and before.norm_path is None
        if free and _users(nodes, before.name) == 1:
            nodes = _replaced(_without(nodes, norm.name), replace(before, norm_path=norm.path))
        elif len(norm.shape) in (2, 3):
            base = {"name": norm.name, "inputs": norm.inputs, "shape": norm.shape, "groups": norm.shape[0]}
            rank = len(norm.shape) - 1
            window = {"kernel": (1,) * rank, "stride": (1,) * rank, "dilation": (1,) * rank, "pads": (0,) * 2 * rank}
            layer = LayerNode(**base, path=None, norm_path=norm.path, **window)
            nodes = _replaced(nodes, layer)
        else:
            raise UnsupportedError(
                f"BatchNorm1d {norm.path} does not follow a Linear or Conv1d layer; place it directly behind one"
            )
    return nodes


def _join_clips(nodes: list[Node]) -> list[Node]:
    """Activation functions taken in by the node that computes their input.

    One behind a max-pooling or a flatten moves before it: a maximum of clipped values is the clipped maximum.
    """
    for clip in [n for n in nodes if isinstance(n, ClipNode)]:
        taker = _find(nodes, clip.inputs[0])
        while isinstance(taker, (MaxPoolNode, FlattenNode, TransposeNode)) and _users(nodes, taker.name) == 1:
            taker = _find(nodes, taker.inputs[0])
        if isinstance(taker, _TAKES_CLIP) and _users(nodes, taker.name) == 1:
            nodes = _replaced(_without(nodes, clip.name), replace(taker, clip=taker.clip.then(clip.clip)))
    return nodes


def _without(nodes: list[Node], name: str) -> list[Node]:
    """Nodes without one; who took what it gave takes its input."""
    new = _find(nodes, name).inputs[0]
    kept = [node for node in nodes if node.name != name]
    return [replace(node, inputs=tuple(new if old == name else old for old in node.inputs)) for node in kept]


def _replaced(nodes: list[Node], new: Node) -> list[Node]:
    return [new if node.name == new.name else node for node in nodes]


def _find(nodes: list[Node], name: str) -> Node:
    return next(node for node in nodes if node.name == name)


def _users(nodes: list[Node], name: str) -> int:
    return sum(name in node.inputs for node in nodes)


def _reachable(nodes: list[Node]) -> tuple[Node, ...]:
    needed = set()
    for node in reversed(nodes):
        if node.name in needed or isinstance(node, _OutputNode):
            needed.update(node.inputs)
    kept = [node for node in nodes if node.name in needed]
    output = nodes[-1].inputs[0]
    return (*(n for n in kept if n.name != output), *(n for n in kept if n.name == output))
