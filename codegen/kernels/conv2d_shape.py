"""What the descriptors of all convolution kernels contain."""

from lamella.codegen import weights
from lamella.codegen.cdata import Struct, Symbol
from lamella.codegen.ir import Graph, Node
from lamella.codegen.kernels import structs
from lamella.codegen.operators.conv2d import Conv2d, conv_size
from lamella.codegen.operators.windows import Window


def shape(graph: Graph, node: Node) -> Struct:
    """lam_conv2d_shape of a node."""
    a: Conv2d = node.attributes
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    rows, cols = conv_size(graph, node)
    w = a.window
    pool = a.pool.window if a.pool else Window((1, 1))
    average = a.pool is not None and a.pool.kind == "average"
    return Struct(
        "",
        {
            **structs.bias(weights.folded_bias(a.levels, a.bias, x.quantization.zero)),
            "q": structs.requant(a.requant),
            "in_c": x.shape[1], "in_h": x.shape[2], "in_w": x.shape[3],
            "out_c": a.levels.shape[0], "out_h": rows, "out_w": cols,
            "group_in_c": a.levels.shape[1], "group_out_c": a.levels.shape[0] // a.groups,
            "kernel_h": w.kernel[0], "kernel_w": w.kernel[1],
            "stride_h": w.stride[0], "stride_w": w.stride[1],
            "dilation_h": w.dilation[0], "dilation_w": w.dilation[1],
            "pad_top": w.pads[0], "pad_left": w.pads[1],
            "in_zero": x.quantization.zero,
            "pool": Struct("", {
                "kind": Symbol("LAM_POOL_" + (a.pool.kind.upper() if a.pool else "NONE")),
                "kernel_h": pool.kernel[0], "kernel_w": pool.kernel[1],
                "stride_h": pool.stride[0], "stride_w": pool.stride[1],
                "out_h": y.shape[2], "out_w": y.shape[3],
                **({"bias": -pool.kernel[0] * pool.kernel[1] * a.requant.zero,
                    "q": structs.requant(a.pool.requant, prefix="pool_")} if average else {}),
            }),
        },
    )  # fmt: skip
