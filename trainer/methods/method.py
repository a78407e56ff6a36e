"""What a method of compression is: a record. lamella.trainer.methods.train runs it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lamella.trainer.rules import WeightRule


@dataclass(frozen=True)
class Method:
    """A published method, as it is run here.

    reading: what the paper leaves open or does otherwise, and what is done here.
    rule: of the layers that are compressed; the others are int8. None: layer-wise compression decides.
    saliency: what pruning ranks weights by (lamella.trainer.saliency); None: no weight is pruned.
    prepare(model, example): changes a copy of the float network first; module names that it splits stay as prefixes.
    keeps_ends: the first and the last layer stay int8, as the paper leaves them in floating point (unless they are large).
    """

    name: str
    year: int
    paper: str
    reading: str
    rule: WeightRule | None
    saliency: str | None = None
    prepare: Callable[[nn.Module, Tensor], nn.Module] | None = None
    keeps_ends: bool = False
