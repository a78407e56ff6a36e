"""The four networks of MLPerf Tiny in int8 beside TensorFlow Lite Micro: RAM, code and instructions of one inference.

    python benchmarks/mlperf.py             measure and compare with the record
    python benchmarks/mlperf.py --update    measure and record
    python benchmarks/mlperf.py --show      print the record

ResNet-8 and DS-CNN are the reference files (tests/models), MobileNetV1 and the autoencoder have their architectures and
random weights. Counts are those of QEMU, RAM is arena + static + the deepest stack.
"""

import argparse
import json
import sys
from pathlib import Path

from lamella import arguments, boards, footprint, output, pipeline
from lamella.codegen.ir import Graph

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import networks
from costs import MEASURED_ON, version
from whole import predicted

RECORD = HERE / "mlperf.json"
MODELS = HERE.parent / "tests" / "models"
CORES = ("cortex-m4", "cortex-m3", "cortex-m55", "cortex-m0")
#: TensorFlow Lite Micro with CMSIS-NN on the same networks: bytes of RAM (arena and stack) and of code, instructions by core.
#: Kernels at -O2, core at -Os, error strings stripped, as its makefile does; M3 and M55 with -O3.
TFLM = {
    "resnet8": (56000, 50900, {"cortex-m4": 29.9e6, "cortex-m3": 41.8e6, "cortex-m55": 4.8e6}),
    "dscnn": (23800, 53100, {"cortex-m4": 7.7e6, "cortex-m3": 10.5e6, "cortex-m55": 1.8e6}),
    "mobilenet": (101700, 53100, {"cortex-m4": 24.1e6, "cortex-m3": 32.1e6, "cortex-m55": 6.4e6}),
    "autoencoder": (3300, 26900, {"cortex-m4": 0.58e6, "cortex-m3": 0.96e6, "cortex-m55": 0.15e6}),
}
#: How each network is generated: with the default options, in half of TensorFlow Lite Micro's RAM, in as little as is reasonable.
WAYS = {
    "resnet8": ("", "--within ram=28000", "--optimize ram --input rows"),
    "dscnn": ("", "--within ram=11900", "--optimize ram"),
    "mobilenet": ("", "--within ram=50850 --input rows", "--optimize ram --input rows"),
    "autoencoder": ("", "--within ram=1650", "--optimize ram"),
}


def everything() -> dict[str, Graph]:
    """The networks by name."""
    return {
        "resnet8": pipeline.read_graph(MODELS / "mlperf_tiny_resnet8_cifar10_int8.tflite"),
        "dscnn": pipeline.read_graph(MODELS / "mlperf_tiny_dscnn_kws_int8.tflite"),
        "mobilenet": networks.mobilenet(),
        "autoencoder": networks.autoencoder(),
    }


def measure(graph: Graph, core: str, way: str) -> dict:
    """What is recorded of a network on a core, generated with these options of the command line."""
    how = arguments.how(_PARSER.parse_args(["model", *way.split(), "--name", "network"]))
    compiled = pipeline.compile_graph(graph, Path(graph.name), "0" * 64, MEASURED_ON[core], **how)
    entry = footprint.measure(compiled)
    return {
        "ram": entry["ram"]["total"],
        "arena": entry["ram"]["arena"],
        "code": entry["flash"]["code"],
        "weights": entry["flash"]["weights"],
        "instructions": round(entry["instructions_per_inference"]),
        "predicted": round(predicted(compiled)),
    }


_PARSER = argparse.ArgumentParser()
arguments.add_model(_PARSER)


def recorded() -> dict:
    """compiler -> network -> core -> options -> numbers."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def table(record: dict) -> tuple[list[str], list[list]]:
    """Columns and rows; the last three columns are shares of what TensorFlow Lite Micro takes."""
    rows = []
    for name, (ram, code, instructions) in TFLM.items():
        for core, found in record[name].items():
            for way, n in found.items():
                theirs = instructions.get(core)
                share = n["instructions"] / theirs if theirs else None
                rows.append(
                    [name, core.removeprefix("cortex-").upper(), way, n["ram"], n["code"], n["weights"], n["instructions"],
                     n["ram"] / ram, n["code"] / code, share]
                )  # fmt: skip
    columns = ["network", "core", "generated with", "RAM", "code", "weights", "instructions"]
    return [*columns, "RAM / TFLM", "code / TFLM", "instructions / TFLM"], rows


def main() -> int:
    """Measure, print, compare or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="append", choices=CORES)
    parser.add_argument("--network", action="append", choices=TFLM)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    old, differing = recorded(), []
    if not args.show:
        graphs = everything()
        for core in args.core or CORES:
            place = old.setdefault(version(boards.load(MEASURED_ON[core])), {})
            for name in args.network or graphs:
                for way in WAYS[name]:
                    found = place.setdefault(name, {}).setdefault(core, {})
                    new = measure(graphs[name], core, way)
                    if found.get(way) not in (None, new):
                        differing.append(f"{name} on {core}, {way}: {found[way]} -> {new}")
                    found[way] = new
                    print(name, core, way, new, file=sys.stderr, flush=True)
    for place in old.values():
        if set(place) == set(TFLM):
            output.table(*table(place))
    if args.update:
        RECORD.write_text(json.dumps(old, indent=1, sort_keys=True) + "\n")
        return 0
    print(*differing, sep="\n")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
