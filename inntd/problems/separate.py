"""Separated forms: what a problem hands to a solver, and how sums of products become them."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.problems.algebra import COORDINATE, NOTHING, Factors, Key, Terms
from inntd.problems.breaks import breaks
from inntd.problems.compiled import compile_function

Array = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=4096)
def _compiled(expression: sympy.Expr) -> Callable[[Array], Any]:
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

    Examples
    --------
    >>> import numpy as np
    >>> from inntd.problems.algebra import COORDINATE
    >>> AxisFunction(COORDINATE**2)(np.array([1.0, 2.0]))
    array([1., 4.])
    """

    expression: sympy.Expr
    breaks: tuple[float, ...] = ()

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


@dataclass(frozen=True)
class AxisForm:
    """One axis of a bilinear form: ∫ weight · (trial-th derivative of u) · (test-th derivative of v) dx."""

    trial: int = 0
    test: int = 0
    weight: AxisFunction | None = None


@dataclass(frozen=True)
class LoadForm:
    """One axis of a linear form: ∫ weight · (test-th derivative of v) dx."""

    test: int = 0
    weight: AxisFunction | None = None


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


class Assembler:
    """Turns sums of products into the forms of a solver; equal functions become one object."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)
        self._functions: dict[tuple[sympy.Expr, tuple[float, float]], AxisFunction] = {}
        self._forms: dict[tuple[int, int, AxisFunction | None], AxisForm] = {}
        self._loads: dict[tuple[int, AxisFunction | None], LoadForm] = {}

    def function(self, axis: int, expression: sympy.Expr) -> AxisFunction:
        """Return a checked one-dimensional function."""
        domain = self.axes[axis].domain
        known = self._functions.get((expression, domain))
        if known is None:
            known = AxisFunction(expression, breaks(expression, domain))
            _check_finite(known, self.axes[axis])
            self._functions[expression, domain] = known
        return known

    def operator(self, terms: Terms) -> tuple[BilinearTerm, ...]:
        """Return the terms with unknown and test function."""
        result = []
        for (trial, test, factors), number in merge(terms).items():
            trials, tests, weights = dict(trial or ()), dict(test or ()), dict(factors)
            forms = tuple(
                self._form(trials.get(i, 0), tests.get(i, 0), self._weight(i, weights)) for i in range(len(self.axes))
            )
            result.append(BilinearTerm(number, forms))
        return tuple(result)

    def load(self, terms: Terms) -> tuple[LinearTerm, ...]:
        """Return the terms with the test function alone."""
        result = []
        for (_, test, factors), number in merge(terms).items():
            tests, weights = dict(test or ()), dict(factors)
            forms = tuple(self._load(tests.get(i, 0), self._weight(i, weights)) for i in range(len(self.axes)))
            result.append(LinearTerm(number, forms))
        return tuple(result)

    def separated(self, terms: Terms) -> SeparatedFunction:
        """Return a sum of coefficients as a function."""
        result = []
        for (_, _, factors), number in merge(terms).items():
            weights = dict(factors)
            result.append((number, tuple(self._weight(i, weights) for i in range(len(self.axes)))))
        return SeparatedFunction(self.axes, tuple(result))

    def _weight(self, axis: int, weights: dict[int, sympy.Expr]) -> AxisFunction | None:
        expression = weights.get(axis)
        return None if expression is None else self.function(axis, expression)

    def _form(self, trial: int, test: int, weight: AxisFunction | None) -> AxisForm:
        return self._forms.setdefault((trial, test, weight), AxisForm(trial, test, weight))

    def _load(self, test: int, weight: AxisFunction | None) -> LoadForm:
        return self._loads.setdefault((test, weight), LoadForm(test, weight))


def _check_finite(function: AxisFunction, axis: Axis) -> None:
    """Find early what is not a number inside an axis, such as log(x) for negative x."""
    start, end = axis.domain
    try:
        function(start + (end - start) * np.array([0.0371, 0.2713, 0.5441, 0.7687, 0.9729]))
    except ValueError as error:
        where = str(error).rpartition("ξ = ")[2]
        raise ValueError(
            f"{function.shown(axis)} must be finite and real on the axis {axis.name} from {start:g} to {end:g}, "
            f"but it is not at {axis.name} = {where}"
        ) from None
    except (TypeError, NameError, KeyError, AttributeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{function.shown(axis)} cannot be computed with NumPy: {error}") from None


def merge(terms: Terms) -> Terms:
    """Add up terms that are equal in all axes but one; repeated until nothing changes.

    A source on a lattice, Σ_a Σ_b f(x - a) g(y - b), becomes one product.
    """
    while len(terms) > 1:
        before = len(terms)
        for axis in sorted({axis for _, _, factors in terms for axis, _ in factors}):
            terms = _merge_axis(terms, axis)
        if len(terms) == before:
            break
    return terms


def _merge_axis(terms: Terms, axis: int) -> Terms:
    groups: dict[Key, list[tuple[float, sympy.Expr]]] = defaultdict(list)
    for (trial, test, factors), number in terms.items():
        entry = next((entry for entry in factors if entry[0] == axis), None)
        rest = factors if entry is None else factors - {entry}
        groups[trial, test, rest].append((number, sympy.S.One if entry is None else entry[1]))
    merged: Terms = {}
    for (trial, test, rest), group in groups.items():
        if len(group) == 1:
            scale, function = group[0]
        else:
            scale = min(abs(number) for number, _ in group)
            scale = -scale if all(number < 0 for number, _ in group) else scale
            function = sympy.Add(*(_ratio(number, scale) * part for number, part in group))
            if not function.has(COORDINATE):
                scale, function = scale * float(function), sympy.S.One
        if scale:
            merged[trial, test, _with(rest, axis, function)] = scale
    return merged


def _with(rest: Factors, axis: int, function: sympy.Expr) -> Factors:
    return rest if function is sympy.S.One else (rest or NOTHING) | {(axis, function)}


def _ratio(number: float, scale: float) -> sympy.Expr:
    ratio = number / scale
    return sympy.Integer(int(ratio)) if ratio.is_integer() and abs(ratio) < 1e6 else sympy.Float(ratio)


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


__all__ = [
    "Assembler",
    "AxisForm",
    "AxisFunction",
    "BilinearTerm",
    "LinearTerm",
    "LoadForm",
    "PointFunction",
    "SeparatedFunction",
    "merge",
]
