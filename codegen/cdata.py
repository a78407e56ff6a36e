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
    """A constant array: `suffix` completes its name (conv1 + _bias), `ctype` is the element type.

    shared: layers with the same values use one array.
    """

    suffix: str
    ctype: str
    values: np.ndarray
    comment: str = ""
    is_weights: bool = False
    shared: bool = False


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


Value = int | float | None | Symbol | Array | Struct | StructArray


def walk(value: Value) -> Iterator[Value]:
    """A value and everything in it, inner before outer, in field order."""
    if isinstance(value, Struct):
        for item in value.fields.values():
            yield from walk(item)
    elif isinstance(value, StructArray):
        for item in value.items:
            yield from walk(item)
    yield value


def arrays(value: Value) -> list[Array]:
    """All arrays of numbers of a descriptor."""
    return [item for item in walk(value) if isinstance(item, Array)]


def struct_arrays(value: Value) -> list[StructArray]:
    """All arrays of structs of a descriptor."""
    return [item for item in walk(value) if isinstance(item, StructArray)]


def symbols(value: Value) -> list[str]:
    """All symbols a descriptor refers to."""
    return [item.name for item in walk(value) if isinstance(item, Symbol)]
