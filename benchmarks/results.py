"""The tables of docs/results.md: what lies in examples/ as metrics.json, compare.json and ablation.json, and the record of
benchmarks/mlperf.py.

python benchmarks/results.py             compare; exit 1 if the document says something else
python benchmarks/results.py --update    write the tables
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
DOCUMENT = ROOT / "docs" / "results.md"


def results(file: str) -> Iterator[tuple[str, dict]]:
    """Name of the example and content of each file of that name."""
    for path in sorted(EXAMPLES.glob(f"*/{file}")):
        yield path.parent.name, json.loads(path.read_text(encoding="utf-8"))


def table(head: str, rows: list[str]) -> str:
    """A table in Markdown; rows without their outer bars."""
    rule = "---|" * len(head.split("|"))
    return "".join(f"{line}\n" for line in (f"| {head} |", f"|{rule}", *(f"| {row} |" for row in rows)))


def examples() -> str:
    """Accuracies in per cent, drop in points, weights as the default and as --optimize flash store them."""
    rows = []
    for name, metrics in results("metrics.json"):
        small = metrics["smallest"]
        rows.append(
            f"`{name}` | {metrics['weights']:,} | {100 * metrics['float_accuracy']:.2f} | {100 * metrics['accuracy']:.2f} "
            f"| {metrics['drop']:.2f} | {metrics['test_samples']:,} | {100 * metrics['sparsity']:.1f} "
            f"| {metrics['weight_bytes']:,} | {metrics['compression_vs_float32']:.1f} "
            f"| {small['weight_bytes']:,} | {small['compression_vs_float32']:.1f} | {metrics['epochs']}"
        )
    head = (
        "example | weights | float % | integers % | drop | samples | zeros % | bytes | smaller | least bytes | smaller"
    )
    return table(f"{head} | epochs", rows)


def methods() -> str:
    """Each comparison of methods: least bytes first."""
    parts = []
    for name, report in results("compare.json"):
        done = [m for m in report["methods"].values() if "error" not in m]
        rows = [
            f"`{m['method']}` | {100 * m['accuracy']:.2f} | {m['drop']:+.2f} | {100 * m['sparsity']:.1f} "
            f"| {m['weight_bytes']:,} | {m['compression_vs_float32']:.1f} "
            f"| {m['smallest']['weight_bytes']:,} | {m['smallest']['compression_vs_float32']:.1f} "
            f"| {', '.join(m['formats'])}"
            for m in sorted(done, key=lambda m: m["smallest"]["weight_bytes"])
        ]
        refused = [f"`{key}`: {m['error']}\n" for key, m in report["methods"].items() if "error" in m]
        before = (
            f"`{name}`, {report['float']['weights']:,} weights, {100 * report['float']['accuracy']:.2f} % as float, "
            f"{report['epochs']} epochs each:\n\n"
        )
        head = "method | integers % | drop | zeros % | bytes | smaller | least bytes | smaller | formats"
        parts.append(before + table(head, rows) + "".join(f"\n{line}" for line in refused))
    return "\n".join(parts)


def options() -> str:
    """Each ablation: what one other value of an option changes."""
    parts = []
    for name, report in results("ablation.json"):
        base = report["variants"]["recipe"]
        rows = [
            f"`{key}` | {100 * v['accuracy']:.2f} | {v['drop']:+.2f} | {v['drop'] - base['drop']:+.2f} | {v['bytes']:,} "
            f"| {100 * (v['bytes'] / base['bytes'] - 1):+.0f} % | {len(v['collapsed'])} | {v['epochs']}"
            for key, v in report["variants"].items()
        ]
        compress = report["recipe"]["compress"]
        before = f"`{name}`, sparsity {compress['sparsity']:g}, max_drop {compress['max_drop']:g}, seed {compress['seed']}:\n\n"
        head = "option | integers % | drop | more | bytes | more | collapsed | epochs"
        parts.append(before + table(head, rows))
    return "\n".join(parts)


def mlperf_tiny() -> str:
    """benchmarks/mlperf.json: bytes and instructions, and their share of what TensorFlow Lite Micro takes."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import mlperf

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    rows = []
    for record in mlperf.recorded().values():
        for name, core, way, ram, code, weights, count, *shares in mlperf.table(record)[1]:
            ram_share, code_share, count_share = map(share, shares)
            rows.append(
                f"{name} | {core} | {f'`{way}`' if way else ''} | {ram:,} | {ram_share} | {code:,} | {code_share} "
                f"| {weights:,} | {count / 1e6:.2f} M | {count_share}"
            )
    return table("network | core | options | RAM | of TFLM | code | of TFLM | weights | instructions | of TFLM", rows)


#: What stands between the marks of each name in the document.
SECTIONS = {"examples": examples, "methods": methods, "options": options, "mlperf": mlperf_tiny}


def document() -> str:
    """docs/results.md with the tables of now."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, write in SECTIONS.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        head, rest = text.split(begin)
        text = head + begin + write() + end + rest.split(end)[1]
    return text


def main() -> int:
    """Compare or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the tables")
    args = parser.parse_args()
    if args.update:
        DOCUMENT.write_text(document(), encoding="utf-8")
    for write in SECTIONS.values():
        sys.stdout.write(f"{write()}\n")
    return int(document() != DOCUMENT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
