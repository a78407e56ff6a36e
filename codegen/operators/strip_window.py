"""Inside a loop over strips: the last rows of an image, as many as its readers need (operators/strips.py)."""

from dataclasses import dataclass

from lamella.codegen.ir import Graph, Node, Quantization, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.record import Operator


@dataclass(frozen=True)
class StripWindow:
    """Inputs: the window before, (1, c, k, w), the new rows (1, c, n, w), and the number of the step, t, as (1, 2) bytes.

    It runs once in `period` steps, a power of two, for time k = t / period. The first new row is number k * n - delay of an image of `height`
    rows. What lies outside holds `fill`.
    """

    delay: int
    height: int
    fill: int
    period: int = 1


def reference(graph: Graph, node: Node, inputs: list) -> object:
    """The same rows, one image after the other: each may be at another step."""
    import torch

    a: StripWindow = node.attributes
    window, rows, step = inputs
    n, kept = rows.shape[2], window.shape[2] - rows.shape[2]
    results = []
    for old, new, (low, high) in zip(window, rows, step.tolist(), strict=True):
        k = (low + 256 * high) // a.period
        numbers = k * n - a.delay + torch.arange(n)
        inside = ((numbers >= 0) & (numbers < a.height))[None, :, None]
        before = torch.full_like(old[:, n:], a.fill) if k == 0 else old[:, n:]
        assert before.shape[1] == kept
        results.append(torch.cat([before, torch.where(inside, new, torch.full_like(new, a.fill))], dim=1))
    return torch.stack(results)


def sample(draw) -> Graph:
    """A random window. Any two bytes are the number of a step: images of up to 65535 rows."""
    channels, width, n = draw.integer(1, 4), draw.integer(1, 9), draw.integer(1, 4)
    window = draw.tensor("window", (1, channels, n + draw.integer(0, 5), width))
    rows = Tensor("rows", (1, channels, n, width), window.quantization)
    step = Tensor("step", (1, 2), Quantization(1.0, 0))
    attributes = StripWindow(
        draw.integer(0, 9), draw.choice([5, draw.integer(1, 65535)]), draw.integer(0, 255), draw.choice([1, 2, 4, 8])
    )
    return sampling.graph(
        "strip_window", [window, rows, step], Tensor("y", window.shape, window.quantization), attributes
    )


OPERATOR = Operator(
    name="strip_window",
    title="inside a loop over strips: the last rows of an image",
    reference=reference,
    sample=sample,
    replaces=True,
    details=lambda graph, node: f"{graph.tensors[node.inputs[1]].shape[2]} new rows",
)
