"""Flash, RAM, stack and instructions of every example on every board, against the recorded numbers.

    python benchmarks/footprint.py             measure and compare; exit 1 if anything differs
    python benchmarks/footprint.py --update    measure and record

The numbers are exact for one compiler version, so footprint.json keeps them by compiler. A change is looked at and
recorded on purpose, like code.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from lamella import boards, footprint, pipeline
from lamella.boards import Board

HERE = Path(__file__).resolve().parent
RECORD = HERE / "footprint.json"
EXAMPLES = HERE.parent / "examples"
OBJECTIVES = ("flash", "balanced")


def examples() -> list[Path]:
    """Models of the examples."""
    return sorted(EXAMPLES.glob("*/model.onnx"))


def compiler(board: Board) -> str:
    """What a board's numbers depend on."""
    done = subprocess.run([board.compiler.cc, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return f"{board.compiler.cc} {done.stdout.strip()}"


def measure(model: Path, board: str, optimize: str) -> dict:
    """What is recorded of one model on one board."""
    entry = footprint.measure(pipeline.compile_model(model, board, optimize))
    layers = entry["layer_instructions"]
    return {
        "flash": entry["flash"],
        "ram": entry["ram"],
        "fits": entry["fits"],
        "instructions": entry["instructions_per_inference"],
        "layer_instructions": layers,
    }


def recorded() -> dict:
    """compiler -> example -> board -> objective -> numbers."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def main() -> int:
    """Measure everything; print, then compare or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", action="append", choices=[model.parent.name for model in examples()])
    parser.add_argument("--update", action="store_true", help="record what was measured")
    args = parser.parse_args()
    from lamella import output

    old, new, rows, differing = recorded(), {}, [], []
    for model in examples():
        if args.example and model.parent.name not in args.example:
            continue
        for name in boards.names():
            key = compiler(boards.load(name))
            for optimize in OBJECTIVES:
                numbers = measure(model, name, optimize)
                new.setdefault(key, {}).setdefault(model.parent.name, {}).setdefault(name, {})[optimize] = numbers
                before = old.get(key, {}).get(model.parent.name, {}).get(name, {}).get(optimize)
                state = "new" if before is None else "same" if before == numbers else "DIFFERS"
                if state == "DIFFERS":
                    differing.append(f"{model.parent.name} on {name} for {optimize}")
                f, r = numbers["flash"], numbers["ram"]
                rows.append([model.parent.name, name, optimize, f["total"], f["weights"], f["code"], r["total"], r["stack"], numbers["instructions"], numbers["fits"], state])  # fmt: skip
    output.table(
        ["example", "board", "optimize", "flash", "weights", "code", "RAM", "stack", "instructions", "fits", ""], rows
    )
    if args.update:
        kept = old if args.example else {}  # without a choice, examples that are gone leave the record
        merged = {**old, **{key: {**kept.get(key, {}), **found} for key, found in new.items()}}
        RECORD.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
        print(f"recorded in {RECORD.relative_to(HERE.parent)}")
        return 0
    for text in differing:
        print(f"differs from the record: {text}; if that is meant, record it with --update", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
