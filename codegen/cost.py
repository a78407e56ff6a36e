"""What a choice costs in instructions: the events it counts (Choice.work) times what each takes on a core.

The tables, costs/<core>.json, are measured: benchmarks/costs.py runs every kernel over many shapes in QEMU, counts,
and fits the price of each event. A table holds one set of prices for each level of the compiler's optimisation,
and the bytes of every section of the runtime (a function, or its constants) with the sections that it refers to.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from lamella.codegen.ir import Choice, Target

TABLES = Path(__file__).resolve().parent / "costs"

#: Cores without a table of their own, and the one that is nearest.
NEAREST = {"host": "cortex-m4"}


@cache
def table(core: str) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """The table of a core: level of optimisation -> "events" or "bytes" -> name -> number."""
    path = TABLES / f"{NEAREST.get(core, core)}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def instructions(choice: Choice, target: Target) -> float | None:
    """Instructions of one inference; None where an event has not been measured."""
    prices = table(target.core).get(target.level, {}).get("events", {})
    if any(name not in prices for name in choice.work):
        return None
    return sum(count * prices[name] for name, count in choice.work.items())


@cache
def code(core: str, level: str, roots: frozenset[str]) -> frozenset[str]:
    """The sections of the runtime that a program with these functions keeps, as a linker finds them."""
    refers = table(core).get(level, {}).get("refers", {})
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(refers.get(name, ()))
    return frozenset(found)


def code_bytes(sections: Iterable[str], target: Target) -> int:
    """Bytes of code and constants of some sections; 0 for those not measured."""
    measured = table(target.core).get(target.level, {}).get("bytes", {})
    return sum(measured.get(name, 0) for name in sections)
