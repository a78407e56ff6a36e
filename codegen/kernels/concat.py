"""lam_concat: tensors one behind the other, rescaled where need be."""

from collections.abc import Iterator
from math import prod

from lamella.codegen.cdata import Struct, StructArray
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import structs
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.concat import Concat


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    outer = prod(graph.tensors[node.output].shape[: node.attributes.axis])
    parts = list(zip(node.inputs, node.attributes.requants, strict=True))
    copied = sum(graph.tensors[name].bytes for name, q in parts if q is None)
    rescaled = graph.tensors[node.output].bytes - copied
    names = ("call", "run", "copied", "rescaled")
    counts = (1, outer * len(parts), copied, rescaled)
    yield Choice("lam_concat", work={f"lam_concat.{n}": c for n, c in zip(names, counts, strict=True)})


def _describe(graph: Graph, node: Node) -> Struct:
    a: Concat = node.attributes
    parts = []
    for k, (name, q) in enumerate(zip(node.inputs, a.requants, strict=True)):
        x = graph.tensors[name]
        fields = {"bytes": x.bytes // prod(x.shape[: a.axis])}
        if q is not None:
            fields |= {"rescale": 1, "in_zero": x.quantization.zero, "q": structs.requant(q, prefix=f"part{k}_")}
        parts.append(Struct("", fields))
    outer = prod(graph.tensors[node.output].shape[: a.axis])
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
