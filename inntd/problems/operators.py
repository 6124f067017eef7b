"""Differential operators as users write them: derivatives, gradients, divergences."""

from __future__ import annotations

from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems.fields import FieldSymbol, TestFunction, Unknown, fields_in, symbol_of
from inntd.problems.nodes import Divergence, Gradient, Laplacian, Partial, TimeDerivative, rank_of
from inntd.problems.tensor import Tensor, operand, tensor_of, wrapped
from inntd.problems.text import shorten


def diff(expression: Any, axis: Axis | sympy.Symbol, order: int = 1) -> Any:
    """Differentiate in one axis; product and chain rule apply to coefficients, vectors are differentiated by component.

    Parameters
    ----------
    expression
        A number, a SymPy expression, an unknown or a test function; a vector or a matrix.
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
    inside, symbol = operand(expression, "expression"), symbol_of(axis)
    if isinstance(axis, Axis) and axis.discrete:
        raise ValueError(f"the axis {axis.name} is discrete, so nothing can be differentiated in it")
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be a positive integer, got {order!r}")
    for found in fields_in(inside):
        if isinstance(found.field, Unknown) and symbol not in found.field.symbols:
            known = ", ".join(map(str, found.field.symbols))
            raise ValueError(f"axis must be one of the axes of {found.field.name} ({known}), got {symbol}")
    result = inside
    for _ in range(order):
        # Pieces wait for the axes: whether they jump, which SymPy passes over, depends on these.
        result = Partial(result, symbol) if result.has(sympy.Piecewise) else _differentiate(result, symbol)
    return wrapped(result)


def dt(expression: Any) -> Any:
    """Differentiate in the axis of kind `"time"`; vectors by component.

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
    inside = operand(expression, "expression")
    _need_kind(inside, "time", "dt")
    return wrapped(TimeDerivative(inside))


def laplacian(expression: Any) -> Any:
    """Sum the second derivatives over the axes of kind `"space"`; also of a coefficient or an exact solution.

    Of a vector it is the vector of the components' Laplacians.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> -it.laplacian(it.unknown("u", x))
    -laplacian(u)
    """
    inside = operand(expression, "expression")
    _need_kind(inside, "space", "laplacian")
    return wrapped(Laplacian(inside))


def grad(expression: Any) -> Tensor:
    """Return the derivatives in the axes of kind `"space"`: of a scalar a vector, of a vector a matrix.

    Row i of the matrix is the gradient of component i: `grad(u)[i, j]` is ∂u_i/∂x_j, so that (b·∇)u is
    `dot(grad(u), b)`.

    Raises
    ------
    TypeError
        The gradient of a gradient or of a matrix.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u, v = it.unknown("u", x), it.test_function()
    >>> it.dot(it.grad(v), 3 * it.grad(u))
    3*dot(grad(v), grad(u))
    """
    inside = operand(expression, "expression")
    if (rank_of(inside) or 0) > 1 or inside.has(Gradient):
        kind = "matrix" if (rank_of(inside) or 0) > 1 else "vector"
        raise TypeError(f"expression must be a scalar, got the {kind} {shorten(inside)}; use div or laplacian")
    _need_kind(inside, "space", "grad")
    return Tensor(Gradient(inside))


def div(tensor: Any) -> Any:
    """Return the divergence over the axes of kind `"space"`: `div(k * grad(u))`, `div(sigma)`.

    Parameters
    ----------
    tensor
        A vector made with `grad`, a vector unknown, or a list with one expression per space axis: the divergence is a
        scalar. A matrix: the divergence of each row, Σ_j ∂σ_ij/∂x_j, a vector.

    Examples
    --------
    >>> import inntd as it
    >>> x, y, c = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4), it.Axis.discrete("c", 2)
    >>> it.div((1 + x) * it.grad(it.unknown("u", x, y)))
    div((x + 1)*grad(u))
    >>> u = it.unknown("u", c, x, y)
    >>> it.div(u), it.div(2 * it.sym(it.grad(u)))
    (div(u), div(2*sym(grad(u))))
    """
    inside = tensor_of(tensor, "the argument of div")
    parts = [inside] if rank_of(inside) == 2 else sympy.Add.make_args(inside)  # a stress stays one
    return wrapped(sympy.Add(*map(Divergence, parts)))


def _differentiate(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    """Differentiate by SymPy's rules, knowing that test functions depend on every axis.

    SymPy takes 2*v for a constant, since a test function has no axes yet; so it is tied to the symbol meanwhile.
    """
    loose = [found for found in expression.atoms(FieldSymbol) if isinstance(found.field, TestFunction)]
    tied = expression.xreplace({found: found.tied(symbol) for found in loose})
    result = tied.diff(symbol)
    return result.xreplace({f: f.tied(None) for f in result.atoms(FieldSymbol) if f.anchor is not None})


def _need_kind(expression: sympy.Expr, kind: str, operator: str) -> None:
    for found in fields_in(expression):
        if isinstance(found.field, Unknown) and not any(axis.kind == kind for axis in found.field.axes):
            kinds = ", ".join(f"{axis.name} ({axis.kind})" for axis in found.field.axes)
            raise ValueError(
                f"{operator} needs an axis of kind {kind!r}, but {found.field.name} has {kinds}; "
                f"use Axis(..., kind={kind!r}) or diff(..., axis)"
            )
