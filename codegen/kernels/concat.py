"""lam_concat: tensors one behind the other, rescaled where need be."""

from collections.abc import Iterator
from math import prod

import numpy as np

from lamella.codegen.cdata import Array, Struct, StructArray
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.concat import Concat


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    outer = prod(graph.tensors[node.output].shape[: node.attributes.axis])
    parts = list(node.attributes.parts(node.inputs))
    rescaled = sum(graph.tensors[name].bytes for name, q, _ in parts if q is not None)
    copied = graph.tensors[node.output].bytes - rescaled
    names = ("call", "run", "copied", "rescaled")
    counts = (1, outer * len(parts), copied, rescaled)
    work = {f"lam_concat.{n}": c for n, c in zip(names, counts, strict=True)}
    yield Choice("lam_concat", weight_bytes=sum(values.nbytes for _, values in node.attributes.constants), work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: Concat = node.attributes
    outer = prod(graph.tensors[node.output].shape[: a.axis])
    parts = []
    for k, (name, q, values) in enumerate(a.parts(node.inputs)):
        if values is not None:
            array = Array(f"part{k}", "float" if values.dtype == np.float32 else "uint8_t", values)
            parts.append(Struct("", {"bytes": values.nbytes // outer, "values": array}))
            continue
        x = graph.tensors[name]
        fields = {"bytes": x.bytes // outer}
        if q is not None:
            fields |= {"rescale": 1, "in_zero": x.quantization.zero, "q": structs.requant(q, prefix=f"part{k}_")}
        parts.append(Struct("", fields))
    array = StructArray("parts", "lam_concat_part", tuple(parts))
    return Struct("lam_concat_desc", {"outer": outer, "n_parts": len(parts), "parts": array})


KERNEL = Kernel(
    function="lam_concat",
    operator="concat",
    header="lam_move.h",
    sources=("src/lam_concat.c",),
    options=_options,
    describe=_describe,
    takes_array=True,
)
