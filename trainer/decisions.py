"""What the loop tried, what it decided, and the networks it saw on the way."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Try:
    """A rung of the ladder that a layer was trained on. bytes: of the layer; drop: what the network lost, in points."""

    rung: str
    bytes: int
    drop: float


@dataclass(frozen=True)
class Decision:
    """What became of one layer. order counts from 1; tries in their order, the last one accepted or none.

    int8_bytes: what the layer takes in int8, where it stays if no rung is accepted.
    """

    name: str
    order: int
    accepted: bool
    tries: tuple[Try, ...]
    int8_bytes: int

    @property
    def drop(self) -> float | None:
        """Percentage points of validation accuracy lost with the last rung tried; None where there was none."""
        return self.tries[-1].drop if self.tries else None

    def reason(self, max_drop: float) -> str:
        """In a sentence, why the layer is stored as it is."""
        refused = [t for t in self.tries if not (self.accepted and t is self.tries[-1])]
        parts = [f"{t.rung} ({t.bytes:,} bytes) loses {t.drop:.2f} points" for t in refused]
        if self.accepted:
            last = self.tries[-1]
            parts.append(f"{last.rung} ({last.bytes:,} bytes) loses {last.drop:.2f}, within {max_drop:g}")
        elif not self.tries:
            parts.append(f"no rung of its ladder takes less than int8 ({self.int8_bytes:,} bytes)")
        else:
            parts.append(f"more than {max_drop:g}: int8 ({self.int8_bytes:,} bytes)")
        return "; ".join(parts)


@dataclass(frozen=True)
class Point:
    """A network on the way: bytes of all its weights, each layer in its smallest format, and validation accuracy."""

    what: str
    bytes: int
    accuracy: float
    accepted: bool
