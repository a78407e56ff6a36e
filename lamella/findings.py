"""What the numbers of a report say, in words: the verdict, and a title for each picture and table."""

from collections.abc import Mapping, Sequence
from typing import Any

# Shares that have a name; a share within NEAR of one is "about" that.
NAMED_SHARES = {1 / 4: "a quarter", 1 / 3: "a third", 1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters"}
NEAR = 0.015


def share(part: float, whole: float) -> str:
    """part / whole in words: "about two thirds", "41 %", "all"."""
    fraction = part / whole if whole else 0.0
    if fraction == 1:
        return "all"
    for named, words in NAMED_SHARES.items():
        if abs(fraction - named) <= NEAR:
            return words if fraction == named else f"about {words}"
    return f"{100 * fraction:.0f} %" if 0.01 <= fraction <= 0.99 else f"{100 * fraction:.2g} %"


def verdict(data: Mapping[str, Any]) -> list[dict]:
    """Lines {"ok": true, false or null, "text"}: bit-exact where, fits where, what was not checked."""
    lines = []
    verification, boards = data["verification"], data["boards"]
    if verification is None:
        lines.append({"ok": None, "text": "Not verified: --no-verify was given."})
    else:
        exact = [b for b in verification["boards"] if not b["mismatches"]]
        if exact:
            text = f"Bit-exact on {_list([b['board'] for b in exact])}: {exact[0]['vectors']} vectors, every output byte equal."
            lines.append({"ok": True, "text": text})
        for b in verification["boards"]:
            if b["mismatches"]:
                where = f", first in layer {b['first_divergent_layer']}" if b["first_divergent_layer"] else ""
                text = f"Not bit-exact on {b['board']}: {b['mismatches']} of {b['vectors']} vectors differ{where}."
                lines.append({"ok": False, "text": text})
        ran = {b["board"] for b in verification["boards"]}
        idle = [b["board"] for b in boards if b["board"] not in ran]
        if idle:
            lines.append({"ok": None, "text": f"Not verified on {_list(idle)}: nothing here can run it."})
    limited = [b for b in boards if b["limits"]["flash"] is not None]
    fitting = [b["board"] for b in limited if b["fits"]]
    if fitting:
        lines.append({"ok": True, "text": f"Fits {_list(fitting)}."})
    for b in limited:
        if not b["fits"]:
            over = [
                f"{b[kind]['total'] - b['limits'][kind]:,} bytes too much {word}"
                for kind, word in (("flash", "flash"), ("ram", "RAM"))
                if b[kind]["total"] > b["limits"][kind]
            ]
            lines.append({"ok": False, "text": f"Does not fit {b['board']}: {' and '.join(over)}."})
    return lines


def titles(data: Mapping[str, Any]) -> dict[str, str | None]:
    """A title for each section; None where there is nothing to show."""
    weighted = [layer for layer in data["layers"] if layer["weights"]]
    return {
        "memory": _memory(data, weighted),
        "training": _training(data["metrics"]),
        "arena": _arena(data),
        "sizes": _sizes(weighted),
        "instructions": _instructions(data),
        "levels": _levels(weighted),
        "calibration": _calibration(data["calibration"]),
        "witness": _witness(data["verification"]),
    }


def _memory(data: Mapping[str, Any], weighted: Sequence[Mapping[str, Any]]) -> str:
    entry = next(b for b in data["boards"] if b["board"] == data["detail_board"])
    flash = entry["flash"]
    words = {"weights": "weights", "code": "code", "other": "bias, multipliers, tables and the vectors of the core"}
    part = max(words, key=flash.__getitem__)
    text = f"{share(flash[part], flash['total'])} of the flash on {entry['board']} holds {words[part]}"
    heaviest = max(weighted, key=lambda layer: layer["weight_bytes"], default=None)
    if part == "weights" and len(weighted) > 1 and heaviest:
        text += f", {share(heaviest['weight_bytes'], flash['weights'])} of them those of {heaviest['name']}"
    return _sentence(text)


def _training(metrics: Mapping[str, Any] | None) -> str | None:
    if metrics is None:
        return None
    drop = metrics["drop"]
    change = f"{drop:.2f} points of accuracy" if drop > 0 else "no loss of accuracy"
    ratio = metrics["compression_vs_float32"]
    return f"{ratio:.1f} times smaller than float32 for {change}" if ratio is not None else f"Compressed for {change}"


def _arena(data: Mapping[str, Any]) -> str:
    arena = data["arena"]
    size, bound = arena["bytes"], arena["lower_bound"]
    use = [
        (sum(s["size"] for s in arena["slots"] if s["first"] <= step <= s["last"]), name)
        for step, name in enumerate(arena["steps"], -1)
    ]
    at = max(use, key=lambda pair: pair[0])[1]
    scratch = next((s["size"] for s in arena["slots"] if s["kind"] == "scratch" and s["holds"] == [at]), 0)
    if size == bound:
        compared = "exactly the lower bound"
    elif size > bound:
        compared = f"{size - bound:,} above the lower bound"
    else:
        compared = f"{bound - size:,} below the bound for plans that compute nothing in place"
    widest = f"; it is fullest at {at}" + (f", with {scratch:,} bytes of scratch" if scratch else "")
    return f"The arena takes {size:,} bytes, {compared}{widest}"


def _sizes(weighted: Sequence[Mapping[str, Any]]) -> str | None:
    count = sum(layer["weights"] for layer in weighted)
    if not count:
        return None
    bits = 8 * sum(layer["weight_bytes"] for layer in weighted) / count
    entropy = sum(layer["entropy_bits_per_weight"] * layer["weights"] for layer in weighted) / count
    return f"A weight takes {bits:.2f} bits on average, where the entropy of the levels is {entropy:.2f}"


def _instructions(data: Mapping[str, Any]) -> str | None:
    counted = [layer for layer in data["layers"] if layer.get("instructions") is not None]
    total = sum(layer["instructions"] for layer in counted)
    if not total:
        return None
    most = max(counted, key=lambda layer: layer["instructions"])
    return _sentence(
        f"{share(most['instructions'], total)} of the {millions(total)} instructions run in {most['name']}"
    )


def _levels(weighted: Sequence[Mapping[str, Any]]) -> str | None:
    ternary = [layer for layer in weighted if layer["ternary"]]
    if not weighted:
        return None
    if not ternary:
        return "No layer is ternary"
    weights = sum(layer["weights"] for layer in ternary)
    nonzero = sum(layer["weights"] * layer["density"] for layer in ternary)
    these = (
        "The only layer with weights is"
        if len(weighted) == 1
        else f"{len(ternary)} of {len(weighted)} layers with weights are"
    )
    return f"{these} ternary; {100 * nonzero / weights:.1f} % of the ternary weights are not zero"


def _witness(verification: Mapping[str, Any] | None) -> str | None:
    if verification is None:
        return None
    if not verification["onnxruntime"]["layers"]:
        share_of = verification["onnxruntime"]["max_float_difference"]
        return (
            None if share_of is None else f"No output is further than {share_of:.1g} of the largest from onnxruntime's"
        )
    most = verification["onnxruntime"]["max_layer_difference"]
    if most == 0:
        return "Every layer equals onnxruntime's on the same inputs"
    return f"On the same inputs no layer is more than {most} level{'s' if most > 1 else ''} from onnxruntime's"


def _calibration(calibration: Mapping[str, Any] | None) -> str | None:
    if calibration is None:
        return None
    worst = max(calibration["layers"], key=lambda layer: layer["added"], default=None)
    lost = f", {worst['name']} loses most" if worst else ""
    return f"Quantised here, the outputs lie {calibration['snr_db']:.0f} dB above the noise{lost}"


def millions(number: float) -> str:
    """A count for a sentence: 1.73 million, 231 thousand, 812."""
    if number >= 1e6:
        return f"{number / 1e6:.3g} million"
    return f"{number / 1e3:.3g} thousand" if number >= 1e4 else f"{number:,.0f}"


def _list(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
