"""lam_add_as_tflite: sum or difference of two activations as TensorFlow Lite Micro rounds it."""

from collections.abc import Iterator

from lamella import requant
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.add_as_tflite import AddAsTflite


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    if len(node.inputs) == 2:
        work = {"lam_add_as_tflite.call": 1, "lam_add_as_tflite.value": graph.tensors[node.output].bytes}
        yield Choice("lam_add_as_tflite", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    at: AddAsTflite = node.attributes
    a, b = (graph.tensors[name] for name in node.inputs)
    return Struct("lam_add_as_tflite_desc", {
        "n": a.bytes, "a": twice(at.addends[0]), "b": twice(at.addends[1]), "total": twice(at.total),
        "a_negative": int(at.signs[0] < 0), "b_negative": int(at.signs[1] < 0),
        "a_zero": a.quantization.zero, "b_zero": b.quantization.zero, "zero": at.zero, "low": at.low, "high": at.high,
    })  # fmt: skip


def twice(factor: tuple[int, int]) -> Struct:
    """A multiplier and its shift (lamella.requant) as the C has them."""
    multiplier, shift = factor
    return Struct("", {"multiplier": multiplier, "right": shift - requant.TWICE if shift > requant.TWICE else 0})


KERNEL = Kernel(
    function="lam_add_as_tflite",
    operator="add_as_tflite",
    header="lam_elementwise.h",
    sources=("src/lam_add_as_tflite.c",),
    options=_options,
    describe=_describe,
)
