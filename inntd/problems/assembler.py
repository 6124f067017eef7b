"""From sums of products to the forms of a solver."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy

from inntd.axes import Axis
from inntd.problems.algebra import (
    AT_END,
    AT_START,
    COORDINATE,
    NOTHING,
    PLACES,
    Factors,
    Index,
    Key,
    Span,
    Terms,
    axes_of,
)
from inntd.problems.breaks import breaks, joints
from inntd.problems.separate import AxisForm, AxisFunction, BilinearTerm, End, LinearTerm, LoadForm, SeparatedFunction

OneAxis: TypeAlias = "frozenset[tuple[int, sympy.Expr]]"

_END: dict[sympy.Expr, End] = {AT_START: "start", AT_END: "end"}


class Assembler:
    """Turns sums of products into the forms of a solver; equal functions become one object."""

    def __init__(
        self, axes: Sequence[Axis], component: int | None = None, resolve: Callable[[Terms], Terms] | None = None
    ) -> None:
        self.axes, self.component, self._resolve = tuple(axes), component, resolve
        self._functions: dict[tuple[sympy.Expr, tuple[float, float]], AxisFunction] = {}
        self._forms: dict[AxisForm, AxisForm] = {}
        self._loads: dict[LoadForm, LoadForm] = {}

    def function(self, axis: int, expression: sympy.Expr) -> AxisFunction:
        """Return a checked one-dimensional function."""
        domain = self.axes[axis].domain
        known = self._functions.get((expression, domain))
        if known is None:
            known = AxisFunction(expression, breaks(expression, domain), joints(expression, domain))
            _check_finite(known, self.axes[axis])
            self._functions[expression, domain] = known
        return known

    def operator(self, terms: Terms) -> tuple[BilinearTerm, ...]:
        """Return the terms with unknown and test function."""
        result = []
        for (trial, test, factors), number in self._merged(terms).items():
            trials, tests, weights = dict(trial or ()), dict(test or ()), dict(factors)
            forms = tuple(
                self._form(i, trials.get(i, 0), tests.get(i, 0), weights.get(i)) for i in range(len(self.axes))
            )
            result.append(BilinearTerm(number, forms))
        return tuple(result)

    def load(self, terms: Terms) -> tuple[LinearTerm, ...]:
        """Return the terms with the test function alone."""
        result = []
        for (_, test, factors), number in self._merged(terms).items():
            tests, weights = dict(test or ()), dict(factors)
            forms = tuple(self._load(i, tests.get(i, 0), weights.get(i)) for i in range(len(self.axes)))
            result.append(LinearTerm(number, forms))
        return tuple(result)

    def separated(self, terms: Terms) -> SeparatedFunction:
        """Return a sum of coefficients as a function."""
        result = []
        for (_, _, factors), number in self._merged(terms).items():
            weights = dict(factors)
            result.append((number, tuple(self._weight(i, weights) for i in range(len(self.axes)))))
        return SeparatedFunction(self.axes, tuple(result))

    def _merged(self, terms: Terms) -> dict[tuple[Index | None, Index | None, OneAxis], float]:
        """Return few terms, with factors of one axis only."""
        merged: Any = merge(self._resolve(terms) if self._resolve else terms)
        return merged  # type: ignore[no-any-return]

    def _weight(self, axis: int, weights: dict[int, sympy.Expr]) -> AxisFunction | None:
        expression = weights.get(axis)
        return None if expression is None else self.function(axis, expression)

    def _form(self, axis: int, trial: int, test: int, factor: sympy.Expr | None) -> AxisForm:
        if axis == self.component:
            form = AxisForm(place=(test - 1, trial - 1))
        elif factor in PLACES:
            form = AxisForm(trial, test, None, _END[factor])
        else:
            form = AxisForm(trial, test, None if factor is None else self.function(axis, factor))
        return self._forms.setdefault(form, form)

    def _load(self, axis: int, test: int, factor: sympy.Expr | None) -> LoadForm:
        if axis == self.component:
            form = LoadForm(place=test - 1)
        elif factor in PLACES:
            form = LoadForm(test, None, _END[factor])
        else:
            form = LoadForm(test, None if factor is None else self.function(axis, factor))
        return self._loads.setdefault(form, form)


def _check_finite(function: AxisFunction, axis: Axis) -> None:
    """Find early what is not a number inside an axis, such as log(x) for negative x."""
    start, end = axis.domain
    try:
        function(start + (end - start) * np.array([0.0371, 0.2713, 0.5441, 0.7687, 0.9729]))
    except ValueError as error:
        _, found, where = str(error).rpartition("ξ = ")
        if not found:  # another complaint, of a function given by code
            raise
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
        for axis in sorted({axis for _, _, factors in terms for axis, _ in factors}, key=axes_of):
            terms = _merge_axis(terms, axis)
        if len(terms) == before:
            break
    return terms


def _merge_axis(terms: Terms, axis: Span) -> Terms:
    groups: dict[Key, list[tuple[float, sympy.Expr]]] = defaultdict(list)
    for (trial, test, factors), number in terms.items():
        entry = next((entry for entry in factors if entry[0] == axis), None)
        rest = factors if entry is None or entry[1] in PLACES else factors - {entry}  # ends are no functions to add
        groups[trial, test, rest].append((number, sympy.S.One if rest is factors or entry is None else entry[1]))
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


def _with(rest: Factors, axis: Span, function: sympy.Expr) -> Factors:
    return rest if function is sympy.S.One else (rest or NOTHING) | {(axis, function)}


def _ratio(number: float, scale: float) -> sympy.Expr:
    ratio = number / scale
    return sympy.Integer(int(ratio)) if ratio.is_integer() and abs(ratio) < 1e6 else sympy.Float(ratio)
