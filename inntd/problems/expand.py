"""From a SymPy expression to a separated sum: the walk over the expression, exact at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sympy
from sympy.core.function import AppliedUndef

from inntd.axes import Axis
from inntd.problems import calculus, functions
from inntd.problems.algebra import (
    COORDINATE,
    MAX_TERMS,
    NOTHING,
    Algebra,
    BeyondLinear,
    Index,
    Inseparable,
    LinearityError,
    SeparationError,
    Span,
    Terms,
    no_derivative,
)
from inntd.problems.fields import FieldSymbol, TestFunction, Unknown
from inntd.problems.nodes import Operator
from inntd.problems.pieces import jump_along
from inntd.problems.shapes import ShapeError, Value, combine, each, shape_of, shown_shape
from inntd.problems.text import shorten

_NO = frozenset[int]()
_MAX_PRODUCTS = 5 * MAX_TERMS  # that the expansion of one product of sums may take
_NOT_FUNCTIONS = (
    AppliedUndef,
    sympy.Derivative,
    sympy.Integral,
    sympy.Subs,
    sympy.Sum,
    sympy.Product,
    sympy.DiracDelta,
)


class Scope(NamedTuple):
    """What an expression depends on."""

    axes: frozenset[int]
    fields: bool  # holds an unknown or a test function
    plain: bool  # holds neither fields nor differential operators: a function of the coordinates


@dataclass(frozen=True)
class Slot:
    """Where an unknown or a test function lives on the component axis.

    Parameters
    ----------
    axis
        Position of the component axis, None in a problem for one scalar.
    first
        Its first component.
    count
        Its number of components, None for a scalar.
    """

    axis: int | None = None
    first: int = 0
    count: int | None = None


class Separator(Algebra):
    """Turns SymPy expressions over some axes into separated sums.

    Parameters
    ----------
    axes
        Of the unknown, the component axis included.
    slots
        Where each unknown and each test function lives on the component axis; by default all are the one scalar.
    """

    def __init__(self, axes: Sequence[Axis], slots: Mapping[Unknown | TestFunction, Slot] | None = None) -> None:
        super().__init__(axes)
        self.slots = dict(slots or {})
        self._position = {axis.name: i for i, axis in enumerate(self.axes)}
        self._scopes: dict[sympy.Basic, Scope] = {}
        self._memo: dict[sympy.Expr, Value] = {}
        self._one_dimensional: dict[sympy.Expr, sympy.Expr] = {}

    def scope(self, expression: sympy.Basic) -> Scope:
        """Return what an expression depends on, refusing what is no function of the axes."""
        known = self._scopes.get(expression)
        if known is None:
            known = self._scopes[expression] = self._find_scope(expression)
        return known

    def _find_scope(self, expression: sympy.Basic) -> Scope:
        if isinstance(expression, FieldSymbol):
            return Scope(_NO, True, False)
        if isinstance(expression, sympy.Symbol):
            return Scope(frozenset([self._position[expression.name]]), False, True)
        if not expression.args and not isinstance(expression, Operator):
            return Scope(_NO, False, True)
        if isinstance(expression, _NOT_FUNCTIONS):
            raise ValueError(f"{expression} is no function that can be computed; use diff, named functions, indicator")
        parts = [self.scope(argument) for argument in expression.args]
        own = not isinstance(expression, Operator)
        return Scope(
            _NO.union(*(part.axes for part in parts)),
            any(part.fields for part in parts),
            own and all(part.plain for part in parts),
        )

    def terms(self, expression: sympy.Expr) -> Terms:
        """Return a scalar expression as a sum of separated terms."""
        value = self.value(expression)
        if isinstance(value, list):
            raise ShapeError(
                f"a scalar is expected, got the {shown_shape(shape_of(value))} {shorten(expression)}; "
                "use dot or inner, or a component such as u[0]"
            )
        return value

    def value(self, expression: sympy.Expr) -> Value:
        """Return an expression as a sum of separated terms, or a vector or matrix of such sums."""
        known = self._memo.get(expression)
        if known is None:
            known = self._memo[expression] = self._expand(expression)
        return known

    def _expand(self, e: sympy.Expr) -> Value:
        scope = self.scope(e)
        if scope.plain and not scope.axes:
            number = self.number(e)
            return {(None, None, NOTHING): number} if number else {}
        if scope.plain and len(scope.axes) == 1:
            return self.term(next(iter(scope.axes)), self.one_dimensional(e))
        if isinstance(e, FieldSymbol):
            return self._field(e)
        if e.is_Add:
            return combine(self.add, [self.value(argument) for argument in e.args], e.args)
        if e.is_Mul:
            return self._multiplied(e.args, e)
        if isinstance(e, Operator):
            return calculus.expand(self, e)
        if scope.fields:
            if isinstance(e, sympy.Piecewise) and not any(self.scope(condition).fields for _, condition in e.args):
                return functions.piecewise(self, e)
            raise self.nonlinear(e)
        return functions.expand(self, e)

    def product(self, arguments: Sequence[sympy.Expr], whole: sympy.Expr) -> Terms:
        """Multiply scalars; factors of a single axis are collected first, they stay one factor."""
        value = self._multiplied(arguments, whole)
        assert isinstance(value, dict)
        return value

    def _multiplied(self, arguments: Sequence[sympy.Expr], whole: sympy.Expr) -> Value:
        by_axis: dict[int, list[sympy.Expr]] = {}
        others: list[sympy.Expr] = []
        for argument in arguments:
            scope = self.scope(argument)
            if scope.plain and len(scope.axes) == 1:
                by_axis.setdefault(next(iter(scope.axes)), []).append(argument)
            else:
                others.append(argument)
        result: Value = {(None, None, NOTHING): 1.0}
        for axis, group in by_axis.items():
            assert isinstance(result, dict)
            result = self.multiply(result, self.term(axis, sympy.Mul(*map(self.one_dimensional, group))))
        work = 0
        for argument in others:
            value = self.value(argument)
            work += _size(result) * _size(value)
            if work > _MAX_PRODUCTS:
                raise SeparationError(
                    f"a product of {len(others)} sums takes more than {_MAX_PRODUCTS} products to expand: "
                    f"{shorten(whole)}; write it with fewer sums"
                )
            result = self.scaled(whole, result, value)
        return result

    def scaled(self, whole: sympy.Expr, left: Value, right: Value) -> Value:
        """Multiply two scalars, or a scalar and all entries of a tensor."""
        if isinstance(left, list) and isinstance(right, list):
            raise ShapeError(
                f"{shorten(whole)} multiplies a {shown_shape(shape_of(left))} and a {shown_shape(shape_of(right))}; "
                "use dot(a, b) or inner(a, b)"
            )
        if isinstance(right, list):
            left, right = right, left
        assert isinstance(right, dict)
        scalar: Terms = right
        return each(lambda entry: self.multiply_in(whole, entry, scalar), left)

    def multiply_in(self, whole: sympy.Expr, left: Terms, right: Terms) -> Terms:
        """Multiply, naming the expression when the product is not linear or too long."""
        try:
            return self.multiply(left, right)
        except LinearityError as error:
            raise self.nonlinear(whole, error.role) from None
        except SeparationError as error:
            raise SeparationError(f"{error}: {shorten(whole)}; write it with fewer sums") from None

    def one_dimensional(self, e: sympy.Expr) -> sympy.Expr:
        """Return a function of one axis as a function of COORDINATE."""
        known = self._one_dimensional.get(e)
        if known is None:
            known = e.xreplace(dict.fromkeys(e.free_symbols, COORDINATE))
            self._one_dimensional[e] = known
        return known

    def _field(self, e: FieldSymbol) -> Value:
        index = tuple(sorted((self._position[symbol.name], order) for symbol, order in e.index))
        slot = self.slots.get(e.field, Slot())
        if e.component is not None:
            _check_component(e, slot.count)
            return self._entry(e, index, slot, e.component)
        if slot.count is None:
            return self._entry(e, index, slot, 0)
        return [self._entry(e, index, slot, k) for k in range(slot.count)]

    def _entry(self, e: FieldSymbol, index: Index, slot: Slot, component: int) -> Terms:
        if slot.axis is not None:
            index = tuple(sorted([*index, (slot.axis, 1 + slot.first + component)]))
        return {((index, None, NOTHING) if isinstance(e.field, Unknown) else (None, index, NOTHING)): 1.0}

    def nonlinear(self, e: sympy.Expr, role: str | None = None) -> ValueError:
        """Return the error for an expression in which a field stands more than once, or inside a function."""
        found = sorted(e.atoms(FieldSymbol), key=str)
        trial = any(isinstance(symbol.field, Unknown) for symbol in found)
        if role is None:
            role = "unknown" if trial else "test function"
        advice = "; nonlinear problems are for the PINN mode, inntd.pinn, in strong form" if role == "unknown" else ""
        names = sorted({s.field.name for s in found if isinstance(s.field, Unknown) == (role == "unknown")})
        kind = BeyondLinear if role == "unknown" else ValueError
        return kind(
            f"the problem must be linear in the {role} {' and '.join(names)}, got the term {shorten(e)}{advice}"
        )

    def derivative(self, function: sympy.Expr, symbol: sympy.Symbol, shown: sympy.Expr, axis: int) -> sympy.Expr:
        """Differentiate by SymPy's rules, refusing jumps, also those between the pieces that SymPy passes over."""
        if shown.has(sympy.Piecewise) and jump_along(shown, self.axes[axis], self.axes) is not None:
            raise no_derivative(shown, self.axes[axis].name)
        return super().derivative(function, symbol, shown, axis)

    def coupled(self, e: sympy.Expr) -> Terms:
        """Return a factor of several axes as it is; it is separated numerically in the end."""
        return {(None, None, frozenset([(tuple(sorted(self.scope(e).axes)), e)])): 1.0}

    def factor(self, span: Span, function: sympy.Expr) -> Terms:
        """Return a function of one axis, in COORDINATE, or of several, in their symbols, as a sum."""
        return self.coupled(function) if isinstance(span, tuple) else self.term(span, function)

    def inseparable(self, e: sympy.Expr) -> Inseparable:
        """Return the error for a factor that couples several axes."""
        names = ", ".join(self.axes[i].name for i in sorted(self.scope(e).axes))
        return Inseparable(
            f"the factor {shorten(e)} couples the axes {names} and does not factor by axis after expansion"
        )


def _size(value: Value) -> int:
    return len(value) if isinstance(value, dict) else sum(map(_size, value))


def _check_component(e: FieldSymbol, count: int | None) -> None:
    if count is None:
        raise ShapeError(f"{e} is a component of {e.field.name}, which belongs to a scalar unknown and has none")
    assert e.component is not None
    if e.component >= count:
        raise ShapeError(f"the component of {e.field.name} must be between 0 and {count - 1}, got {e}")
