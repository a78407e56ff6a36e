"""Pictures of the report: SVG by matplotlib whose colours the page decides, and small PNG images of weights.

A picture is drawn with stand-in colours, which become CSS variables: the same file is right in light and in dark.
Names from a model are plain text here: no mathematics, and escaped by matplotlib's SVG writer.
"""

import base64
import io
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import Rectangle

from lamella.output import shorten

# Stand-in colour of each CSS variable of the page.
COLOURS = {
    name: f"#0a0b{k:02x}"
    for k, name in enumerate(("text", "muted", "line", "blue", "orange", "green", "purple", "red", "on-colour"))
}
_STAND_IN = re.compile(r"#0a0b([0-9a-f]{2})\b")
_NAMES = list(COLOURS)

FLASH_PARTS = (("weights", "blue"), ("code", "orange"), ("other", "green"))
RAM_PARTS = (("arena", "blue"), ("static", "orange"), ("stack", "green"))
SLOT_COLOURS = {"input": "green", "tensor": "blue", "scratch": "orange"}

# A limit is drawn where the axis has to grow at most that much for it.
LIMIT_ON_SCALE = 3

# Red, green, blue of weights above and below zero, and the grey under both: seen on white and on black.
ABOVE, BELOW, ZERO = (47, 111, 179), (217, 130, 43), (128, 128, 128, 64)

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "text.color": COLOURS["text"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["line"],
    "ytick.labelcolor": COLOURS["text"],
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def _drawn(draw: Callable[..., Figure]) -> Callable[..., str]:
    """Makes a function that draws a figure one that gives its SVG, in our style."""

    @wraps(draw)
    def drawn(*args: Any) -> str:
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        with matplotlib.rc_context(), warnings.catch_warnings():
            matplotlib.rcdefaults()  # whatever the user's own settings are, the same bytes
            matplotlib.rcParams.update({**STYLE, "svg.hashsalt": draw.__name__})
            # The page's fonts draw the text, not matplotlib's.
            warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
            figure = draw(*args)
            buffer = io.StringIO()
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            figure.savefig(buffer, format="svg", metadata=nothing)
        return _for_page(buffer.getvalue(), figure.get_figwidth())

    return drawn


@_drawn
def memory(boards: Sequence[Mapping[str, Any]]) -> Figure:
    """Flash and RAM of each board, in parts, against its limits."""
    height = 0.9 + 0.55 * len(boards)
    figure = Figure(figsize=(9, 2 * height), layout="constrained")
    for k, (kind, parts) in enumerate((("flash", FLASH_PARTS), ("ram", RAM_PARTS))):
        axes = figure.add_subplot(2, 1, k + 1)
        names = []
        top = max(board[kind]["total"] for board in boards)
        limits = [board["limits"][kind] for board in boards]
        shown = [limit if limit is not None and limit <= LIMIT_ON_SCALE * top else None for limit in limits]
        for row, (board, limit) in enumerate(zip(boards, limits, strict=True)):
            left = 0
            for part, colour in parts:
                size = board[kind][part] or 0
                axes.barh(row, size, 0.55, left, color=COLOURS[colour], label=part if row == 0 else None)
                left += size
            if shown[row] is not None:
                axes.vlines(shown[row], row - 0.42, row + 0.42, COLOURS["red"], linewidth=2)
            names.append(f"{shorten(board['board'], 24)}\n{_of_limit(board[kind]['total'], limit)}")
        axes.set_xlim(0, 1.04 * max(top, *(limit or 0 for limit in shown)))
        _rows(axes, names)
        axes.set_xlabel(f"bytes of {'flash' if kind == 'flash' else 'RAM'}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    return figure


@_drawn
def arena(slots: Sequence[Mapping[str, Any]], steps: Sequence[str], arena_bytes: int, lower_bound: int) -> Figure:
    """What lies where in the arena while each step runs. Slots hold from step `first` to `last`, counted from -1."""
    width = min(max(9.0, 0.3 * len(steps)), 60.0)
    figure = Figure(figsize=(width, 5), layout="constrained")
    axes = figure.add_subplot()
    step_points = 72 * 0.85 * width / len(steps)
    byte_points = 72 * 3.6 / max(arena_bytes, 1)
    for slot in slots:
        x, n = slot["first"] + 1, slot["last"] - slot["first"] + 1
        colour = COLOURS[SLOT_COLOURS[slot["kind"]]]
        axes.add_patch(
            Rectangle(
                (x, slot["offset"]),
                n,
                slot["size"],
                facecolor=colour,
                edgecolor=COLOURS["on-colour"],
                linewidth=1,
            )
        )
        room = int(n * step_points / 5.8)
        if slot["size"] * byte_points < 11 or room < 4:
            continue
        words = shorten(slot["holds"][-1], room)
        if slot["size"] * byte_points > 24 and room >= len(f"{slot['size']:,} B"):
            words += f"\n{slot['size']:,} B"
        middle = (x + n / 2, slot["offset"] + slot["size"] / 2)
        axes.text(*middle, words, ha="center", va="center", fontsize=8, color=COLOURS["on-colour"])
    axes.axhline(lower_bound, color=COLOURS["red"], linestyle="--", linewidth=1.2)
    for kind in [kind for kind in SLOT_COLOURS if any(slot["kind"] == kind for slot in slots)]:
        axes.add_patch(Rectangle((0, 0), 0, 0, facecolor=COLOURS[SLOT_COLOURS[kind]], label=kind))
    axes.plot([], [], color=COLOURS["red"], linestyle="--", label=f"lower bound {lower_bound:,}")
    axes.set_xlim(0, len(steps))
    axes.set_ylim(0, 1.04 * max(arena_bytes, lower_bound, 1))
    crowded = max(len(shorten(name, 18)) for name in steps) * 5.8 > step_points
    axes.set_xticks(
        [k + 0.5 for k in range(len(steps))],
        [shorten(name, 18) for name in steps],
        rotation=90 if crowded else 0,
        color=COLOURS["text"],
    )
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelcolor=COLOURS["muted"])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("offset in the arena, bytes")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    return figure


@_drawn
def layer_sizes(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Bytes of the weights of each layer; bits per weight beside the entropy of its levels."""
    figure = Figure(figsize=(9, 1.1 + 0.36 * len(layers)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    sizes = [layer["weight_bytes"] for layer in layers]
    _bars(left, sizes, "blue", [f"{size:,} in {layer['format']}" for size, layer in zip(sizes, layers, strict=True)])
    left.set_xlim(0, 1.75 * max(sizes))
    left.set_xlabel("bytes of weights")
    bits = [layer["bits_per_weight"] for layer in layers]
    bounds = [layer["entropy_bits_per_weight"] for layer in layers]
    _bars(right, bits, "blue", [f"{a:.2f}, entropy {b:.2f}" for a, b in zip(bits, bounds, strict=True)], bounds)
    for row, bound in enumerate(bounds):
        right.vlines(bound, row - 0.4, row + 0.4, COLOURS["red"], linewidth=2)
    right.set_xlim(0, 1.65 * max(*bits, *bounds, 1))
    right.set_xlabel("bits per weight; the red mark is the entropy of the levels")
    _rows(left, [shorten(layer["name"], 26) for layer in layers])
    right.tick_params(axis="y", length=0)
    return figure


@_drawn
def layer_instructions(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Instructions of each layer, as counted."""
    figure = Figure(figsize=(9, 1.1 + 0.36 * len(layers)), layout="constrained")
    axes = figure.add_subplot()
    counts = [layer["instructions"] for layer in layers]
    words = [
        f"{n:,.0f}" + (f" ({n / layer['macs']:.2f} per MAC)" if layer["macs"] else "")
        for n, layer in zip(counts, layers, strict=True)
    ]
    _bars(axes, counts, "purple", words)
    axes.set_xlim(0, 1.3 * max(counts))
    axes.set_xlabel("instructions per inference")
    _rows(axes, [f"{shorten(layer['name'], 26)}, {layer['op']}" for layer in layers])
    return figure


@_drawn
def pareto(points: Sequence[Mapping[str, Any]], float_accuracy: float | None) -> Figure:
    """Every network that training tried: bytes of its weights and validation accuracy. The line joins those that no
    other one beats in both."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for accepted, colour, label in ((True, "green", "kept"), (False, "orange", "given up")):
        chosen = [point for point in points if point["accepted"] is accepted]
        if chosen:
            place = [point["bytes"] for point in chosen], [100 * point["accuracy"] for point in chosen]
            axes.scatter(*place, s=28, color=COLOURS[colour], label=label, zorder=3)
    best: list[Mapping[str, Any]] = []
    for point in sorted(points, key=lambda p: (p["bytes"], -p["accuracy"])):
        if not best or point["accuracy"] > best[-1]["accuracy"]:
            best.append(point)
    axes.plot([p["bytes"] for p in best], [100 * p["accuracy"] for p in best], color=COLOURS["blue"], linewidth=1.2)
    for point in best:
        words = shorten(point["what"], 26)
        axes.annotate(
            words, (point["bytes"], 100 * point["accuracy"]), (5, -11), textcoords="offset points", fontsize=8
        )
    if float_accuracy is not None:
        axes.axhline(100 * float_accuracy, color=COLOURS["line"], linestyle="--", linewidth=1)
    axes.set_xlabel("bytes of all weights")
    axes.set_ylabel("validation accuracy, %; dashed: float")
    axes.margins(x=0.18, y=0.12)
    axes.legend(frameon=False, loc="lower right")
    return figure


@_drawn
def training(metrics: Mapping[str, Any]) -> Figure:
    """How much smaller each layer became and, where it was recorded, the drop after each layer was collapsed."""
    layers = metrics["layers"]
    tried = [layer for layer in layers if layer["order"] is not None and layer["validation_drop"] is not None]
    tried.sort(key=lambda layer: layer["order"])
    figure = Figure(figsize=(9, 1.3 + 0.36 * len(layers)), layout="constrained")
    axes = figure.add_subplot(1, 2 if tried else 1, 1)
    ratios = [4 * layer["weights"] / max(layer["bytes"], 1) for layer in layers]
    _bars(axes, ratios, "blue", [f"{r:.1f}x as {layer['format']}" for r, layer in zip(ratios, layers, strict=True)])
    axes.set_xlim(0, 1.75 * max(ratios))
    axes.set_xlabel("times smaller than float32")
    _rows(axes, [shorten(layer["name"], 26) for layer in layers])
    if tried:
        axes = figure.add_subplot(1, 2, 2)
        for row, layer in enumerate(tried):
            drop = layer["validation_drop"]
            axes.barh(row, drop, 0.6, color=COLOURS["green" if layer["accepted"] else "orange"])
            words = f"{drop:+.2f}" + ("" if layer["accepted"] else ", left as it was")
            axes.annotate(words, (max(drop, 0), row), (4, 0), textcoords="offset points", va="center")
        axes.axvline(0, color=COLOURS["line"], linewidth=1)
        drops = [layer["validation_drop"] for layer in tried]
        if metrics["max_drop"] is not None:
            axes.axvline(metrics["max_drop"], color=COLOURS["red"], linestyle="--", linewidth=1.2)
            drops.append(metrics["max_drop"])
        low, high = min(0, *drops), max(0, *drops)
        axes.set_xlim(low - 0.02, high + 0.6 * (high - low or 1))
        axes.set_xlabel("validation drop in points after each layer; dashed: the bound")
        _rows(axes, [f"{layer['order']}. {shorten(layer['name'], 22)}" for layer in tried])
    return figure


def kernels(levels: np.ndarray, most: int = 64, across: int = 16) -> dict[str, Any]:
    """The first kernels of a convolution (out, in, rows, cols): one column of up to three inputs for each output."""
    shown = levels[:most, :3].astype(np.float64)
    columns = []
    for kernel in shown:
        tiles = [np.pad(_colours(tile, np.abs(shown).max()), ((0, 1), (0, 1), (0, 0))) for tile in kernel]
        columns.append(np.concatenate(tiles, axis=0))
    across = min(across, len(columns))
    columns += [np.zeros_like(columns[0])] * (-len(columns) % across)
    rows = [np.concatenate(columns[k : k + across], axis=1) for k in range(0, len(columns), across)]
    image = np.concatenate([np.pad(row, ((0, 1), (0, 0), (0, 0))) for row in rows], axis=0)[:-2, :-1]
    return {**_png(image), "outputs": len(shown), "inputs": shown.shape[1]}


def rows_of_levels(levels: np.ndarray, most_rows: int = 64, most_columns: int = 160) -> dict[str, Any]:
    """The first weights of the first outputs of a layer; a row is an output."""
    rows = levels.reshape(len(levels), -1)[:most_rows, :most_columns].astype(np.float64)
    return {**_png(_colours(rows, np.abs(rows).max())), "outputs": rows.shape[0], "inputs": rows.shape[1]}


def _of_limit(size: int, limit: int | None) -> str:
    return f"{size:,}" if limit is None else f"{size:,} of {limit:,}"


def _bars(
    axes, values: Sequence[float], colour: str, words: Sequence[str], reach: Sequence[float] | None = None
) -> None:
    """Horizontal bars, each with words behind it, and behind `reach` where that is further."""
    axes.barh(range(len(values)), values, 0.6, color=COLOURS[colour])
    for row, (value, text) in enumerate(zip(values, words, strict=True)):
        end = max(value, reach[row]) if reach else value
        axes.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8)


def _rows(axes, names: Sequence[str]) -> None:
    """Names at the left, the first one on top; thousands apart below."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.get_major_locator().set_params(nbins=5)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x == round(x) else f"{x:.10g}")


def _for_page(text: str, width: float) -> str:
    """The svg element alone, as wide as the page lets it, in the page's colours, without ids that several have."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'<g id="[\w.]+_\d+">', "<g>", text)
    box = re.search(r'viewBox="[^"]*"', text)[0]
    head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" {box}'
    text = f'{head} style="min-width: {70 * width:.0f}px; width: 100%" role="img">' + text[text.index(">") + 1 :]
    return _STAND_IN.sub(lambda m: f"var(--{_NAMES[int(m[1], 16)]})", text)


def _colours(levels: np.ndarray, largest: float) -> np.ndarray:
    """RGBA of levels (rows, cols): one colour above zero, one below, the stronger the further."""
    image = np.full((*levels.shape, 4), ZERO, np.uint8)
    strength = np.abs(levels) / max(largest, 1)
    for mask, colour in ((levels > 0, ABOVE), (levels < 0, BELOW)):
        image[mask, :3] = colour
        image[mask, 3] = np.round(ZERO[3] + (255 - ZERO[3]) * strength[mask])
    return image


def _png(image: np.ndarray) -> dict[str, Any]:
    """A PNG as data URI, with its size in pixels."""
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(image), format="png", metadata={"Software": None})
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"uri": uri, "width": image.shape[1], "height": image.shape[0]}
