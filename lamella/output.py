"""What commands print: JSON for machines, tables and progress bars for people."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lamella import files

#: In a log, progress is worth a line so often.
SECONDS_BETWEEN_LINES = 60.0


def emit(args: argparse.Namespace, data: dict[str, Any]) -> None:
    """Write what --json asks for: to a file, or to standard output for "-"."""
    if not args.json:
        return
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
        return
    files.replace(args.json, lambda file: file.write(text.encode()), "--json")


def shorten(text: str, most: int) -> str:
    """Text of at most `most` characters, the middle left out; what cannot be printed is a dot."""
    text = "".join(c if c.isprintable() else "." for c in text)
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return text[:head] + "…" + text[len(text) - (most - 1 - head) :]


def speaks(args: argparse.Namespace) -> bool:
    """Whether a person reads standard output."""
    return not args.quiet and args.json != "-"


def table(columns: list[str], rows: list[list[Any]], title: str | None = None) -> None:
    """Print a table; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(*[], title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for k, column in enumerate(columns):
        numeric = all(isinstance(row[k], (int, float, type(None))) or str(row[k])[:1].isdigit() for row in rows)
        shown.add_column(column, justify="right" if numeric and rows else "left", no_wrap=not sys.stdout.isatty())
    for row in rows:
        shown.add_row(*[text(value) for value in row])
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(shown)


def text(value: Any) -> str:
    """A cell: thousands apart, missing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("[", r"\[")


@contextmanager
def progress(args: argparse.Namespace, label: str) -> Iterator[Any]:
    """A function (done, all) that moves a progress bar on a terminal; in a log it writes a line a minute."""
    if args.quiet:
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        yield _line_a_minute(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line_a_minute(label: str) -> Callable[[int, int | None], None]:
    last = time.monotonic()
    begun: tuple[float, int] | None = None  # when, and with how much done already: a resumed run has some

    def step(done: int, total: int | None) -> None:
        nonlocal last, begun
        now = time.monotonic()
        begun = begun or (now, done)
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        left = ""
        if total and done > begun[1]:
            left = f" of {total}, {(now - begun[0]) * (total - done) / (done - begun[1]) / 60:.0f} min left"
        print(f"{label}: {done}{left}", file=sys.stderr, flush=True)

    return step
