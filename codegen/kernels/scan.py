"""lam_scan: calls the step of a recurrent layer once for every place of a sequence. The emitter writes the step."""

from collections.abc import Iterator

import numpy as np

from lamella.codegen import plan
from lamella.codegen.cdata import Array, Struct, StructArray, Symbol
from lamella.codegen.ir import Choice, Graph, Node, Port, Target
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

    def lies(port: Port) -> dict:
        return {"at": memory.offsets[port.tensor], "bytes": a.body.tensor_of(port).bytes}

    n = len(a.first)
    inputs = [{**lies(port), "backwards": int(back)} for port, back in zip(a.body.inputs[n:], a.backwards, strict=True)]
    states = [
        {"at": lies(p)["at"], "next": lies(q)["at"], "bytes": lies(p)["bytes"], **_before(k, first)}
        for k, (p, q, first) in enumerate(zip(a.body.inputs, a.body.outputs, a.first, strict=False))
    ]
    results = [
        {**lies(a.body.outputs[r.output]), "sequence": int(r.sequence), "backwards": int(r.backwards)}
        for r in a.results
    ]
    return Struct("lam_scan_desc", {
        "step": STEP, "steps": a.steps, "n_inputs": len(inputs), "n_states": len(states), "n_results": len(results),
        "inputs": _array("input", inputs), "states": _array("state", states), "results": _array("result", results),
    })  # fmt: skip


def _array(kind: str, items: list[dict]) -> StructArray:
    return StructArray(f"{kind}s", f"lam_scan_{kind}", tuple(Struct("", item) for item in items))


def _before(index: int, first: np.ndarray | None) -> dict:
    """What a state is before the first step: given, one byte, or an array."""
    if first is None:
        return {"given": 1}
    found = np.unique(np.ascontiguousarray(first).view(np.uint8))
    if found.size == 1:
        return {"fill": int(found[0])}
    ctype = "float" if first.dtype == np.float32 else "uint8_t"
    return {"first": Array(f"first{index}", ctype, first.reshape(-1), "before the first step")}


KERNEL = Kernel(
    function="lam_scan",
    operator="scan",
    header="lam_scan.h",
    sources=("src/lam_scan.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
    takes_array=True,
)
