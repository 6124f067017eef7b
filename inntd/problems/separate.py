"""Separated forms and functions: what a problem hands to a solver."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.problems.algebra import COORDINATE
from inntd.problems.compiled import compile_function
from inntd.problems.given import Given

Array = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=4096)
def _compiled(expression: sympy.Expr) -> Callable[[Array], Any]:
    if isinstance(expression, Given) and expression.coordinates == (COORDINATE,):
        return expression.source  # no need to compile a call
    return compile_function(COORDINATE, expression)


@dataclass(frozen=True)
class AxisFunction:
    """A function of one coordinate, the same object for equal functions of different axes.

    Parameters
    ----------
    expression
        A SymPy expression in `inntd.problems.algebra.COORDINATE`.
    breaks
        The points inside the axis where it jumps or has a kink.
    joints
        Points where it is smooth but made of different polynomials on either side: quadrature splits its cells there.

    Examples
    --------
    >>> import numpy as np
    >>> from inntd.problems.algebra import COORDINATE
    >>> AxisFunction(COORDINATE**2)(np.array([1.0, 2.0]))
    array([1., 4.])
    """

    expression: sympy.Expr
    breaks: tuple[float, ...] = ()
    joints: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.expression, self.breaks)))

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined,no-any-return]

    def __call__(self, points: npt.ArrayLike) -> Array:
        """Return the values at points of any shape.

        Raises
        ------
        ValueError
            The function is not a finite real number at one of the points.
        """
        x = np.asarray(points, dtype=np.float64)
        with np.errstate(all="ignore"):
            values = np.asarray(_compiled(self.expression)(x))
        if np.iscomplexobj(values) or not np.all(np.isfinite(values)):
            finite = np.isfinite(np.broadcast_to(values, x.shape)) & np.isreal(np.broadcast_to(values, x.shape))
            bad = x[~finite].flat[0] if not finite.all() else x.flat[0]
            raise ValueError(f"{self} must be finite and real on its axis, but it is not at ξ = {bad}")
        return np.array(np.broadcast_to(values, x.shape), dtype=np.float64)

    def shown(self, axis: Axis) -> str:
        """Return the text of the function with the name of an axis for the coordinate."""
        return str(self.expression.xreplace({COORDINATE: axis._sympy_()}))

    def __str__(self) -> str:
        return str(self.expression)


#: An end of the axis instead of the integral over it.
End: TypeAlias = Literal["start", "end"]


@dataclass(frozen=True)
class AxisForm:
    """One axis of a bilinear form: ∫ weight · (trial-th derivative of u) · (test-th derivative of v) dx.

    Parameters
    ----------
    trial, test
        Orders of the derivatives.
    weight
        A function of the coordinate, None for one.
    place
        None for the integral; `"start"` or `"end"` for the value of the product there, the axis' part of a face
        integral. On the component axis a pair (i, j): component i of the test function times component j of the
        unknown, a matrix with a single one in row i and column j.
    """

    trial: int = 0
    test: int = 0
    weight: AxisFunction | None = None
    place: End | tuple[int, int] | None = None


@dataclass(frozen=True)
class LoadForm:
    """One axis of a linear form: ∫ weight · (test-th derivative of v) dx.

    Parameters
    ----------
    test
        Order of the derivative.
    weight
        A function of the coordinate, None for one.
    place
        None for the integral; `"start"` or `"end"` for the value there; on the component axis the component.
    """

    test: int = 0
    weight: AxisFunction | None = None
    place: End | int | None = None


@dataclass(frozen=True)
class BilinearTerm:
    """A number times one form per axis of the unknown, in their order."""

    coefficient: float
    forms: tuple[AxisForm, ...]


@dataclass(frozen=True)
class LinearTerm:
    """A number times one load per axis of the unknown, in their order."""

    coefficient: float
    forms: tuple[LoadForm, ...]


@dataclass(frozen=True)
class SeparatedFunction:
    """A sum of products of functions of one axis each.

    Parameters
    ----------
    axes
        The axes, D of them.
    terms
        Pairs of a number and D functions, None for the constant one; no terms mean zero.
    """

    axes: tuple[Axis, ...]
    terms: tuple[tuple[float, tuple[AxisFunction | None, ...]], ...] = ()

    @property
    def rank(self) -> int:
        """The number of terms."""
        return len(self.terms)

    def __call__(self, points: npt.ArrayLike) -> Array:
        """Return the values at points.

        Parameters
        ----------
        points
            Shape (K, D), float64.

        Returns
        -------
        ndarray
            Shape (K,).
        """
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.axes):
            raise ValueError(f"points must have the shape (K, {len(self.axes)}), got {x.shape}")
        known: dict[tuple[int, AxisFunction], Array] = {}
        total = np.zeros(len(x))
        for coefficient, functions in self.terms:
            value = np.full(len(x), coefficient)
            for axis, function in enumerate(functions):
                if function is not None:
                    if (axis, function) not in known:
                        known[axis, function] = function(x[:, axis])
                    value *= known[axis, function]
            total += value
        return total

    def __str__(self) -> str:
        return _shown_sum(
            (coefficient, [f.shown(axis) for axis, f in zip(self.axes, functions, strict=True) if f is not None])
            for coefficient, functions in self.terms
        )


def _shown_sum(terms: Any) -> str:
    texts = [" * ".join([f"{coefficient:g}", *(f"({text})" for text in texts)]) for coefficient, texts in terms]
    return " + ".join(texts) or "0"


class PointFunction:
    """A function of all axes that does not separate: values at points only."""

    def __init__(self, axes: Sequence[Axis], expression: sympy.Expr) -> None:
        self.axes, self.expression = tuple(axes), expression
        names = {axis.name: i for i, axis in enumerate(self.axes)}
        symbols = sorted(expression.free_symbols, key=lambda symbol: names[symbol.name])
        dummies = [sympy.Dummy(real=True) for _ in symbols]
        self._columns = [names[symbol.name] for symbol in symbols]
        self._function = compile_function(dummies, expression.xreplace(dict(zip(symbols, dummies, strict=True))))

    def __call__(self, points: npt.ArrayLike) -> Array:
        """Return the values, shape (K,), at points of shape (K, D)."""
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.axes):
            raise ValueError(f"points must have the shape (K, {len(self.axes)}), got {x.shape}")
        with np.errstate(all="ignore"):
            values = np.broadcast_to(self._function(*(x[:, column] for column in self._columns)), (len(x),))
        bad = ~np.isfinite(values) | ~np.isreal(values)
        if bad.any():
            raise ValueError(f"{self.expression} must be finite and real, but it is not at {x[bad][0].tolist()}")
        return np.array(values, dtype=np.float64)
