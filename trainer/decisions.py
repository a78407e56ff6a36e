"""What the loop tried, what it decided, and the networks it saw on the way."""

from dataclasses import dataclass


def points_lost(before: float, after: float) -> float:
    """Percentage points between two accuracies, fractions of 1. Rounded where floats end: 0.998 to 0.988 is 1.0, not more."""
    return round(100.0 * (before - after), 9)


@dataclass(frozen=True)
class Try:
    """A rung of the ladder that a layer was trained on. bytes, instructions: of the layer, the second where a target is known;
    drop: what the network lost, in points."""

    rung: str
    bytes: int
    drop: float
    instructions: float | None = None


@dataclass(frozen=True)
class Decision:
    """What became of one layer. order counts from 1; tries in their order, the last one accepted or none.

    int8_bytes, int8_instructions: what the layer takes in int8, where it stays if no rung is accepted.
    """

    name: str
    order: int
    accepted: bool
    tries: tuple[Try, ...]
    int8_bytes: int
    int8_instructions: float | None = None

    @property
    def drop(self) -> float | None:
        """Percentage points of validation accuracy lost with the last rung tried; None where there was none."""
        return self.tries[-1].drop if self.tries else None

    def reason(self, max_drop: float) -> str:
        """In a sentence, why the layer is stored as it is."""
        refused = [t for t in self.tries if not (self.accepted and t is self.tries[-1])]
        int8 = f"int8 ({_takes(self.int8_bytes, self.int8_instructions)})"
        parts = [f"{t.rung} ({_takes(t.bytes, t.instructions)}) loses {t.drop:.2f} points" for t in refused]
        if self.accepted:
            last = self.tries[-1]
            parts.append(
                f"{last.rung} ({_takes(last.bytes, last.instructions)}) loses {last.drop:.2f}, within {max_drop:g}"
            )
        elif not self.tries:
            parts.append(f"no rung of its ladder takes less than {int8}")
        else:
            parts.append(f"more than {max_drop:g}: {int8}")
        return "; ".join(parts)


def _takes(size: int, instructions: float | None) -> str:
    counted = "" if instructions is None else f", {instructions:,.0f} instructions"
    return f"{size:,} bytes{counted}"


@dataclass(frozen=True)
class Point:
    """A network on the way: bytes of all its weights, instructions of its layers where a target is known, and validation
    accuracy. Without a target each layer is in its smallest format."""

    what: str
    bytes: int
    accuracy: float
    accepted: bool
    instructions: int | None = None
