"""Instructions, flash and RAM of whole networks on every emulated core, and how well the instructions were predicted.

    python benchmarks/whole.py             measure and compare with the record
    python benchmarks/whole.py --update    measure and record

The networks are those of benchmarks/networks.py and the examples. The prices that predict were measured on other layers
(benchmarks/costs.py); the prediction is what `--optimize` chooses by.
"""

import argparse
import json
import sys
from pathlib import Path

from lamella import boards, footprint, output, pipeline
from lamella.codegen.ir import Graph

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import networks
from costs import MEASURED_ON, version

RECORD = HERE / "whole.json"
OBJECTIVES = ("balanced", "flash")


def everything() -> dict[str, Graph]:
    """All networks by name."""
    examples = sorted((HERE.parent / "examples").glob("*/model.onnx"))
    return networks.networks() | {path.parent.name: pipeline.read_graph(path) for path in examples}


def compiled(name: str, graph: Graph, core: str, optimize: str) -> pipeline.Compiled:
    """A network lowered for the board on which a core is measured."""
    return pipeline.compile_graph(graph, Path(name), "0" * 64, MEASURED_ON[core], optimize, "network")


def predicted(lowered: pipeline.Compiled) -> float:
    """Instructions of one inference, by the tables."""
    return sum(node.choice.instructions for node in lowered.graph.nodes if node.choice)


def measure(name: str, graph: Graph, core: str, optimize: str) -> dict:
    """What is recorded of a network on a core."""
    lowered = compiled(name, graph, core, optimize)
    entry = footprint.measure(lowered)
    return {
        "instructions": round(entry["instructions_per_inference"]),
        "predicted": round(predicted(lowered)),
        "flash": entry["flash"],
        "ram": entry["ram"],
    }


def recorded() -> dict:
    """compiler -> network -> core -> objective -> numbers; "before": the same, of earlier versions, by date."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def main() -> int:
    """Measure, print, compare or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="append", choices=MEASURED_ON)
    parser.add_argument("--network", action="append", choices=everything())
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    old, rows, differing = recorded(), [], []
    for core in args.core or MEASURED_ON:
        key = version(boards.load(MEASURED_ON[core]))
        for name, graph in everything().items():
            if args.network and name not in args.network:
                continue
            for optimize in OBJECTIVES:
                new = measure(name, graph, core, optimize)
                place = old.setdefault(key, {}).setdefault(name, {}).setdefault(core, {})
                if place.get(optimize) not in (None, new):
                    differing.append(f"{name} on {core} for {optimize}: {place[optimize]} -> {new}")
                place[optimize] = new
                error = 100 * (new["predicted"] / new["instructions"] - 1)
                rows.append([name, core, optimize, new["instructions"], f"{error:+.1f} %", new["flash"]["total"], new["flash"]["weights"], new["flash"]["code"], new["ram"]["total"]])  # fmt: skip
    output.table(["network", "core", "optimize", "instructions", "predicted", "flash", "weights", "code", "RAM"], rows)
    if args.update:
        RECORD.write_text(json.dumps(old, indent=1, sort_keys=True) + "\n")
        print(f"recorded in {RECORD.relative_to(HERE.parent)}")
        return 0
    for text in differing:
        print(f"differs from the record: {text}; if that is meant, record it with --update", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
