"""Strong forms as expressions in the derivatives of the unknowns: operators are carried out, nothing is separated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sympy

from inntd.axes import Axis
from inntd.problems.fields import FieldSymbol
from inntd.problems.nodes import (
    Components,
    Divergence,
    Dot,
    Entry,
    Gradient,
    Identity,
    Inner,
    Laplacian,
    Operator,
    Partial,
    Symmetric,
    TimeDerivative,
    Trace,
    Transpose,
)
from inntd.problems.text import shorten

#: A scalar, or nested lists of scalars: a vector, or the rows of a matrix.
Value: TypeAlias = Any


@dataclass
class Explicit:
    """Carries out the operators in expressions over some axes.

    Parameters
    ----------
    axes
        Those of the unknowns, a component axis among them or not.

    Examples
    --------
    >>> import inntd as it
    >>> x, t = it.Axis("x", 0, 1, elements=4), it.Axis("t", 0, 1, elements=4, kind="time")
    >>> u = it.unknown("u", x, t)
    >>> Explicit((x, t))(it.dt(u) - it.div(u * it.grad(u)))
    diff(u, t) - diff(u, x)**2 - diff(u, x, 2)*u
    """

    axes: Sequence[Axis]
    _known: dict[sympy.Basic, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.space = [axis._sympy_() for axis in self.axes if axis.kind == "space"]
        self.time = [axis._sympy_() for axis in self.axes if axis.kind == "time"]

    def __call__(self, expression: sympy.Expr) -> Value:
        """Return the expression without operators: a scalar, or nested lists of scalars."""
        if expression not in self._known:
            self._known[expression] = self._value(expression)
        return self._known[expression]

    def _value(self, e: sympy.Expr) -> Value:
        if isinstance(e, FieldSymbol):
            count = getattr(e.field, "components", None)
            if e.component is None and count is not None:
                return [FieldSymbol(e.field, e.index, component=k) for k in range(count)]
            return e
        if isinstance(e, Operator):
            return self._operated(e)
        if not e.atoms(Operator, FieldSymbol):
            return e
        values = [self(argument) if isinstance(argument, sympy.Expr) else argument for argument in e.args]
        if e.is_Add:
            return _sum(values, e)
        if e.is_Mul:
            return _product(values, e)
        if any(isinstance(value, list) for value in values):
            raise ValueError(f"{shorten(e)} takes a function of a vector; take it of the components")
        if isinstance(e, sympy.Piecewise):
            pairs = [(self(value), condition) for value, condition in e.args]
            return sympy.Piecewise(*pairs)
        return e.func(*values)

    def _operated(self, e: Operator) -> Value:
        inner = [self(argument) if isinstance(argument, sympy.Expr) else argument for argument in e.args]
        match e:
            case Partial():
                return _each(lambda part: part.diff(e.args[1]), inner[0])
            case TimeDerivative():
                return _each(lambda part: part.diff(self.time[0]), inner[0])
            case Laplacian():
                return _each(lambda part: sympy.Add(*(part.diff(x, 2) for x in self.space)), inner[0])
            case Gradient():
                return _each(lambda part: [part.diff(x) for x in self.space], inner[0])
            case Divergence():
                return _rows(lambda row: _contract([row[d].diff(x) for d, x in enumerate(self.space)]), inner[0])
            case Components():
                return inner
            case Entry():
                return inner[0][int(e.args[1])]
            case Dot():
                return _dot(inner[0], inner[1])
            case Inner():
                pairs = zip(_flat(inner[0]), _flat(inner[1]), strict=True)
                return sympy.Add(*(a * b for a, b in pairs))
            case Trace():
                return sympy.Add(*(row[i] for i, row in enumerate(inner[0])))
            case Transpose():
                return [list(column) for column in zip(*inner[0], strict=True)]
            case Symmetric():
                count = range(len(inner[0]))
                return [[(inner[0][i][j] + inner[0][j][i]) / 2 for j in count] for i in count]
            case Identity():
                return [[sympy.Integer(i == j) for j in range(len(self.space))] for i in range(len(self.space))]
        raise ValueError(f"{shorten(e)} has no meaning in a strong form")


def _each(function: Callable[[sympy.Expr], Value], value: Value) -> Value:
    return [_each(function, part) for part in value] if isinstance(value, list) else function(sympy.sympify(value))


def _rows(function: Callable[[list[Value]], Value], value: list[Value]) -> Value:
    return [function(row) for row in value] if isinstance(value[0], list) else function(value)


def _contract(parts: Sequence[Value]) -> sympy.Expr:
    return sympy.Add(*parts)


def _dot(left: list[Value], right: list[Value]) -> Value:
    def with_row(row: list[Value]) -> Value:
        if not isinstance(right[0], list):
            return _contract([a * b for a, b in zip(row, right, strict=True)])
        return [_contract([a * b for a, b in zip(row, column, strict=True)]) for column in zip(*right, strict=True)]

    return _rows(with_row, left)


def _flat(value: Value) -> list[sympy.Expr]:
    return [entry for part in value for entry in _flat(part)] if isinstance(value, list) else [value]


def _sum(values: Sequence[Value], whole: sympy.Expr) -> Value:
    lists = [value for value in values if isinstance(value, list)]
    if not lists:
        return sympy.Add(*values)
    if len(lists) < len(values) or len({len(value) for value in lists}) > 1:
        raise ValueError(f"{shorten(whole)} adds vectors of different lengths, or a vector and a scalar")
    return [_sum(parts, whole) for parts in zip(*values, strict=True)]


def _product(values: Sequence[Value], whole: sympy.Expr) -> Value:
    tensors = [value for value in values if isinstance(value, list)]
    factor = sympy.Mul(*(value for value in values if not isinstance(value, list)))
    if len(tensors) > 1:
        raise ValueError(f"{shorten(whole)} multiplies two vectors; use dot(a, b) or inner(a, b)")
    return _each(lambda part: factor * part, tensors[0]) if tensors else factor
