"""What the descriptors and the work of all dense kernels contain."""

from math import prod

import numpy as np

from lamella.codegen import weights
from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Graph, Node, Requant
from lamella.codegen.kernels import structs
from lamella.codegen.operators.dense import Dense


def batch(graph: Graph, node: Node) -> int:
    """Vectors that the layer multiplies for one sample."""
    return prod(graph.tensors[node.inputs[0]].shape[:-1])


def shape(graph: Graph, node: Node) -> Struct:
    """lam_dense_shape of a node."""
    a: Dense = node.attributes
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors[node.inputs[0]].quantization.zero)
    return Struct(
        "",
        {
            "bias": Array("bias", "int32_t", bias.astype(np.int32), "zero point of the input folded in"),
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
