"""What a kernel is to the code generator: one record, defined in one file of this folder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lamella.codegen.cdata import Struct
from lamella.codegen.ir import Choice, Graph, Node, Target


@dataclass(frozen=True)
class Kernel:
    """A C function that can run an operator.

    operator: name of its record in lamella.codegen.operators.
    header, sources: files below runtime_c/ (the header's in include/) that a firmware with this kernel needs.
    options: the ways it can run this node on this target (formats, parameters) with what they take; none if it cannot.
    describe: the descriptor that the function takes as its first argument.
    requires: what a core must have (Target.features), e.g. {"mve"}; the C file is empty for others.
    """

    function: str
    operator: str
    header: str
    sources: tuple[str, ...]
    options: Callable[[Graph, Node, Target], Iterable[Choice]]
    describe: Callable[[Graph, Node], Struct]
    takes_scratch: bool = False
    takes_array: bool = False  # inputs as one array of pointers instead of one argument each
    requires: frozenset[str] = frozenset()
