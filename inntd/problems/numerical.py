"""Numerical separation of what does not factor by axis after exact expansion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy
from sympy.core.relational import Relational

from inntd.problems.algebra import COORDINATE, NOTHING, Factors, Index, Span, SeparationError, Terms, axes_of
from inntd.problems.breaks import KINKS, breaks, switches
from inntd.problems.compiled import compile_function
from inntd.problems.cross import Cross, Separated, TooManyEntries
from inntd.problems.expand import Separator, shorten
from inntd.problems.given import Given, Source
from inntd.problems.indicator import Indicator
from inntd.problems.tabulated import Grid, Tabulated

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
        plain = {key: number for key, number in terms.items() if not _coupled(key[2])}
        if len(plain) == len(terms):
            return terms
        return self.separator.add([plain, *self._groups(terms)])

    def _groups(self, terms: Terms) -> Iterator[Terms]:
        """Terms that differ only in what couples the same axes are separated as one function, which takes fewer."""
        groups: dict[tuple[Index | None, Index | None, Factors, Span], list[sympy.Expr]] = defaultdict(list)
        alone: dict[tuple[Index | None, Index | None, Factors, Span], list[sympy.Expr]] = defaultdict(list)
        for (trial, test, factors), number in terms.items():
            entries = self._absorbed(_coupled(factors))
            if not entries:
                continue
            rest = frozenset(entry for entry in factors if isinstance(entry[0], int))
            if len(entries) > 1:
                product: Terms = {(trial, test, rest): number}
                for _, expression in entries:
                    product = self.separator.multiply(product, self.function(expression))
                yield product
                continue
            ((place, expression),) = entries
            inside = {entry for entry in rest if entry[0] in axes_of(place)}
            smooth = not any(breaks(f, self.separator.axes[axis].domain) for axis, f in inside)  # type: ignore[index]
            if smooth:
                groups[trial, test, rest - inside, place].append(number * self._written(inside) * expression)
                alone[trial, test, rest - inside, place].append((number, frozenset(inside), expression))  # type: ignore[arg-type]
            else:
                weight: Terms = {(trial, test, rest): number}
                yield self.separator.multiply(weight, self.function(expression))
        for (trial, test, rest, place), members in groups.items():
            if len(members) == 1:  # what is of one axis stays exact
                number, near, expression = alone[trial, test, rest, place][0]  # type: ignore[misc]
                yield self.separator.multiply({(trial, test, rest | near): number}, self.function(expression))
            else:
                yield self.separator.multiply({(trial, test, rest): 1.0}, self.function(sympy.Add(*members)))

    def _written(self, factors: set[tuple[Span, sympy.Expr]]) -> sympy.Expr:
        """Return functions of COORDINATE as functions of their axes' symbols."""
        axes = self.separator.axes
        return sympy.Mul(*(f.xreplace({COORDINATE: axes[i]._sympy_()}) for i, f in factors if isinstance(i, int)))

    @staticmethod
    def _absorbed(entries: dict[tuple[int, ...], sympy.Expr]) -> list[tuple[tuple[int, ...], sympy.Expr]]:
        """Multiply factors into others that couple their axes anyway."""
        result: list[tuple[tuple[int, ...], sympy.Expr]] = []
        for place, expression in sorted(entries.items(), key=lambda entry: (-len(entry[0]), entry[0])):
            for i, (larger, other) in enumerate(result):
                if set(place) <= set(larger):
                    result[i] = larger, other * expression
                    break
            else:
                result.append((place, expression))
        return result

    def function(self, expression: sympy.Expr) -> Terms:
        """Return a function of several axes as a sum of products, exact where it factors after all."""
        known = self._known.get(expression)
        if known is None:
            terms = self.separator.terms(expression)
            ((_, _, factors), number) = next(iter(terms.items()), ((None, None, NOTHING), 0.0))
            same = len(terms) == 1 and [e for _, e in factors] == [expression] and number == 1.0
            known = self._known[expression] = self._separate(expression) if same else self.resolve(terms)
        return known

    def _separate(self, expression: sympy.Expr) -> Terms:
        positions = sorted(self.separator.scope(expression).axes)
        axes = [self.separator.axes[i] for i in positions]
        if len(axes) > MOST_AXES:
            raise SeparationError(
                f"{self.separator.inseparable(expression)}; numerical separation takes up to {MOST_AXES} axes"
            )
        symbols = [axis._sympy_() for axis in axes]
        grids = [
            Grid.of(axis, _splits(expression, symbol, axis.domain))
            for axis, symbol in zip(axes, symbols, strict=True)
        ]
        function = _Pointwise(expression, symbols)
        try:
            found = Cross(function, grids, self.tolerance, self.rank).run()
        except TooManyEntries as error:
            raise SeparationError(
                f"{self.separator.inseparable(expression)}; separated numerically it takes {error}: {_advice(expression)}"
            ) from None
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
        enough = found.rank < self.rank
        why = "it could not be resolved" if enough else f"{self.rank} terms leave"
        return (
            f"{self.separator.inseparable(expression)}; separated numerically, {why} a relative error of "
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
                source = Source(
                    f"{name}.{m + 1}", Tabulated(grid, found.values[d][:, m]), [grid.splits], note="separated numerically"
                )
                factors.add((position, Given(source, COORDINATE)))
            terms[None, None, frozenset(factors)] = 1.0
        return terms


def _coupled(factors: Factors) -> dict[tuple[int, ...], sympy.Expr]:
    return {place: expression for place, expression in factors if isinstance(place, tuple)}


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


def _splits(expression: sympy.Expr, symbol: sympy.Symbol, domain: tuple[float, float]) -> tuple[float, ...]:
    """Return where the expression has a kink or jumps across a plane on which one coordinate is constant."""
    found: set[float] = set()
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, (Relational, *KINKS, sympy.Max, sympy.Min, Given)):
            for switch in switches(node):
                if switch.free_symbols == {symbol}:
                    found.update(breaks(sympy.Abs(switch.xreplace({symbol: COORDINATE})), domain))
        if isinstance(node, Given):
            for argument, points in zip(node.coordinates, node.source.breaks, strict=True):
                if argument == symbol:
                    found.update(point for point in points if domain[0] < point < domain[1])
    return tuple(sorted(found))


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
            f"{shorten(jumps[0])} jumps along a curve that is not parallel to the axes, where sums of products converge "
            f"slowly; use coordinates in which the curve is a coordinate line, smooth the jump, or {more}"
        )
    if any(len(part.free_symbols) > 1 for part in expression.atoms(sympy.Abs, sympy.Max, sympy.Min)):
        return f"it has a kink along a curve that is not parallel to the axes; change or smooth it, or {more}"
    return f"write it in other coordinates, make the domain smaller, or {more}"
