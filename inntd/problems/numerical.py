"""Numerical separation of what does not factor by axis after exact expansion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sympy
from sympy.core.relational import Relational

from inntd._kernels import blas_threads
from inntd.problems.algebra import (
    AT_START,
    COORDINATE,
    NOTHING,
    PLACES,
    Factors,
    Index,
    SeparationError,
    Span,
    Terms,
    axes_of,
    is_coupled,
)
from inntd.problems.breaks import KINKS, breaks, joints
from inntd.problems.compiled import compile_function
from inntd.problems.cross import Cross, Separated, TooManyEntries
from inntd.problems.expand import Separator
from inntd.problems.given import Given, Source
from inntd.problems.indicator import Indicator
from inntd.problems.tabulated import Grid, Tabulated
from inntd.problems.text import shorten

Array = npt.NDArray[np.float64]

DEFAULT_TOLERANCE = 1e-8
DEFAULT_RANK = 64
SMALLEST_TOLERANCE = 1e-13
MOST_AXES = 8


@dataclass(frozen=True)
class Separation:
    """What was separated numerically, and how well.

    Parameters
    ----------
    expression
        The factor, as it stands in the problem.
    axes
        The names of the axes it couples.
    rank
        The number of products it became.
    error
        Relative L2 error, measured at random points off the sample grid.
    name
        What its functions of one axis are called in `describe()`.
    """

    expression: sympy.Expr
    axes: tuple[str, ...]
    rank: int
    error: float
    name: str

    def __str__(self) -> str:
        terms = "1 term" if self.rank == 1 else f"{self.rank} terms"
        return f"{self.name} = {shorten(self.expression)} over {', '.join(self.axes)}: {terms}, error {self.error:.1e}"


class _Member(NamedTuple):
    number: float
    near: Factors  # of one of the axes that the expression couples
    expression: sympy.Expr


class Numerical:
    """Replaces factors of several axes by sums of products of functions of one axis each.

    Parameters
    ----------
    separator
        Of the problem.
    tolerance
        Largest relative error of every factor.
    rank
        Largest number of products that one factor may become.
    """

    def __init__(self, separator: Separator, tolerance: float, rank: int) -> None:
        self.separator, self.rank = separator, rank
        self.tolerance = max(tolerance, SMALLEST_TOLERANCE)
        self.separations: list[Separation] = []
        self._known: dict[sympy.Expr, Terms] = {}

    def resolve(self, terms: Terms) -> Terms:
        """Return a sum in which every factor is of one axis."""
        if not is_coupled(terms):
            return terms
        add, multiply = self.separator.add, self.separator.multiply
        pieces: list[Terms] = []
        groups: dict[tuple[Index | None, Index | None, Factors, Span], list[_Member]] = defaultdict(list)
        for (trial, test, factors), number in terms.items():
            rest, entries = self._split(factors)
            ends = self._at_ends(rest, entries)
            if not entries:
                pieces.append({(trial, test, factors): number})
            elif ends is not None:
                pieces.append(self.resolve(multiply({(trial, test, rest): number}, ends)))
            elif len(entries) > 1 or not self._smooth(rest, entries):
                product: Terms = {(trial, test, rest): number}
                for expression in entries.values():
                    product = multiply(product, self.function(expression))
                pieces.append(product)
            else:
                ((span, expression),) = entries.items()
                near = frozenset(entry for entry in rest if entry[0] in axes_of(span))
                groups[trial, test, rest - near, span].append(_Member(number, near, expression))
        for (trial, test, rest, _), members in groups.items():
            pieces.append(multiply({(trial, test, rest): 1.0}, self._joined(members)))
        return add(pieces)

    def _joined(self, members: list[_Member]) -> Terms:
        """Separate a sum of functions of the same axes; together they take fewer products than one by one."""
        if len(members) == 1:  # what is of one axis stays exact
            ((number, near, expression),) = members
            return self.separator.multiply({(None, None, near): number}, self.function(expression))
        total = sympy.Add(*(number * self._written(near) * e for number, near, e in members))
        if not total.is_Add:
            return self.resolve(self.separator.terms(total))
        if total not in self._known:
            self._known[total] = self._separate(total)
        return self._known[total]

    def _written(self, factors: Factors) -> sympy.Expr:
        """Return functions of COORDINATE as functions of their axes' symbols."""
        axes = self.separator.axes
        return sympy.Mul(*(f.xreplace({COORDINATE: axes[i]._sympy_()}) for i, f in factors if isinstance(i, int)))

    def _smooth(self, rest: Factors, entries: dict[tuple[int, ...], sympy.Expr]) -> bool:
        """Tell whether the factors of the coupled axes have no kinks, which would spoil what they are put into."""
        inside = {axis for span in entries for axis in span}
        axes = self.separator.axes
        return not any(isinstance(i, int) and i in inside and breaks(f, axes[i].domain) for i, f in rest)

    def _at_ends(self, rest: Factors, entries: dict[tuple[int, ...], sympy.Expr]) -> Terms | None:
        """Return the product of coupled factors in a face integral, which fixes a coordinate; None elsewhere."""
        fixed: dict[sympy.Expr, sympy.Expr] = {}
        for axis, function in rest:
            if function in PLACES and isinstance(axis, int):
                domain = self.separator.axes[axis].domain
                fixed[self.separator.axes[axis]._sympy_()] = sympy.Float(domain[0 if function == AT_START else 1], 20)
        if not any(expression.free_symbols & set(fixed) for expression in entries.values()):
            return None
        product: Terms = {(None, None, NOTHING): 1.0}
        for expression in entries.values():
            product = self.separator.multiply(product, self.separator.terms(expression.xreplace(fixed)))
        return product

    @staticmethod
    def _split(factors: Factors) -> tuple[Factors, dict[tuple[int, ...], sympy.Expr]]:
        """Return the factors of one axis and those of several, these multiplied into others that couple their axes."""
        rest = frozenset(entry for entry in factors if isinstance(entry[0], int))
        coupled = [(span, expression) for span, expression in factors if isinstance(span, tuple)]
        entries: dict[tuple[int, ...], sympy.Expr] = {}
        for span, expression in sorted(coupled, key=lambda entry: (-len(entry[0]), entry[0])):
            larger = next((other for other in entries if set(span) <= set(other)), span)
            entries[larger] = entries.get(larger, sympy.S.One) * expression
        return rest, entries

    def function(self, expression: sympy.Expr) -> Terms:
        """Return a function of several axes as a sum of products, exact where it factors after all."""
        known = self._known.get(expression)
        if known is None:
            terms = self.separator.terms(expression)
            ((_, _, factors), number) = next(iter(terms.items()), ((None, None, NOTHING), 0.0))
            same = len(terms) == 1 and [e for _, e in factors] == [expression] and number == 1.0
            known = self._known[expression] = self._separate(expression) if same else self.resolve(terms)
        return known

    @blas_threads()
    def _separate(self, expression: sympy.Expr) -> Terms:
        positions = sorted(self.separator.scope(expression).axes)
        axes = [self.separator.axes[i] for i in positions]
        if len(axes) > MOST_AXES:
            raise SeparationError(
                f"{self.separator.inseparable(expression)}; numerical separation takes up to {MOST_AXES} axes"
            )
        symbols = [axis._sympy_() for axis in axes]
        grids = [
            Grid.of(axis, *_splits(expression, symbol, axis.domain)) for axis, symbol in zip(axes, symbols, strict=True)
        ]
        function = _Pointwise(expression, symbols)
        try:
            found = Cross(function, grids, self.tolerance, self.rank).run()
        except TooManyEntries as error:
            whole = self.separator.inseparable(expression)
            raise SeparationError(f"{whole}; separated numerically it takes {error}: {_advice(expression)}") from None
        if found.error > self.tolerance:
            raise SeparationError(self._refusal(expression, found))
        if found.rank == 0:
            names = ", ".join(axis.name for axis in axes)
            raise SeparationError(
                f"the factor {shorten(expression)} is zero at all sample points of the axes {names}: leave it out, or, "
                "if it is only narrow, refine the meshes around it"
            )
        return self._terms(expression, positions, found)

    def _refusal(self, expression: sympy.Expr, found: Separated) -> str:
        terms = f"{found.rank} products" if found.rank < self.rank else f"{self.rank} products, the most allowed,"
        return (
            f"{self.separator.inseparable(expression)}; separated numerically, {terms} leave a relative error of "
            f"{found.error:.1e}, above {self.tolerance:.1e}: {_advice(expression)}"
        )

    def _terms(self, expression: sympy.Expr, positions: list[int], found: Separated) -> Terms:
        name = f"s{len(self.separations) + 1}"
        names = tuple(self.separator.axes[i].name for i in positions)
        self.separations.append(Separation(expression, names, found.rank, found.error, name))
        terms: Terms = {}
        for m in range(found.rank):
            factors = set()
            for d, position in enumerate(positions):
                grid = found.grids[d]
                table, shown = Tabulated(grid, found.values[d][:, m]), f"{name}.{m + 1}"
                source = Source(
                    shown, table, [grid.breaks], joints=[grid.joints], note="separated numerically", key=table.key
                )
                factors.add((position, Given(source, COORDINATE)))
            terms[None, None, frozenset(factors)] = 1.0
        return terms


