"""Products and parts of vectors and matrices as users write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from inntd.problems.nodes import Divergence, Dot, Gradient, Identity, Inner, Symmetric, Trace, parts_of, rank_of
from inntd.problems.tensor import Tensor, matrix_of, operand, scalar_of, tensor_of, wrapped
from inntd.problems.text import shorten

#: A product of two sums with more terms than this is refused rather than written out.
MAX_PRODUCTS = 10_000


def dot(a: Any, b: Any) -> Any:
    """Return the product of two vectors, of a matrix and a vector, or of two matrices.

    The last index of the first factor is summed with the first index of the second one.

    Parameters
    ----------
    a, b
        Made with `grad` and `sym`, vector unknowns, test functions, or lists with one expression per space axis (a
        velocity, a force).

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
    >>> it.dot([1, 2], it.grad(it.unknown("u", x, y)))
    dot((1, 2), grad(u))
    """
    left, right = tensor_of(a, "the first argument of dot"), tensor_of(b, "the second argument of dot")
    return wrapped(_multiplied_out(left, right, Dot))


def inner(a: Any, b: Any) -> sympy.Expr:
    """Return the inner product: the sum of the products of all entries of two vectors or two matrices.

    Of two scalars it is their product.

    Examples
    --------
    >>> import inntd as it
    >>> x, y, c = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4), it.Axis.discrete("c", 2)
    >>> u, v = it.unknown("u", c, x, y), it.test_function()
    >>> it.inner(it.sym(it.grad(u)), it.grad(v))
    inner(sym(grad(u)), grad(v))
    >>> it.inner(it.test_function(), it.unknown("p", x))
    p*v
    """
    left, right = operand(a, "the first argument of inner"), operand(b, "the second argument of inner")
    ranks = rank_of(left), rank_of(right)
    if 0 in ranks:
        if any((rank or 0) > 0 for rank in ranks) or isinstance(a, Tensor) or isinstance(b, Tensor):
            raise TypeError(
                f"inner needs two vectors or two scalars, or two matrices, got {shorten(a)} and {shorten(b)}"
            )
        return scalar_of(left, "the first argument of inner") * scalar_of(right, "the second argument of inner")
    known = {rank for rank in ranks if rank is not None}
    if len(known) > 1:
        raise TypeError(f"inner needs two vectors or two scalars, or two matrices, got {shorten(a)} and {shorten(b)}")
    product = Dot if known == {1} else _inner
    return _multiplied_out(left, right, product)


def _multiplied_out(
    left: sympy.Expr, right: sympy.Expr, product: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]
) -> sympy.Expr:
    """Return the sum of the products of all parts of two tensors."""
    pairs, others = list(parts_of(left)), list(parts_of(right))
    if len(pairs) * len(others) > MAX_PRODUCTS:
        raise ValueError(f"a product of sums has {len(pairs)} x {len(others)} terms, more than {MAX_PRODUCTS}")
    return sympy.Add(*(c * d * product(p, q) for c, p in pairs for d, q in others))


def _inner(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """Return the inner product of two matrices; with the unit matrix it is a trace, that of a gradient a divergence."""
    if not (isinstance(a, Identity) or isinstance(b, Identity)):
        return Inner(a, b)
    other = b if isinstance(a, Identity) else a
    return Divergence(other.args[0]) if isinstance(other, Gradient) else Trace(other)


def sym(matrix: Any) -> Tensor:
    """Return the symmetric part (A + Aᵀ)/2 of a matrix: the strain `sym(grad(u))` of a displacement.

    Examples
    --------
    >>> import inntd as it
    >>> x, y, c = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4), it.Axis.discrete("c", 2)
    >>> strain = it.sym(it.grad(it.unknown("u", c, x, y)))
    >>> 3 * it.tr(strain) * it.identity() + 2 * strain
    2*sym(grad(u)) + 3*tr(sym(grad(u)))*identity()
    """
    inside = matrix_of(matrix, "the argument of sym")
    return Tensor(sympy.Add(*(c * Symmetric(base) for c, base in parts_of(inside))))


def tr(matrix: Any) -> sympy.Expr:
    """Return the trace of a matrix, the sum of its diagonal."""
    inside = matrix_of(matrix, "the argument of tr")
    return sympy.Add(*(c * Trace(base) for c, base in parts_of(inside)))


def transpose(matrix: Any) -> Tensor:
    """Return the transposed matrix; `A.T` is the same.

    Examples
    --------
    >>> import inntd as it
    >>> x, y, c = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4), it.Axis.discrete("c", 2)
    >>> it.transpose(it.grad(it.unknown("u", c, x, y)))
    transpose(grad(u))
    """
    return Tensor(matrix_of(matrix, "the argument of transpose")).T


def identity() -> Tensor:
    """Return the unit matrix over the axes of kind `"space"`."""
    return Tensor(Identity())
