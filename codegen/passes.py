"""Graph to graph: what is folded and fused, and which kernel and format each layer gets. The order is the list below."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lamella.codegen import operators, order, stream_search
from lamella.codegen.ir import Graph, Node, Requant, Target, body_of
from lamella.codegen.operators import slice as slicing
from lamella.codegen.operators.conv2d import Conv2d, Pool
from lamella.codegen.operators.scan import Scan
from lamella.codegen.operators.section import ALIGN, Section


def lower(graph: Graph, target: Target, optimize: str, by_row: bool = False, arena: int | None = None) -> Graph:
    """The graph as it will be emitted: every node that runs has a kernel. by_row: the input arrives row by row. arena: bytes
    that tensors and scratch may take."""
    return stream_search.choose_with_strips(_simplified(graph), target, optimize, by_row, arena)


def _simplified(graph: Graph) -> Graph:
    """All passes, over the bodies of loops as well."""
    for run in PASSES:
        graph = run(graph)
    nodes = [
        node
        if (body := body_of(node)) is None
        else replace(node, attributes=replace(node.attributes, body=_simplified(body)))
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def remove_unused(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed = {port.tensor for port in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed.update(node.inputs)
    tensors = needed | {port.tensor for port in graph.inputs}
    return replace(
        graph, nodes=tuple(reversed(kept)), tensors={name: t for name, t in graph.tensors.items() if name in tensors}
    )


def cancel_views(graph: Graph) -> Graph:
    """A view of a view looks at what that one looked at; a view that changes nothing is left out."""
    origin: dict[str, str] = {}
    same: dict[str, str] = {}
    outputs = {port.tensor for port in graph.outputs}
    nodes = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(same.get(name, name) for name in node.inputs))
        if node.op == "reshape":
            source = origin.get(node.inputs[0], node.inputs[0])
            node = replace(node, inputs=(source,))
            origin[node.output] = source
            if graph.tensors[source].shape == graph.tensors[node.output].shape and node.output not in outputs:
                same[node.output] = source
                continue
        nodes.append(node)
    return remove_unused(replace(graph, nodes=tuple(nodes)))


def find_sections(graph: Graph) -> Graph:
    """A slice that lies in one piece, and where kernels may read words, needs no copy."""

    def section(node: Node) -> Node:
        if node.op != "slice":
            return node
        runs, _, start, _ = slicing.runs(graph, node)
        return replace(node, op="section", attributes=Section(start)) if runs == 1 and start % ALIGN == 0 else node

    return replace(graph, nodes=tuple(section(node) for node in graph.nodes))


def take_last_steps(graph: Graph) -> Graph:
    """A loop of whose sequence only the last step is read gives that alone, and the sequence never lies in RAM."""
    makers = {node.output: node for node in graph.nodes}
    outputs = {port.tensor for port in graph.outputs}
    for part in graph.nodes:
        if part.op not in ("slice", "section"):
            continue
        loop, chain = makers.get(part.inputs[0]), [part]
        while loop is not None and loop.op == "reshape" and len(graph.consumers(loop.output)) == 1:
            chain.append(loop)
            loop = makers.get(loop.inputs[0])
        if (
            loop is None
            or loop.op != "scan"
            or len(graph.consumers(loop.output)) != 1
            or len(loop.attributes.results) > 1
        ):
            continue
        inside = {node.inputs[0] for node in chain}
        (result,) = loop.attributes.results
        if result.sequence and not inside & outputs and _is_last_step(graph, part, loop.attributes):
            attributes = replace(loop.attributes, results=(replace(result, sequence=False, backwards=False),))
            taken = replace(loop, output=part.output, attributes=attributes)
            nodes = tuple(taken if n is loop else n for n in graph.nodes if n not in chain)
            return take_last_steps(remove_unused(replace(graph, nodes=nodes)))
    return graph


def _is_last_step(graph: Graph, part: Node, loop: Scan) -> bool:
    """Whether a part of a loop's sequence is what its last step gave."""
    start, size = part.attributes.start, graph.tensors[part.output].bytes
    if part.op == "slice":
        runs, _, start, _ = slicing.runs(graph, part)
        if runs != 1:
            return False
    (result,) = loop.results
    step = loop.body.tensor_of(loop.body.outputs[result.output]).bytes
    return (start, size) == (0 if result.backwards else (loop.steps - 1) * step, step)


def fold_pads(graph: Graph) -> Graph:
    """A padding with the zero point moves into the convolution behind it."""

    def fold(graph: Graph, pad: Node, node: Node) -> Node | None:
        if pad.op != "pad2d" or node.op != "conv2d":
            return None
        if pad.attributes.value != graph.tensors[pad.inputs[0]].quantization.zero:
            return None
        window = node.attributes.window
        pads = tuple(a + b for a, b in zip(window.pads, pad.attributes.pads, strict=True))
        return replace(node, inputs=pad.inputs, attributes=replace(node.attributes, window=replace(window, pads=pads)))

    return _merge(graph, fold, keep="second")