class _Pointwise:
    """An expression as a function of points (K, k), refusing what is not finite."""

    def __init__(self, expression: sympy.Expr, symbols: list[sympy.Symbol]) -> None:
        self.expression, self.symbols = expression, symbols
        dummies = [sympy.Dummy(real=True) for _ in symbols]
        self._function = compile_function(dummies, expression.xreplace(dict(zip(symbols, dummies, strict=True))))

    def __call__(self, points: Array) -> Array:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(np.asarray(self._function(*points.T)), (len(points),))
        bad = ~np.isfinite(values) | ~np.isreal(values)
        if bad.any():
            where = ", ".join(f"{s} = {x:.6g}" for s, x in zip(self.symbols, points[bad][0], strict=True))
            raise ValueError(f"the factor {shorten(self.expression)} must be finite and real, but it is not at {where}")
        return np.array(values.real, dtype=np.float64)


def _splits(
    expression: sympy.Expr, symbol: sympy.Symbol, domain: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return where the expression has kinks or jumps across planes on which one coordinate is constant, and joints."""
    alone = [
        node.xreplace({symbol: COORDINATE})
        for node in sympy.preorder_traversal(expression)
        if isinstance(node, (Relational, *KINKS, sympy.Max, sympy.Min)) and node.free_symbols == {symbol}
    ]
    given = [
        Given(node.source, *(COORDINATE if argument == symbol else 0 for argument in node.coordinates))
        for node in expression.atoms(Given)
    ]
    found = {point for part in [*alone, *given] for point in breaks(part, domain)}
    meeting = {point for part in given for point in joints(part, domain)}
    return tuple(sorted(found)), tuple(sorted(meeting - found))


def _advice(expression: sympy.Expr) -> str:
    """Return what may help; jumps and kinks along curves have a reason of their own."""
    jumps = [
        part
        for part in expression.atoms(Indicator, sympy.Piecewise, sympy.sign, sympy.Heaviside)
        if len(part.free_symbols) > 1
    ]
    more = "allow a larger error (Problem(separation_tolerance=...)) or more terms (separation_rank=...)"
    if jumps:
        return (
            f"{shorten(jumps[0])} jumps along a curve that is not parallel to the axes, where sums of products "
            f"converge slowly; use coordinates in which the curve is a coordinate line, smooth the jump, or {more}"
        )
    if any(len(part.free_symbols) > 1 for part in expression.atoms(sympy.Abs, sympy.Max, sympy.Min)):
        return f"it has a kink along a curve that is not parallel to the axes; change or smooth it, or {more}"
    return f"write it in other coordinates, make the domain smaller, or {more}"
