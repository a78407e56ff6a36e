"""lam_float_pick: values at other places."""

from collections.abc import Iterator
from math import prod

import numpy as np

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels import float_shape
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators.float_pick import FloatPick


def _axes(a: FloatPick) -> list[np.ndarray]:
    """Without axes of one place, which every value has: it is added to the places along another."""
    fixed = sum(int(at[0]) for at in a.at if len(at) == 1 and at[0] >= 0)
    if any(len(at) == 1 and at[0] < 0 for at in a.at):
        return [np.full(prod(a.shape), -1)]
    axes = [at for at in a.at if len(at) > 1] or [np.zeros(1, np.int32)]
    first = np.where(axes[0] < 0, -1, axes[0] + fixed)
    return [first, *axes[1:]]


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    a: FloatPick = node.attributes
    n = prod(a.shape)
    work = {"lam_float_pick.call": 1, "lam_float_pick.value": n, "lam_float_pick.axis": n * len(_axes(a))}
    yield Choice("lam_float_pick", work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: FloatPick = node.attributes
    axes = _axes(a)
    fields = {
        "n": prod(a.shape),
        "axes": len(axes),
        "shape": float_shape.numbers("shape", [len(at) for at in axes]),
        "at": float_shape.numbers("at", np.concatenate(axes), "int32_t", "places along each axis of the result"),
        "fill": float(a.fill),
    }
    return Struct("lam_float_pick_desc", fields)


KERNEL = Kernel(
    function="lam_float_pick",
    operator="float_pick",
    header=float_shape.HEADER,
    sources=("src/lam_float_pick.c",),
    options=_options,
    describe=_describe,
    takes_array=True,
)
