"""What each event of each kernel costs in instructions on each core: measures codegen/costs/<core>.json.

    python benchmarks/costs.py                                all cores, all levels of optimisation: minutes
    python benchmarks/costs.py --core cortex-m4 --level=-O2   only that part; the rest of the tables stays

Every kernel runs with every format over layers of many shapes in QEMU. The price of an event is what makes the
instructions of all these calls, counted, the sum of prices times events: non-negative least squares of the relative
errors (scipy.optimize.nnls), for all kernels of a core together, because decoders serve several of them.
The bytes of a function are those of its section in the object file; what it refers to is there too, because a linker
takes it along. `--bytes` measures these alone: seconds.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from lamella import boards, elf, pipeline, runtime_c, trial
from lamella.boards import Board
from lamella.codegen import cost, kernels
from lamella.codegen.ir import Choice
from lamella.formats import get as formats_of

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shapes

#: The board on which a core is measured.
MEASURED_ON = {
    "cortex-m0": "qemu_mps2_an385_m0",
    "cortex-m3": "qemu_mps2_an385",
    "cortex-m4": "qemu_mps2_an386",
    "cortex-m7": "qemu_mps2_an500",
    "cortex-m33": "qemu_mps2_an505",
    "cortex-m55": "qemu_mps3_an547",
    "rv32imac": "qemu_riscv32_virt",
}
OBJECTIVE = {"-Os": "flash", "-O2": "balanced", "-O3": "speed"}
PER_KERNEL, PER_FORMAT = 40, 4  # layers that every kernel gets, and with every format at least
PER_EVENT = 3  # layers for each event that a kernel counts, where that is more
PER_CODED = 14  # with a format whose decoding depends on the levels
FOR_NEW = 12  # layers for a kernel of which only some events have no price yet
PROGRAM_BYTES = 200_000  # of inputs, outputs, scratch and weights in one program: the smallest machine has 512 KiB
DRAWN = 2400  # layers, after which a rare combination is given up


def draws(
    board: Board, optimize: str, known: Mapping[str, float], seed: int = 1
) -> Iterator[tuple[shapes.Layer, Choice]]:
    """Layers and ways to run them: PER_KERNEL for each kernel, its formats in turn, each at least PER_FORMAT times.
    Without those whose events all have a price in `known`."""
    target = pipeline.target_of(board, optimize)
    rng = random.Random(seed)
    had: Counter = Counter()
    events: dict[str, set[str]] = {}
    for k in range(DRAWN):
        layer = shapes.varied(rng, k)
        (node,) = layer.graph.nodes
        ways: dict[str, dict[str | None, list[Choice]]] = {}
        for choice in kernels.options(layer.graph, node, target):
            if all(event in known for event in choice.work):
                continue
            ways.setdefault(choice.kernel, {}).setdefault(choice.format, []).append(choice)
        for kernel, formats in sorted(ways.items()):
            wanted = {name: 0 if known else _wanted(kernel, name) for name in formats}
            short = [name for name in formats if had[kernel, name] < wanted[name]] or list(formats)
            rarest = min(short, key=lambda name, kernel=kernel: (had[kernel, name], str(name)))
            counted = events.setdefault(kernel, set())
            counted.update(e for c in formats[rarest] for e in c.work if e.startswith("lam_") and e not in known)
            per_kernel = FOR_NEW if known else PER_KERNEL
            if had[kernel] < max(per_kernel, PER_EVENT * len(counted)) or had[kernel, rarest] < wanted[rarest]:
                # Every other time one that is read quickly: else decoding would hide what the kernel itself takes.
                name = "int8" if had[kernel] % 2 and "int8" in formats else rarest
                had.update([kernel, (kernel, name)])
                yield layer, rng.choice(formats[name])


def _wanted(kernel: str, format_name: str | None) -> int:
    """Layers with a format that a kernel gets at least."""
    coded = format_name is not None and formats_of(format_name).sparse
    return PER_CODED if coded and kernel in ("lam_dense_sparse", "lam_dense", "lam_dense_mve") else PER_FORMAT


def measure(board: Board, optimize: str, known: Mapping[str, float]) -> list[tuple[Choice, float]]:
    """Every drawn choice with its counted instructions; without those that `known` prices in full."""
    found, batch, size = [], [], 0

    def flush() -> None:
        if not batch:
            return
        trials = [trial.Trial(layer.graph, choice, layer.inputs) for layer, choice in batch]
        outcomes = trial.run(trials, board, optimize)
        found.extend((t.choice, o.instructions) for t, o in zip(trials, outcomes, strict=True))

    for layer, choice in draws(board, optimize, known):
        need = sum(t.bytes for t in layer.graph.tensors.values()) + choice.scratch_bytes + choice.weight_bytes
        if batch and (size + need > PROGRAM_BYTES or len(batch) == 48):
            flush()
            batch, size = [], 0
        batch.append((layer, choice))
        size += need
    flush()
    return found


def fit(samples: list[tuple[Choice, float]], known: Mapping[str, float]) -> dict[str, float]:
    """Price of each event; those in `known` keep theirs."""
    events = sorted({name for choice, _ in samples for name in choice.work} - set(known))
    column = {name: k for k, name in enumerate(events)}
    matrix = np.zeros((len(samples), len(events)))
    rest = np.ones(len(samples))  # share of the count that known prices do not explain
    for k, (choice, counted) in enumerate(samples):
        for name, n in choice.work.items():
            if name in known:
                rest[k] -= known[name] * n / counted
            else:
                matrix[k, column[name]] = n / counted
    scale = np.maximum(matrix.max(axis=0), 1e-12)  # columns of one size: counts of calls and of pixels differ by 10^6
    prices, _ = nnls(matrix / scale, rest, maxiter=50 * len(events))
    return dict(known) | {name: float(f"{price:.5g}") for name, price in zip(events, prices / scale, strict=True)}


def errors(samples: list[tuple[Choice, float]], prices: Mapping[str, float]) -> dict[str, list[float]]:
    """Relative errors of the fit by kernel."""
    found: dict[str, list[float]] = {}
    for choice, counted in samples:
        predicted = sum(prices[name] * n for name, n in choice.work.items())
        found.setdefault(choice.kernel, []).append(predicted / counted - 1)
    return found


def code(board: Board, optimize: str) -> dict[str, dict]:
    """Bytes of every part of the runtime's object files, and the parts that each refers to."""
    compiler, flags = board.compiler, boards.product_flags(board, optimize)
    found: dict[str, tuple[int, list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted((runtime_c.ROOT / "src").glob("*.c")):
            unit = Path(folder) / f"{source.stem}.o"
            command = [compiler.cc, *flags.compile, f"-I{runtime_c.INCLUDE}", "-c", str(source), "-o", str(unit)]
            subprocess.run(command, check=True)
            found |= elf.parts(unit)
    return {
        "bytes": {name: size for name, (size, _) in found.items()},
        "refers": {name: known for name, (_, to) in found.items() if (known := [t for t in to if t in found])},
    }


def version(board: Board) -> str:
    """Compiler and emulator-independent facts that the numbers depend on."""
    done = subprocess.run([board.compiler.cc, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return f"{board.compiler.cc} {done.stdout.strip()}"


def main() -> int:
    """Measure, fit, write the tables, print how well the prices explain the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="append", choices=MEASURED_ON)
    parser.add_argument("--level", action="append", choices=OBJECTIVE)
    parser.add_argument("--bytes", action="store_true", help="only the bytes of code; prices stay")
    parser.add_argument("--new", action="store_true", help="only events that have no price yet; the others keep theirs")
    args = parser.parse_args()
    for core in args.core or MEASURED_ON:
        board = boards.load(MEASURED_ON[core])
        path = cost.TABLES / f"{core}.json"
        table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for level in args.level or OBJECTIVE:
            if args.bytes:
                table[level] = {**table[level], **code(board, OBJECTIVE[level])}
                continue
            known = table[level]["events"] if args.new else {}
            samples = measure(board, OBJECTIVE[level], known)
            prices = fit(samples, known) if samples else known
            table[level] = {
                "compiler": version(board),
                "samples": len(samples) + (table[level]["samples"] if args.new else 0),
                "events": prices,
                **code(board, OBJECTIVE[level]),
            }
            for kernel, off in sorted(errors(samples, prices).items()):
                absolute = np.abs(off)
                print(
                    f"{core} {level} {kernel}: {len(off)} layers, error mean {100 * absolute.mean():.1f} %, "
                    f"90th percentile {100 * np.quantile(absolute, 0.9):.1f} %, largest {100 * absolute.max():.1f} %",
                    flush=True,
                )
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
