"""What the descriptors and the work of all dense kernels contain."""

from math import prod

from lamella.codegen import weights
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Graph, Node, Requant
from lamella.codegen.kernels import structs
from lamella.codegen.operators.dense import Dense


def batch(graph: Graph, node: Node) -> int:
    """Vectors that the layer multiplies for one sample."""
    return prod(graph.tensors[node.inputs[0]].shape[:-1])


def shape(graph: Graph, node: Node, wide_bias: bool = False) -> Struct:
    """lam_dense_shape of a node; `wide_bias` for kernels that read biases of 32 bits only."""
    a: Dense = node.attributes
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors[node.inputs[0]].quantization.zero)
    return Struct(
        "",
        {
            **structs.bias(bias, wide_bias),
            "q": structs.requant(a.requant),
            "rows": a.levels.shape[0],
            "cols": a.levels.shape[1],
            "batch": batch(graph, node),
        },
    )


def stored(q: Requant) -> str:
    """How results are requantised: "wide" where scales reach one half, else "full" range or "narrow"."""
    if (q.shift != 32).any():
        return "wide"
    return "full" if (q.low, q.high) == (0, 255) else "narrow"
