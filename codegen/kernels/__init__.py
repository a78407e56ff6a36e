"""Kernels the generator knows: every module of this folder that defines KERNEL."""

import importlib
import pkgutil
from functools import cache

from lamella.codegen.ir import Choice, Graph, Node, Target
from lamella.codegen.kernels.record import Kernel

__all__ = ["Kernel", "get", "kernels", "of_operator", "options"]


@cache
def kernels() -> dict[str, Kernel]:
    """All kernels by the name of their C function, in alphabetical order of the modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {m.KERNEL.function: m.KERNEL for m in modules if hasattr(m, "KERNEL")}


def get(function: str) -> Kernel:
    """The kernel with that C function."""
    return kernels()[function]


@cache
def of_operator(operator: str) -> tuple[Kernel, ...]:
    """The kernels that can run an operator."""
    return tuple(k for k in kernels().values() if k.operator == operator)


def options(graph: Graph, node: Node, target: Target) -> list[Choice]:
    """Every way to run a node on a target."""
    able = (k for k in of_operator(node.op) if k.requires <= target.features)
    return [choice for kernel in able for choice in kernel.options(graph, node, target)]
