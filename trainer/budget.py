"""The question turned round: the best accuracy that fits a number of bytes, or of instructions.

From all layers in int8, the network goes down one rung of one layer at a time, always the one that loses the least
accuracy for what it saves, until it fits; training follows every step. What a step would lose is measured before
training, on part of the validation split.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lamella.trainer import integer, ladder
from lamella.trainer.decisions import Decision, Try, points_lost
from lamella.trainer.frozen import FrozenNetwork
from lamella.trainer.run import Run
from lamella.trainer.sizes import Price

#: Validation samples that steps are compared on.
SAMPLES = 1000
#: A step whose loss cannot be measured counts as so much: between two such the larger saving wins.
LEAST_LOSS = 1.0 / SAMPLES


@dataclass(frozen=True)
class Budget:
    """What a network may take. measure(network): what it takes, such as the flash of its firmware."""

    most: int
    measure: Callable[[FrozenNetwork], int]
    unit: str = "bytes"


@dataclass(frozen=True)
class _Step:
    name: str
    rung: ladder.Rung
    saved: float
    lost: float

    @property
    def worth(self) -> float:
        return max(self.lost, LEAST_LOSS) / self.saved


def shrink(run: Run, ladder_of: ladder.Ladder, within: Budget) -> bool:
    """Goes down until the network fits; False if it does not on the lowest rungs of all layers."""
    while (size := within.measure(run.frozen())) > within.most:
        step = _best(run, ladder_of)
        if step is None:
            return False
        before = run.price(step.name)
        run.set_rule(step.name, step.rung.rule)
        run.train(
            f"{size - within.most:,} {within.unit} too many: {step.name} to {step.rung.name}", run.options.layer_epochs
        )
        run.points.append(run.point(f"{step.name}: {step.rung.name}"))
        _note(run, step, before)
        run.save()
    return True


def _best(run: Run, ladder_of: ladder.Ladder) -> _Step | None:
    """The step of least loss a byte."""
    batches, count = [], 0
    for x, y in run.validation:
        batches.append((x, y))
        count += len(y)
        if count >= SAMPLES:
            break
    now = integer.accuracy(run.frozen(), batches)
    steps = []
    for name in run.candidates():
        at = run.price(name).cost
        for rung in ladder_of.rungs(name, lambda rule, name=name: run.price_with(name, rule), at):
            steps.append(_Step(name, rung, at - rung.price.cost, now - run.accuracy_with(name, rung.rule, batches)))
    return min(steps, key=lambda step: (step.worth, -step.saved), default=None)


def _note(run: Run, step: _Step, before: Price) -> None:
    """The layer's decision, with this step behind those that it took before."""
    drop = points_lost(run.float_accuracy, run.points[-1].accuracy)
    price = run.price(step.name)
    tried = Try(step.rung.name, price.bytes, drop, price.instructions)
    known = next((d for d in run.decisions if d.name == step.name), None)
    order = run.order.index(step.name) + 1
    if known is None:
        run.decisions.append(Decision(step.name, order, True, (tried,), before.bytes, before.instructions))
    else:
        at = run.decisions.index(known)
        run.decisions[at] = replace(known, tries=(*known.tries, tried))
