"""Vectors and matrices as Python objects: arithmetic with scalars, lists and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from inntd.problems.fields import Unknown, VectorUnknown, expression_of
from inntd.problems.nodes import Components, Entry, Transpose, is_tensor, rank_of
from inntd.problems.text import shorten

_KINDS = {0: "scalar", 1: "vector", 2: "matrix"}


class Tensor:
    """A vector or a matrix over the space axes, made by :func:`grad`, :func:`sym`, vector unknowns and so on.

    Sums, multiples and parts of it are written as on paper; lists stand for vectors, lists of lists for matrices.

    Parameters
    ----------
    expression
        A SymPy expression that is no scalar.

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
    >>> u = it.unknown("u", x, y)
    >>> 2 * it.grad(u) - [x, 0], it.grad(u)[1]
    (-(x, 0) + 2*grad(u), grad(u)[1])
    """

    __array_ufunc__ = None  # NumPy scalars leave multiplication to us
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expression: sympy.Expr) -> None:
        self.expression = expression

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return _KINDS.get(rank_of(self.expression) or 1, "tensor")

    @property
    def T(self) -> Tensor:
        """The transposed matrix."""
        return Tensor(Transpose(matrix_of(self, "the matrix to be transposed")))

    def __add__(self, other: Any) -> Tensor:
        return Tensor(self.expression + self._like(other, f"a term added to a {self.kind}"))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return Tensor(self.expression - self._like(other, f"a term subtracted from a {self.kind}"))

    def __rsub__(self, other: Any) -> Tensor:
        return Tensor(self._like(other, f"a term that a {self.kind} is subtracted from") - self.expression)

    def __neg__(self) -> Tensor:
        return self * -1

    def __pos__(self) -> Tensor:
        return self

    def __mul__(self, other: Any) -> Tensor:
        if isinstance(other, (Tensor, VectorUnknown, list, tuple)):
            raise TypeError(
                f"two vectors are multiplied with dot(a, b), not with *; got {shorten(self)} and {shorten(other)}"
            )
        factor = expression_of(other, f"the factor of a {self.kind}")
        return Tensor(sympy.Add(*(factor * part for part in sympy.Add.make_args(self.expression))))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return self.__mul__(1 / expression_of(other, f"the divisor of a {self.kind}"))

    def __rtruediv__(self, other: Any) -> Tensor:
        raise TypeError(f"nothing can be divided by the {self.kind} {shorten(self)}")

    def __pow__(self, other: Any) -> Tensor:
        raise TypeError(f"the {self.kind} {shorten(self)} has no power; use dot or inner")

    __rpow__ = __pow__

    def __getitem__(self, index: Any) -> Any:
        """Return a component of a vector, a row `A[i]` or an entry `A[i, j]` of a matrix."""
        entry: Any = self
        for i in index if isinstance(index, tuple) else (index,):
            if isinstance(i, bool) or not isinstance(i, (int, np.integer)) or i < 0:
                raise TypeError(f"the index of {shorten(self)} must be an integer, 0 or more, got {i!r}")
            expression = entry.expression if isinstance(entry, Tensor) else entry
            entry = wrapped(Entry(expression, sympy.Integer(int(i))))
        return entry

    __iter__ = None  # how many components it has is known to a problem only

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and self.expression == other.expression

    def _like(self, other: Any, argument: str) -> sympy.Expr:
        """Return another tensor's expression, refusing what is certainly of another kind."""
        if isinstance(other, int) and other == 0:  # sum([...]) begins with it
            return sympy.S.Zero
        expression = tensor_of(other, argument, self.kind)
        mine, its = rank_of(self.expression), rank_of(expression)
        if mine is not None and its is not None and mine != its:
            raise TypeError(
                f"{argument} must be a {self.kind}, got the {_KINDS.get(its, 'tensor')} {shorten(expression)}"
            )
        return expression

    def __repr__(self) -> str:
        return str(self.expression)


def wrapped(expression: sympy.Expr) -> Any:
    """Return a scalar as it is, what is certainly none as a :class:`Tensor`."""
    return Tensor(expression) if is_tensor(expression) else expression


def operand(value: Any, argument: str) -> sympy.Expr:
    """Return a scalar, a vector or a matrix, in whatever form users write them, as a SymPy expression."""
    if isinstance(value, Tensor):
        return value.expression
    if isinstance(value, Unknown):
        return value._symbol
    if isinstance(value, (list, tuple)) and value:
        parts = [operand(component, f"component {i} of {argument}") for i, component in enumerate(value)]
        ranks = {rank_of(part) or 0 for part in parts}
        if len(ranks) > 1 or max(ranks) > 1:
            raise TypeError(f"{argument} must be a list of scalars, or of rows of equal length, got {shorten(value)}")
        return Components(*parts)
    return expression_of(value, argument)


def tensor_of(value: Any, argument: str, kind: str = "vector") -> sympy.Expr:
    """Return what may be a vector or a matrix as a SymPy expression, refusing scalars."""
    try:
        expression = operand(value, argument)
    except TypeError:
        expression = sympy.S.Zero
    if rank_of(expression) == 0:
        raise TypeError(
            f"{argument} must be a {kind}: grad(...), a vector unknown, or a list with one expression per space axis; "
            f"got {shorten(value)}"
        )
    return expression


def matrix_of(value: Any, argument: str) -> sympy.Expr:
    """Return what may be a matrix as a SymPy expression, refusing scalars and vectors."""
    expression = tensor_of(value, argument, "matrix")
    if rank_of(expression) == 1:
        raise TypeError(
            f"{argument} must be a matrix, such as grad(u) of a vector u, got the vector {shorten(expression)}"
        )
    return expression


def scalar_of(value: Any, argument: str) -> sympy.Expr:
    """Return a scalar as a SymPy expression, refusing vectors and matrices."""
    if isinstance(value, (Tensor, VectorUnknown, list, tuple)):
        kind = value.kind if isinstance(value, Tensor) else "vector"
        raise TypeError(f"{argument} must be a scalar, got the {kind} {shorten(value)}; use div, dot, inner or tr")
    return expression_of(value, argument)
