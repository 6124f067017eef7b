"""Differential operators as nodes of SymPy expressions: they stay unevaluated until a problem knows the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems.fields import Unknown, differentiate, expression_of, fields_in, symbol_of


class Operator(sympy.Expr):  # type: ignore[misc]
    """A scalar made by a differential operator; its derivative commutes with it."""

    label = ""

    def __new__(cls, *arguments: sympy.Basic) -> Operator:
        return super().__new__(cls, *arguments)  # type: ignore[no-any-return]

    def _sympystr(self, printer: Any) -> str:
        return f"{self.label}({', '.join(printer._print(argument) for argument in self.args)})"

    _sympyrepr = _sympystr

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        return Partial(self, symbol)


class Partial(Operator):
    """A derivative of something that cannot be differentiated before the axes are known."""

    label = "diff"


class TimeDerivative(Operator):
    """The derivative in the axis of kind time."""

    label = "dt"


class Laplacian(Operator):
    """The sum of the second derivatives in the space axes."""

    label = "laplacian"


class Gradient(sympy.Basic):  # type: ignore[misc]
    """The derivatives of a scalar in the space axes: a vector, so no SymPy expression by itself."""

    def _sympystr(self, printer: Any) -> str:
        return f"grad({printer._print(self.args[0])})"

    _sympyrepr = _sympystr


class Components(sympy.Basic):  # type: ignore[misc]
    """A vector given by one expression per space axis, in the unknown's order of axes."""

    def _sympystr(self, printer: Any) -> str:
        return f"({', '.join(printer._print(component) for component in self.args)})"

    _sympyrepr = _sympystr


class Dot(Operator):
    """The product of two vectors, summed over the space axes."""

    label = "dot"


class Divergence(Operator):
    """The divergence of a scalar times a vector."""

    label = "div"

    def _sympystr(self, printer: Any) -> str:
        coefficient, vector = self.args
        prefix = "" if coefficient == 1 else f"{printer.parenthesize(coefficient, 50)}*"
        return f"div({prefix}{printer._print(vector)})"

    _sympyrepr = _sympystr


class Vector:
    """A sum of scalars times gradients or component vectors over the space axes; made by :func:`grad`."""

    __array_ufunc__ = None  # NumPy scalars leave multiplication to us

    def __init__(self, parts: Sequence[tuple[sympy.Expr, sympy.Basic]]) -> None:
        self.parts = tuple(parts)

    def __add__(self, other: Any) -> Vector:
        return Vector((*self.parts, *vector_of(other, "a term added to a vector").parts))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Vector:
        return self + vector_of(other, "a term subtracted from a vector").__mul__(-1)

    def __rsub__(self, other: Any) -> Vector:
        return vector_of(other, "a term that a vector is subtracted from") + -self

    def __neg__(self) -> Vector:
        return self * -1

    def __mul__(self, other: Any) -> Vector:
        if isinstance(other, Vector):
            raise TypeError("two vectors are multiplied with dot(a, b), not with *")
        factor = expression_of(other, "the factor of a vector")
        return Vector([(factor * coefficient, base) for coefficient, base in self.parts])

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Vector:
        return self.__mul__(1 / expression_of(other, "the divisor of a vector"))

    def __repr__(self) -> str:
        texts = [str(base) if c == 1 else f"{sympy.Mul(c, sympy.Symbol(str(base)))}" for c, base in self.parts]
        return " + ".join(texts)


def vector_of(value: Any, argument: str) -> Vector:
    """Return a vector from a :class:`Vector` or a sequence of expressions, one per space axis."""
    if isinstance(value, Vector):
        return value
    if isinstance(value, (list, tuple)) and value:
        parts = [expression_of(component, f"component {i} of {argument}") for i, component in enumerate(value)]
        return Vector([(sympy.S.One, Components(*parts))])
    raise TypeError(
        f"{argument} must be a vector: grad(...), or a list with one expression per space axis; got {value!r}"
    )


def _scalar(value: Any, argument: str) -> sympy.Expr:
    if isinstance(value, Vector):
        raise TypeError(f"{argument} must be a scalar, got the vector {value!r}; use div or dot")
    return expression_of(value, argument)


