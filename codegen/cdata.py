"""A C descriptor as data: the emitter prints it, the tests build it through cffi, so the two cannot differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Symbol:
    """The name of a C function or enumerator."""

    name: str


@dataclass(frozen=True)
class Array:
    """A constant array: `suffix` completes its name (conv1 + _bias), `ctype` is the element type."""

    suffix: str
    ctype: str
    values: np.ndarray
    comment: str = ""
    is_weights: bool = False


@dataclass(frozen=True)
class Struct:
    """A struct initialiser: type name (empty inside another struct) and fields in declaration order."""

    ctype: str
    fields: Mapping[str, "Value"]


@dataclass(frozen=True)
class StructArray:
    """A constant array of structs."""

    suffix: str
    ctype: str
    items: tuple[Struct, ...]


Value = int | None | Symbol | Array | Struct | StructArray


def arrays(value: Value) -> Iterator[Array]:
    """All arrays of a descriptor, innermost first, in field order."""
    if isinstance(value, Array):
        yield value
    elif isinstance(value, Struct):
        for item in value.fields.values():
            yield from arrays(item)
    elif isinstance(value, StructArray):
        for item in value.items:
            yield from arrays(item)


def struct_arrays(value: Value) -> Iterator[StructArray]:
    """All arrays of structs of a descriptor."""
    if isinstance(value, StructArray):
        yield value
    elif isinstance(value, Struct):
        for item in value.fields.values():
            yield from struct_arrays(item)


def symbols(value: Value) -> Iterator[str]:
    """All symbols a descriptor refers to."""
    if isinstance(value, Symbol):
        yield value.name
    elif isinstance(value, Struct):
        for item in value.fields.values():
            yield from symbols(item)
    elif isinstance(value, StructArray):
        for item in value.items:
            yield from symbols(item)