def fold_clamps(graph: Graph) -> Graph:
    """A Relu or Clip without change of scale becomes the range of the operator before it, across maximum pooling."""

    def fold(graph: Graph, before: Node, node: Node) -> Node | None:
        if node.op != "rescale" or not _only_clamps(graph, node):
            return None
        q = node.attributes.requant
        if (
            before.op in ("conv2d", "dense", "avgpool2d", "rescale")
            and getattr(before.attributes, "pool", None) is None
        ):
            old: Requant = before.attributes.requant
            narrowed = replace(old, low=max(old.low, q.low), high=min(old.high, q.high))
            return replace(before, output=node.output, attributes=replace(before.attributes, requant=narrowed))
        if before.op == "add":
            a = before.attributes
            return replace(
                before, output=node.output, attributes=replace(a, low=max(a.low, q.low), high=min(a.high, q.high))
            )
        return None

    def swap(graph: Graph) -> Graph:
        """Maximum pooling, then clamping: the same as clamping, then pooling."""
        for k, node in enumerate(graph.nodes):
            before = _only_producer(graph, node)
            if node.op != "rescale" or before is None or before.op != "maxpool2d" or not _only_clamps(graph, node):
                continue
            middle = replace(graph.tensors[before.inputs[0]], name=f"{node.output}_clamped")
            tensors = {**graph.tensors, middle.name: middle}
            first = replace(node, inputs=before.inputs, output=middle.name)
            second = replace(before, inputs=(middle.name,), output=node.output)
            nodes = [n for n in graph.nodes if n is not before]
            nodes[k - 1 : k] = [first, second]
            return remove_unused(replace(graph, tensors=tensors, nodes=tuple(nodes)))
        return graph

    while True:
        after = _merge(swap(graph), fold, keep="first")
        if _ops(after) == _ops(graph):
            return after
        graph = after


def fuse_pooling(graph: Graph) -> Graph:
    """A pooling whose windows do not overlap moves into the convolution before it: its input never lies in RAM."""

    def fold(graph: Graph, conv: Node, node: Node) -> Node | None:
        if conv.op != "conv2d" or conv.attributes.pool is not None or node.op not in ("maxpool2d", "avgpool2d"):
            return None
        a, w = node.attributes, node.attributes.window
        rows, cols = graph.tensors[conv.output].shape[2:]
        shape = graph.tensors[node.output].shape
        if (
            len(shape) != 4
            or any(w.pads)
            or w.dilation != (1, 1)
            or any(s < k for s, k in zip(w.stride, w.kernel, strict=True))
        ):
            return None
        if shape[2:] != w.out_size((rows, cols)) or getattr(a, "by_count", False):
            return None
        if node.op == "avgpool2d" and shape[2:] == (1, 1) and conv.attributes.pixel_by_pixel:
            return None  # its pixels lie one behind the other: faster in one run, and it can work where its input lies
        pool = Pool("max", w) if node.op == "maxpool2d" else Pool("average", w, a.requant)
        return replace(conv, output=node.output, attributes=replace(conv.attributes, pool=pool))

    return _merge(graph, fold, keep="first")


PASSES: tuple[Callable[[Graph], Graph], ...] = (
    remove_unused,
    cancel_views,
    fold_pads,
    fold_clamps,
    fuse_pooling,
    take_last_steps,
    find_sections,
    remove_unused,
    order.best_order,
)


def _ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def _only_clamps(graph: Graph, node: Node) -> bool:
    """Whether a rescaling leaves every value of its range as it is."""
    q: Requant = node.attributes.requant
    same = graph.tensors[node.inputs[0]].quantization == graph.tensors[node.output].quantization
    return same and int(q.multiplier[0]) == 1 << int(q.shift[0])


def _only_producer(graph: Graph, node: Node) -> Node | None:
    """The node that made the input of a node, if nothing else reads that tensor."""
    if len(node.inputs) != 1:
        return None
    name = node.inputs[0]
    if any(port.tensor == name for port in graph.outputs) or len(graph.consumers(name)) != 1:
        return None
    return next((n for n in graph.nodes if n.output == name), None)


def _merge(graph: Graph, fold: Callable[[Graph, Node, Node], Node | None], keep: str) -> Graph:
    """Replace pairs (producer, only consumer) by what `fold` makes of them, until it makes nothing more.

    `keep` says whose place in the order, and whose name, the result has.
    """
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            before = _only_producer(graph, node)
            merged = fold(graph, before, node) if before is not None else None
            if merged is None:
                continue
            at, gone = (before, node) if keep == "first" else (node, before)
            nodes = tuple(merged if n is at else n for n in graph.nodes if n is not gone)
            graph = remove_unused(replace(graph, nodes=nodes))
            changed = True
            break
    return graph


def used_operators(graph: Graph) -> list[str]:
    """Operators of a graph, each once, in order of appearance."""
    return list(dict.fromkeys(node.op for node in graph.nodes))


def is_view(node: Node) -> bool:
    """Whether a node only gives its input another shape."""
    return operators.get(node.op).is_view


def weight_levels(node: Node) -> np.ndarray | None:
    """Integer weights of a node, if it has any."""
    return getattr(node.attributes, "levels", None)


__all__ = ["PASSES", "Conv2d", "is_view", "lower", "used_operators", "weight_levels"]
