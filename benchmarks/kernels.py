"""Instructions per multiply-accumulate of every kernel and format on the layers that peers are compared on.

    python benchmarks/kernels.py                                   the best of each layer on every emulated core
    python benchmarks/kernels.py --board qemu_mps2_an386 --layer "3x3 ternary" --all       every way, with its scratch

Counted in QEMU, from the call of the kernel to its return: input widening, decoding of weights, requantisation
included. Every output is compared with the reference.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lamella import boards, output, pipeline, trial
from lamella.codegen import kernels, reference
from lamella.codegen.ir import Choice

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shapes

CORES = (
    "qemu_mps2_an385_m0",
    "qemu_mps2_an385",
    "qemu_mps2_an386",
    "qemu_mps2_an500",
    "qemu_mps2_an505",
    "qemu_mps3_an547",
    "qemu_riscv32_virt",
)


def measure(
    layers: Sequence[shapes.Layer], board: str, optimize: str, wanted: str = ""
) -> list[list[tuple[Choice, float]]]:
    """For each layer, every choice with its instructions per MAC. One program for all."""
    target = pipeline.target_of(boards.load(board), optimize)
    trials, owners = [], []
    for k, layer in enumerate(layers):
        (node,) = layer.graph.nodes
        for choice in _distinct(kernels.options(layer.graph, node, target)):
            if wanted in choice.kernel:
                trials.append(trial.Trial(layer.graph, choice, layer.inputs))
                owners.append(k)
    found: list[list[tuple[Choice, float]]] = [[] for _ in layers]
    for at in range(0, len(trials), 40):
        part = trials[at : at + 40]
        for t, k, outcome in zip(part, owners[at : at + 40], trial.run(part, board, optimize), strict=True):
            expected = reference.run_node(t.graph, t.node, [t.inputs[name] for name in t.node.inputs])
            if not np.array_equal(outcome.output, np.asarray(expected)):
                raise SystemExit(f"{layers[k].name} on {board}: {t.choice} computes something else than the reference")
            found[k].append((t.choice, outcome.instructions / layers[k].macs))
    return found


def _distinct(choices: Sequence[Choice]) -> list[Choice]:
    """Of all ways to cut an image into bands, the first, the middle and the last; all kernels and formats."""
    groups: dict[tuple, list[Choice]] = {}
    for c in choices:
        groups.setdefault((c.kernel, c.format), []).append(c)
    return [g[i] for g in groups.values() for i in sorted({0, len(g) // 2, len(g) - 1})]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", action="append", choices=CORES, help="emulated board; may be repeated")
    parser.add_argument("--layer", default="", help="only layers whose name contains this")
    parser.add_argument("--kernel", default="", help="only kernels whose name contains this")
    parser.add_argument("--optimize", default="balanced", choices=boards.objectives())
    parser.add_argument("--all", action="store_true", help="every way to compute a layer, not only the fastest")
    args = parser.parse_args()
    layers = [layer for layer in shapes.standard() if args.layer in layer.name]
    known = [b for b in args.board or CORES if b in boards.names()]
    results = {board: measure(layers, board, args.optimize, args.kernel) for board in known}
    if args.all:
        rows = [
            [layer.name, board, c.kernel, c.format, c.scratch_bytes, c.weight_bytes, f"{per_mac:.3f}"]
            for k, layer in enumerate(layers)
            for board in known
            for c, per_mac in sorted(results[board][k], key=lambda r: r[1])
        ]
        output.table(["layer", "board", "kernel", "format", "scratch", "bytes", "per MAC"], rows)
        return 0
    rows = [
        [layer.name, *(f"{min((r[1] for r in results[board][k]), default=float('nan')):.3f}" for board in known)]
        for k, layer in enumerate(layers)
    ]
    output.table(["instructions per MAC", *known], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
