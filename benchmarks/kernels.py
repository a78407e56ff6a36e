"""Instructions per multiply-accumulate of the layers that peers are compared on, on every emulated core.

    python benchmarks/kernels.py                     measure the best of each layer, compare with the record
    python benchmarks/kernels.py --update            measure and record
    python benchmarks/kernels.py --show              print what is recorded, peers' figures beside it
    python benchmarks/kernels.py --board qemu_mps2_an386 --layer "3x3 ternary" --all       every way, with its scratch

Counted in QEMU, from the call of the kernel to its return: input widening, decoding of weights, requantisation
included. Every output is compared with the reference. The counts are exact for one version of the compiler.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lamella import boards, output, pipeline, trial
from lamella.codegen import kernels, reference
from lamella.codegen.ir import Choice

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import shapes
from costs import MEASURED_ON, PROGRAM_BYTES, version

RECORD = HERE / "kernels.json"
PEERS = HERE / "peers.toml"
RISE = 1.01  # what a change may cost without being recorded on purpose


def run(
    rows: Sequence[tuple[shapes.Row, Choice]], core: str, optimize: str, with_cycles: bool = False
) -> list[tuple[float, float | None]]:
    """Instructions and estimated cycles per multiply-accumulate of every pair, many in one program."""
    found = []
    for batch in programs(rows):
        part = [(row, trial.Trial(row.layer.graph, c, row.layer.inputs)) for row, c in batch]
        outcomes = trial.run([t for _, t in part], MEASURED_ON[core], optimize, with_cycles)
        for (row, t), outcome in zip(part, outcomes, strict=True):
            expected = reference.run_node(t.graph, t.node, [t.inputs[name] for name in t.node.inputs])
            if not np.array_equal(outcome.output, np.asarray(expected)):
                raise SystemExit(f"{row.name} on {core}: {t.choice} computes something else than the reference")
            cycles = None if outcome.cycles is None else outcome.cycles / row.layer.macs
            found.append((outcome.instructions / row.layer.macs, cycles))
    return found


def programs(rows: Sequence[tuple[shapes.Row, Choice]]) -> Iterator[list[tuple[shapes.Row, Choice]]]:
    """The pairs in programs that the smallest machine has room for."""
    batch, size = [], 0
    for row, choice in rows:
        tensors = sum(t.bytes for t in row.layer.graph.tensors.values())
        need = tensors + choice.weight_bytes
        if batch and (size + need + choice.scratch_bytes > PROGRAM_BYTES or len(batch) == 40):
            yield batch
            batch, size = [], 0
        batch.append((row, choice))
        size += need
    if batch:
        yield batch


def ways(row: shapes.Row, core: str, optimize: str, wanted: str = "") -> list[Choice]:
    """The ways to run a layer that are worth trying: of all cuts into bands the first, the middle and the last."""
    (node,) = row.layer.graph.nodes
    target = pipeline.target_of(boards.load(MEASURED_ON[core]), optimize)
    groups: dict[tuple, list[Choice]] = {}
    for c in kernels.options(row.layer.graph, node, target):
        if wanted in c.kernel and (row.bits is None or 8 * c.weight_bytes <= row.bits * node.attributes.levels.size):
            groups.setdefault((c.kernel, c.format), []).append(c)
    return [g[i] for g in groups.values() for i in sorted({0, len(g) // 2, len(g) - 1})]


def entry(choice: Choice, per_mac: float, cycles: float | None) -> dict:
    """What is recorded of the best way. cycles: estimated, per multiply-accumulate (lamella/cycles.py)."""
    return {
        "per_mac": float(f"{per_mac:.4g}"),
        "cycles": None if cycles is None else float(f"{cycles:.3g}"),
        "kernel": choice.kernel,
        "format": choice.format,
        "parameters": dict(choice.parameters),
        "weight_bytes": choice.weight_bytes,
        "scratch_bytes": choice.scratch_bytes,
    }


def measure_all(
    rows: Sequence[shapes.Row], core: str, optimize: str, wanted: str = ""
) -> list[list[tuple[Choice, float]]]:
    """For each row, every way with its instructions per multiply-accumulate, the fastest first."""
    pairs = [(row, c) for row in rows for c in ways(row, core, optimize, wanted)]
    counted = run(pairs, core, optimize)
    found: list[list[tuple[Choice, float]]] = [[] for _ in rows]
    index = {row.name: k for k, row in enumerate(rows)}
    for (row, c), (n, _) in zip(pairs, counted, strict=True):
        found[index[row.name]].append((c, n))
    return [sorted(each, key=lambda r: (r[1], r[0].scratch_bytes)) for each in found]


def recount(core: str, record: Mapping[str, Mapping]) -> dict[str, tuple[float, float]]:
    """For each recorded layer of a core: (recorded, counted now) of the recorded way; nan where that way is gone."""
    rows = {row.name: row for row in shapes.standard()}
    pairs, names, found = [], [], {}
    for name, old in record.items():
        wanted = (old["kernel"], old["format"], old["parameters"])
        same = [c for c in ways(rows[name], core, "balanced") if (c.kernel, c.format, dict(c.parameters)) == wanted]
        if same:
            pairs.append((rows[name], same[0]))
            names.append(name)
        else:
            found[name] = (old["per_mac"], float("nan"))
    counted = run(pairs, core, "balanced")
    return found | {n: (record[n]["per_mac"], now) for n, (now, _) in zip(names, counted, strict=True)}


def recorded() -> dict:
    """compiler -> core -> layer -> entry."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def peers() -> list[dict]:
    """Figures of other tools: {"tool", "core", "layer", "per_mac", ...}."""
    return tomllib.loads(PEERS.read_text())["figure"] if PEERS.exists() else []


