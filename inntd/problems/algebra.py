"""Sums of products of one-dimensional functions, and how to add, multiply and differentiate them.

A term is a number times a derivative of the unknown (or nothing), times a derivative of the test function (or nothing),
times one function per axis. Sums are dictionaries from all of that to the number, so equal terms merge as they meet.
Every operation costs time linear in the factors that are not constant; nothing is ever expanded inside one axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import sympy

from inntd.axes import Axis
from inntd.problems.given import WithoutDerivative

#: Stands for the coordinate in every one-dimensional function, so that equal functions of different axes are equal.
COORDINATE = sympy.Symbol("ξ", real=True)

#: Stand for a function of one coordinate that picks the values at an end of its axis: the factor of a face integral.
AT_START, AT_END = sympy.Dummy("start"), sympy.Dummy("end")
PLACES = frozenset((AT_START, AT_END))

#: More terms than this are refused: they stand for a product of sums that no solver could handle.
MAX_TERMS = 20_000

# (position of the axis, order of the derivative), sorted; on the component axis the component, counted from 1
Index: TypeAlias = "tuple[tuple[int, int], ...]"
# Position of an axis; or, for a factor that couples several, their positions.
Span: TypeAlias = "int | tuple[int, ...]"
# (position of the axis, function of COORDINATE), or (positions of the axes, function of the axes' symbols)
Factors: TypeAlias = "frozenset[tuple[Span, sympy.Expr]]"
Key: TypeAlias = "tuple[Index | None, Index | None, Factors]"  # unknown, test function, coefficient
Terms: TypeAlias = "dict[Key, float]"

NOTHING: Factors = frozenset()


def axes_of(place: Span) -> tuple[int, ...]:
    """Return the positions of the axes that a factor depends on."""
    return place if isinstance(place, tuple) else (place,)


_JUMPS = (sympy.DiracDelta, sympy.Derivative, sympy.Subs)


def is_coupled(terms: Terms) -> bool:
    """Tell whether a factor of several axes is left in a sum."""
    return any(isinstance(span, tuple) for _, _, factors in terms for span, _ in factors)


class BeyondLinear(ValueError):
    """A form that the linear solvers refuse and `inntd.pinn` takes: not linear, or of second order in time."""


class SeparationError(ValueError):
    """An expression does not factor by axis."""


class Inseparable(SeparationError):
    """A factor couples several axes; it may still be separated numerically."""


class LinearityError(ValueError):
    """A product holds the unknown or the test function more than once."""

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self.role = role


class Algebra:
    """Arithmetic of separated sums over a list of axes, with a cache of one-dimensional results."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)
        self.space = [i for i, axis in enumerate(self.axes) if axis.kind == "space"]
        self.time = [i for i, axis in enumerate(self.axes) if axis.kind == "time"]
        self._numbers: dict[sympy.Expr, float] = {}
        self._normal: dict[sympy.Expr, tuple[float, sympy.Expr | None]] = {}
        self._products: dict[tuple[sympy.Expr, sympy.Expr], tuple[float, sympy.Expr | None]] = {}
        self._slopes: dict[sympy.Expr, tuple[float, sympy.Expr | None]] = {}

    def number(self, expression: sympy.Expr) -> float:
        """Return a constant expression as a finite float."""
        known = self._numbers.get(expression)
        if known is None:
            try:
                known = float(expression if expression.is_Rational else expression.evalf(20))
            except (TypeError, OverflowError):
                raise ValueError(f"{expression} must be a real number, but it is not") from None
            if not math.isfinite(known):
                raise ValueError(f"{expression} must be a finite number, got {known}")
            self._numbers[expression] = known
        return known

    def normal(self, function: sympy.Expr) -> tuple[float, sympy.Expr | None]:
        """Split a function of COORDINATE into a number and the rest, None for a constant."""
        known = self._normal.get(function)
        if known is None:
            if function in PLACES:
                known = 1.0, function
            elif not function.has(COORDINATE):
                known = self.number(function), None
            elif function.is_Mul:
                constant, rest = function.as_independent(COORDINATE, as_Add=False)
                known = self.number(constant), rest
            else:
                known = 1.0, function
            self._normal[function] = known
        return known

    def term(self, axis: int, function: sympy.Expr) -> Terms:
        """Return one function of one axis as a sum."""
        number, rest = self.normal(function)
        if number == 0.0:
            return {}
        return {(None, None, NOTHING if rest is None else frozenset([(axis, rest)])): number}

    @staticmethod
    def add(sums: Iterable[Terms]) -> Terms:
        """Add sums; what cancels to round-off disappears."""
        result: Terms = {}
        for terms in sums:
            for key, number in terms.items():
                old = result.get(key)
                if old is None:
                    result[key] = number
                elif abs(old + number) <= 1e-14 * max(abs(old), abs(number)):
                    del result[key]
                else:
                    result[key] = old + number
            if len(result) > MAX_TERMS:
                raise SeparationError(f"an expression expands to more than {MAX_TERMS} separated terms")
        return result

    @staticmethod
    def scale(terms: Terms, number: float) -> Terms:
        """Multiply a sum by a number."""
        return {key: number * value for key, value in terms.items()} if number else {}

    def multiply(self, left: Terms, right: Terms) -> Terms:
        """Multiply two sums."""
        if len(left) * len(right) > MAX_TERMS:
            raise SeparationError(
                f"a product of sums expands to {len(left) * len(right)} separated terms, more than {MAX_TERMS}"
            )
        return self.add(self._pair(*a, *b) for a in left.items() for b in right.items())

    def _pair(self, key: Key, number: float, other_key: Key, other_number: float) -> Terms:
        if key[0] is not None and other_key[0] is not None:
            raise LinearityError("unknown")
        if key[1] is not None and other_key[1] is not None:
            raise LinearityError("test function")
        factor, factors = self._join(key[2], other_key[2])
        trial = key[0] if other_key[0] is None else other_key[0]
        test = key[1] if other_key[1] is None else other_key[1]
        value = number * other_number * factor
        return {(trial, test, factors): value} if value else {}

    def _join(self, left: Factors, right: Factors) -> tuple[float, Factors]:
        if not left or not right:
            return 1.0, left or right
        number, functions = 1.0, dict(left)
        for axis, function in right:
            mine = functions.pop(axis, None)
            if isinstance(axis, tuple):
                functions[axis] = function if mine is None else mine * function
                continue
            if mine is not None:
                extra, product = self._product(axis, mine, function)
                number *= extra
            else:
                product = function
            if product is not None:
                functions[axis] = product
        return number, frozenset(functions.items())

    def _product(self, axis: int, a: sympy.Expr, b: sympy.Expr) -> tuple[float, sympy.Expr | None]:
        if a in PLACES or b in PLACES:
            place, other = (a, b) if a in PLACES else (b, a)
            return self.at_end(axis, place, other), place
        known = self._products.get((a, b))
        if known is None:
            known = self._products[a, b] = self.normal(a * b)
        return known

    def at_end(self, axis: int, place: sympy.Expr, function: sympy.Expr) -> float:
        """Return the value of a function of one axis at one of its ends."""
        if function in PLACES:
            raise ValueError(f"a face integral over {self.axes[axis].name} stands inside of another one")
        position = sympy.Float(self.axes[axis].domain[0 if place == AT_START else 1], 20)
        return self.number(function.xreplace({COORDINATE: position}))

    def restrict(self, terms: Terms, axis: int, place: sympy.Expr) -> Terms:
        """Take a sum at one end of an axis instead of integrating over that axis."""
        return self.multiply(terms, {(None, None, frozenset([(axis, place)])): 1.0})

    def differentiate(self, terms: Terms, axis: int) -> Terms:
        """Differentiate a sum in one axis by the product rule."""
        pieces: list[Terms] = []
        for (trial, test, factors), number in terms.items():
            if trial is not None:
                pieces.append({(raised(trial, axis), test, factors): number})
            if test is not None:
                pieces.append({(trial, raised(test, axis), factors): number})
            pieces.append(self.differentiate_factor((trial, test, factors), number, axis))
        return self.add(pieces)

    def differentiate_factor(self, key: Key, number: float, axis: int) -> Terms:
        """Differentiate only the coefficient of one term."""
        trial, test, factors = key
        if any(function in PLACES for _, function in factors):
            raise ValueError("a face integral cannot be differentiated: write on(face, ...) as a term of its own")
        pieces: list[Terms] = []
        for entry in factors:
            rest = factors - {entry}
            if entry[0] == axis:
                extra, slope = self._slope(entry[1], axis)
                joined = rest if slope is None else rest | {(axis, slope)}
                pieces.append({(trial, test, joined): number * extra} if extra else {})
            elif axis in axes_of(entry[0]):
                slopes = self.terms(self.derivative(entry[1], self.axes[axis]._sympy_(), entry[1], axis))
                pieces.append(self.multiply({(trial, test, rest): number}, slopes))
        return self.add(pieces)

    def terms(self, expression: sympy.Expr) -> Terms:
        """Return an expression as a sum of separated terms."""
        raise NotImplementedError

    def _slope(self, function: sympy.Expr, axis: int) -> tuple[float, sympy.Expr | None]:
        known = self._slopes.get(function)
        if known is None:
            shown = function.xreplace({COORDINATE: self.axes[axis]._sympy_()})
            known = self._slopes[function] = self.normal(self.derivative(function, COORDINATE, shown, axis))
        return known

    def derivative(self, function: sympy.Expr, symbol: sympy.Symbol, shown: sympy.Expr, axis: int) -> sympy.Expr:
        """Differentiate by SymPy's rules, refusing jumps."""
        try:
            derivative = function.diff(symbol)
        except WithoutDerivative:
            raise
        except ValueError:
            raise no_derivative(shown, self.axes[axis].name) from None
        if derivative.has(*_JUMPS):
            raise no_derivative(shown, self.axes[axis].name)
        return derivative


def no_derivative(shown: sympy.Expr, axis: str) -> ValueError:
    """Return the error for a factor that jumps and should be differentiated."""
    return ValueError(
        f"the factor {shown} is differentiated in {axis}, but it jumps and has no derivative there; "
        "keep it outside of diff, grad and laplacian, or write div(k*grad(u)) or the weak form"
    )


def raised(index: Index, axis: int, by: int = 1) -> Index:
    """Return a multi-index with one order changed."""
    orders = dict(index)
    orders[axis] = orders.get(axis, 0) + by
    return tuple(sorted((i, order) for i, order in orders.items() if order))
