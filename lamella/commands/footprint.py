"""`lamella footprint`: flash, RAM and stack, before anything is flashed."""

import argparse
import json
from pathlib import Path

from lamella import arguments, output

HELP = "flash, RAM, stack and instructions of a model on one or more boards, per layer too"
EXAMPLES = """\
lamella footprint model.onnx --board qemu_microbit --board nucleo_f446re
lamella footprint model.onnx --board qemu_microbit --budget flash=64k,ram=16k
lamella footprint model.onnx --board qemu_microbit --json new.json --baseline old.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx --board B [--board B2 ...] [--budget ...] [--baseline OLD.json]."""
    arguments.add_model(parser)
    arguments.add_board(parser, several=True)
    parser.add_argument("--budget", metavar="flash=64k,ram=16k", help="exit 1 if a board needs more")
    parser.add_argument("--baseline", type=Path, metavar="OLD.json", help="show the change against an earlier --json")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if over budget."""
    from lamella import footprint

    names = arguments.boards_of(args.board)
    budget = footprint.parse_budget(args.budget) if args.budget else {}
    baseline = _baseline(args.baseline) if args.baseline else None
    arguments.check_model(args)
    result = footprint.footprint(args.model, names, arguments.graph_of(args), **arguments.how(args))
    if baseline is not None:
        result["change"] = _change(result, baseline)
    over = footprint.over_budget(result, budget)
    output.emit(args, result)
    if output.speaks(args):
        _print(result)
    for text in over:
        arguments.warn(f"lamella footprint: {text}")
    return 1 if over else 0


def _baseline(path: Path) -> dict[str, dict]:
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        return {
            entry["board"]: {"flash": entry["flash"]["total"], "ram": entry["ram"]["total"]} for entry in old["boards"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise arguments.UsageError(f"--baseline {path}: not the --json of an earlier `lamella footprint`") from None


def _change(result: dict, baseline: dict[str, dict]) -> list[dict]:
    return [
        {"board": e["board"], **{key: e[key]["total"] - baseline[e["board"]][key] for key in ("flash", "ram")}}
        for e in result["boards"]
        if e["board"] in baseline
    ]


def _print(result: dict) -> None:
    rows = []
    for e in result["boards"]:
        f, r = e["flash"], e["ram"]
        rows.append([e["board"], f["total"], f["weights"], f["code"], f["other"], r["total"], r["arena"], r["static"], r["stack"],
                     e["instructions_per_inference"], e["fits"]])  # fmt: skip
    output.table(
        ["board", "flash", "weights", "code", "other", "RAM", "arena", "static", "stack", "instructions", "fits"],
        rows,
        "bytes",
    )
    layers = [
        [e["name"], e["op"], e["details"], e["format"], e["weights"], e["density"], e["weight_bytes"], e["bits_per_weight"],
         e["macs"], e["arena_live_bytes"], e.get("instructions")]
        for e in result["layers"]
    ]  # fmt: skip
    columns = [
        "layer",
        "operator",
        "",
        "format",
        "weights",
        "density",
        "bytes",
        "bits",
        "MACs",
        "RAM live",
        "instructions",
    ]
    output.table(columns, layers, f"layers on {result['boards'][0]['board']}")
    for change in result.get("change", []):
        print(
            f"against the baseline, {change['board']}: flash {change['flash']:+,} bytes, RAM {change['ram']:+,} bytes"
        )
