"""lam_scan: calls the step of a recurrent layer once for every place of a sequence. The emitter writes the step."""

from collections.abc import Iterator

from lamella.codegen import plan
from lamella.codegen.cdata import Struct, StructArray, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.operators import get as operator
from lamella.codegen.operators.scan import Scan, copied_bytes

#: Stands for the name of the step's function until the emitter knows it.
STEP = Symbol("step")


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    """None before the kernels of the body are chosen: the body's memory is the scratch of the loop."""
    a: Scan = node.attributes
    if any(n.choice is None and not operator(n.op).is_view for n in a.body.nodes):
        return
    work = {"lam_scan.call": 1.0, "lam_scan.step": a.steps, "lam_scan.byte": a.steps * copied_bytes(a)}
    for inner in a.body.nodes:
        for event, count in (inner.choice.work if inner.choice else {}).items():
            work[event] = work.get(event, 0) + a.steps * count
    yield Choice("lam_scan", scratch_bytes=plan.plan_body(a.body).arena_bytes, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: Scan = node.attributes
    memory = plan.plan_body(a.body)
    *before, x = a.body.inputs
    *after, y = a.body.outputs
    states = [
        {
            "at": memory.offsets[p.tensor],
            "next": memory.offsets[q.tensor],
            "bytes": a.body.tensor_of(p).bytes,
            "first": first,
        }
        for p, q, first in zip(before, after, a.first, strict=True)
    ]
    return Struct("lam_scan_desc", {
        "step": STEP, "steps": a.steps, "in_bytes": a.body.tensor_of(x).bytes, "in_at": memory.offsets[x.tensor],
        "out_bytes": a.body.tensor_of(y).bytes, "out_at": memory.offsets[y.tensor], "sequence": int(a.sequence),
        "n_states": len(states),
        "states": StructArray("states", "lam_scan_state", tuple(Struct("", s) for s in states)),
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_scan",
    operator="scan",
    header="lam_scan.h",
    sources=("src/lam_scan.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
