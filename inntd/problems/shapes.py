"""Scalars, vectors and matrices of separated sums: nested lists, and what may be done entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from inntd.problems.algebra import Terms
from inntd.problems.text import shorten

Value: TypeAlias = "Terms | list[Any]"  # a separated sum, or a list of components, or a list of rows
Shape: TypeAlias = "tuple[int, ...]"


class ShapeError(ValueError):
    """A scalar where a vector is needed, vectors of different lengths, and so on."""


def shape_of(value: Value) -> Shape:
    """Return () for a scalar, (n,) for a vector, (m, n) for a matrix."""
    return () if isinstance(value, dict) else (len(value), *shape_of(value[0]))


def shown_shape(shape: Shape) -> str:
    """Return the name of a shape, for messages."""
    if len(shape) < 2:
        return f"vector of {shape[0]}" if shape else "scalar"
    return " x ".join(map(str, shape)) + " matrix"


def each(function: Callable[[Terms], Value], value: Value) -> Value:
    """Apply a function to every entry."""
    return function(value) if isinstance(value, dict) else [each(function, entry) for entry in value]


def combine(add: Callable[[Iterable[Terms]], Terms], values: Sequence[Value], shown: Sequence[Any]) -> Value:
    """Add values of equal shapes, entry by entry; a zero scalar goes with every shape."""
    scalars = [value for value in values if isinstance(value, dict)]
    if len(scalars) == len(values):
        return add(scalars)
    kept = [(value, text) for value, text in zip(values, shown, strict=True) if value != {}]
    first, text = kept[0]
    for other, its in kept[1:]:
        if shape_of(other) != shape_of(first):
            raise ShapeError(
                f"a {shown_shape(shape_of(first))} and a {shown_shape(shape_of(other))} cannot be added: "
                f"{shorten(text)} and {shorten(its)}"
            )
    return _sum(add, [value for value, _ in kept])


def _sum(add: Callable[[Iterable[Terms]], Terms], values: Sequence[Value]) -> Value:
    if isinstance(values[0], dict):
        return add(value for value in values if isinstance(value, dict))
    return [_sum(add, entries) for entries in zip(*values, strict=True)]