def diff(expression: Any, axis: Axis | sympy.Symbol, order: int = 1) -> sympy.Expr:
    """Differentiate in one axis; product and chain rule apply to coefficients.

    Parameters
    ----------
    expression
        A number, a SymPy expression, an unknown or a test function.
    axis
        Any axis of the unknown.
    order
        How often, 1 by default.

    Raises
    ------
    ValueError
        The unknown does not depend on the axis; an indicator would be differentiated.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u = it.unknown("u", x)
    >>> it.diff(x**2 * u, x)
    diff(u, x)*x**2 + 2*u*x
    """
    scalar, symbol = _scalar(expression, "expression"), symbol_of(axis)
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be a positive integer, got {order!r}")
    for found in fields_in(scalar):
        if isinstance(found.field, Unknown) and symbol not in found.field.symbols:
            known = ", ".join(map(str, found.field.symbols))
            raise ValueError(f"axis must be one of the axes of {found.field.name} ({known}), got {symbol}")
    result = scalar
    for _ in range(order):
        result = differentiate(result, symbol)
    return result


def dt(expression: Any) -> sympy.Expr:
    """Differentiate in the axis of kind `"time"`.

    Raises
    ------
    ValueError
        The unknown in the expression has no time axis.

    Examples
    --------
    >>> import inntd as it
    >>> x, t = it.Axis("x", 0, 1, elements=4), it.Axis("t", 0, 1, elements=4, kind="time")
    >>> it.dt(it.unknown("u", x, t))
    dt(u)
    """
    scalar = _scalar(expression, "expression")
    _need_kind(scalar, "time", "dt")
    return TimeDerivative(scalar)


def laplacian(expression: Any) -> sympy.Expr:
    """Sum the second derivatives over the axes of kind `"space"`; also of a coefficient or an exact solution.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> -it.laplacian(it.unknown("u", x))
    -laplacian(u)
    """
    scalar = _scalar(expression, "expression")
    _need_kind(scalar, "space", "laplacian")
    return Laplacian(scalar)


def grad(expression: Any) -> Vector:
    """Return the vector of derivatives in the axes of kind `"space"`, to be used in `dot`, `inner` and `div`.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u, v = it.unknown("u", x), it.test_function()
    >>> it.dot(it.grad(v), 3 * it.grad(u))
    3*dot(grad(v), grad(u))
    """
    scalar = _scalar(expression, "expression")
    _need_kind(scalar, "space", "grad")
    return Vector([(sympy.S.One, Gradient(scalar))])


def div(vector: Any) -> sympy.Expr:
    """Return the divergence over the axes of kind `"space"`: `div(k * grad(u))`.

    Parameters
    ----------
    vector
        A vector made with `grad`, or a list with one expression per space axis.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> it.div((1 + x) * it.grad(it.unknown("u", x)))
    div((x + 1)*grad(u))
    """
    parts = vector_of(vector, "the argument of div").parts
    return sympy.Add(*(Divergence(coefficient, base) for coefficient, base in parts))


def dot(a: Any, b: Any) -> sympy.Expr:
    """Return the product of two vectors, summed over the axes of kind `"space"`.

    Parameters
    ----------
    a, b
        Vectors made with `grad`, or lists with one expression per space axis (a velocity, say).

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
    >>> it.dot([1, 2], it.grad(it.unknown("u", x, y)))
    dot((1, 2), grad(u))
    """
    left, right = vector_of(a, "the first argument of dot"), vector_of(b, "the second argument of dot")
    return sympy.Add(*(c * d * Dot(p, q) for c, p in left.parts for d, q in right.parts))


def inner(a: Any, b: Any) -> sympy.Expr:
    """Return the inner product: `dot` of two vectors, the product of two scalars.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u, v = it.unknown("u", x), it.test_function()
    >>> it.inner(v, u)
    u*v
    """
    vectors = [isinstance(argument, (Vector, list, tuple)) for argument in (a, b)]
    if all(vectors):
        return dot(a, b)
    if any(vectors):
        raise TypeError(f"inner needs two vectors or two scalars, got {a!r} and {b!r}")
    return _scalar(a, "the first argument of inner") * _scalar(b, "the second argument of inner")


def _need_kind(expression: sympy.Expr, kind: str, operator: str) -> None:
    for found in fields_in(expression):
        if isinstance(found.field, Unknown) and not any(axis.kind == kind for axis in found.field.axes):
            kinds = ", ".join(f"{axis.name} ({axis.kind})" for axis in found.field.axes)
            raise ValueError(
                f"{operator} needs an axis of kind {kind!r}, but {found.field.name} has {kinds}; "
                f"use Axis(..., kind={kind!r}) or diff(..., axis)"
            )
