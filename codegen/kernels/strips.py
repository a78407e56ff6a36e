"""lam_strips: calls the step of a loop over strips. The emitter writes the step, as for lam_scan."""

from collections.abc import Iterator

from lamella.codegen import plan
from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel
from lamella.codegen.kernels.scan import STEP
from lamella.codegen.operators import get as operator
from lamella.codegen.operators.strips import Strips


def _options(graph: Graph, node: Node, target: Target) -> Iterator[Choice]:
    """None before the kernels of the body are chosen: the body's memory is the scratch of the loop."""
    a: Strips = node.attributes
    if any(n.choice is None and not operator(n.op).is_view for n in a.body.nodes):
        return
    y = graph.tensors[node.output]
    planes, rows, width = a.image
    work = {
        "lam_strips.call": 1,
        "lam_strips.step": a.steps,
        "lam_strips.line": planes * rows + y.shape[1] * y.shape[2],
        "lam_strips.byte": planes * rows * width + y.bytes,
    }
    for inner in a.body.nodes:
        for event, count in (inner.choice.work if inner.choice else {}).items():
            work[event] = work.get(event, 0) + a.steps // a.periods.get(inner.name, 1) * count
    yield Choice("lam_strips", scratch_bytes=plan.plan_body(a.body).arena_bytes, work=work)


def _describe(graph: Graph, node: Node) -> Struct:
    a: Strips = node.attributes
    memory = plan.plan_body(a.body)
    y = graph.tensors[node.output]
    *_, step, strip = a.body.inputs
    result = a.body.outputs[-1]
    planes, rows, width = a.image
    rows_made = a.body.tensor_of(result).shape[2]
    period = next((a.periods.get(n.name, 1) for n in a.body.nodes if n.output == result.tensor), 1)
    return Struct("lam_strips_desc", {
        "step": STEP, "in_at": memory.offsets[strip.tensor], "out_at": memory.offsets[result.tensor],
        "step_at": memory.offsets[step.tensor], "steps": a.steps,
        "in_channels": planes, "in_height": rows, "in_width": width,
        "in_rows": a.body.tensor_of(strip).bytes // (planes * width),
        "out_channels": y.shape[1], "out_height": y.shape[2], "out_width": y.shape[3],
        "out_rows": rows_made, "out_delay": a.delay, "out_period_bits": period.bit_length() - 1, "flip": a.flip,
    })  # fmt: skip


KERNEL = Kernel(
    function="lam_strips",
    operator="strips",
    header="lam_strips.h",
    sources=("src/lam_strips.c",),
    options=_options,
    describe=_describe,
    takes_scratch=True,
)