def show(record: Mapping[str, Mapping[str, Mapping[str, Mapping]]]) -> None:
    """Prints the recorded table, one for each core, the best peer beside each layer."""
    for compiler, cores in record.items():
        for core, layers in cores.items():
            print(f"{core}, {compiler} -O2: instructions per multiply-accumulate")
            rows = []
            for name, e in layers.items():
                others = sorted((p["per_mac"], p["tool"]) for p in peers() if p["core"] == core and p["layer"] == name)
                peer = f"{others[0][0]:.2f} {others[0][1]}" if others else ""
                cycles = f"{e['cycles']:.2f}" if e.get("cycles") else ""
                rows.append([name, f"{e['per_mac']:.3f}", cycles, peer, e["kernel"], e["format"], e["weight_bytes"], e["scratch_bytes"]])  # fmt: skip
            output.table(["layer", "ours", "cycles, est.", "best peer", "kernel", "format", "bytes", "scratch"], rows)


def main() -> int:
    """Measure and print, compare or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="append", choices=MEASURED_ON, help="may be repeated; default: every one")
    parser.add_argument("--layer", default="", help="only layers whose name contains this")
    parser.add_argument("--kernel", default="", help="only kernels whose name contains this")
    parser.add_argument("--optimize", default="balanced", choices=boards.objectives())
    parser.add_argument("--all", action="store_true", help="every way to compute a layer, not only the fastest")
    parser.add_argument("--update", action="store_true", help="record what was measured")
    parser.add_argument("--show", action="store_true", help="print the record")
    args = parser.parse_args()
    if args.show:
        show(recorded())
        return 0
    rows = [row for row in shapes.standard() if args.layer in row.name]
    cores = args.core or list(MEASURED_ON)
    new: dict = {}
    for core in cores:
        results = measure_all(rows, core, args.optimize, args.kernel)
        if args.all:
            lines = [
                [row.name, c.kernel, c.format, c.scratch_bytes, c.weight_bytes, f"{per_mac:.3f}"]
                for row, found in zip(rows, results, strict=True)
                for c, per_mac in found
            ]
            output.table([f"layer on {core}", "kernel", "format", "scratch", "bytes", "per MAC"], lines)
        fastest = [(row, found[0][0]) for row, found in zip(rows, results, strict=True) if found]
        again = run(fastest, core, args.optimize, with_cycles=True)
        best = {row.name: entry(c, *numbers) for (row, c), numbers in zip(fastest, again, strict=True)}
        new.setdefault(version(boards.load(MEASURED_ON[core])), {})[core] = best
    if args.all:
        return 0
    show(new)
    if args.layer or args.kernel or args.optimize != "balanced":
        return 0
    old, risen = recorded(), []
    for compiler, by_core in new.items():
        for core, layers in by_core.items():
            before = old.get(compiler, {}).get(core, {})
            risen += [
                f"{name} on {core}: {before[name]['per_mac']} -> {e['per_mac']}"
                for name, e in layers.items()
                if name in before and e["per_mac"] > RISE * before[name]["per_mac"]
            ]
    if args.update:
        for compiler, by_core in new.items():
            old.setdefault(compiler, {}).update(by_core)
        RECORD.write_text(json.dumps(old, indent=1, sort_keys=True) + "\n")
        print(f"recorded in {RECORD.relative_to(HERE.parent)}")
        return 0
    for text in risen:
        print(f"slower than recorded: {text}; if that is meant, record it with --update", file=sys.stderr)
    return 1 if risen else 0


if __name__ == "__main__":
    sys.exit(main())
