"""Coefficients of an operator as functions of the coordinates, and where on sample points they are smallest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from inntd.axes import Axis
from inntd.problems.separate import Array, AxisFunction, BilinearTerm

_MOST_SAMPLES = 2000
_ROUND_OFF = 1e-12
_STARTS = 4
_SWEEPS = 8


def sample_points(axis: Axis) -> Array:
    """Return points at which coefficients are looked at: two Gauss points per element.

    Nodes are left out, for a coefficient may vanish at the end of an axis, as the radius in cylindrical coordinates
    does; the ends of a parameter axis, or points at round-off from them, are values like others.
    """
    if axis.discrete:
        return axis.nodes
    step = -(-axis.elements // (_MOST_SAMPLES // 2))
    left, right = axis.nodes[:-1:step], axis.nodes[1::step]
    left = left[: len(right)]
    middle, half = (left + right) / 2, (right - left) / 2
    points = np.stack([middle - half / np.sqrt(3.0), middle + half / np.sqrt(3.0)], axis=1).ravel()
    if axis.kind != "parameter":
        return points
    start, end = axis.domain
    small = _ROUND_OFF * (end - start)
    return np.concatenate([[start + small], points, [end - small]])


class Coefficient:
    """A sum of products of functions of one coordinate each, tabulated at sample points.

    Parameters
    ----------
    axes
        The axes of the problem, D of them.
    points
        Per axis, its sample points.
    terms
        Pairs of a number and D functions (None for one).
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        points: Sequence[Array],
        terms: Iterable[tuple[float, Sequence[AxisFunction | None]]],
    ) -> None:
        self.axes, self.terms = tuple(axes), [(number, tuple(functions)) for number, functions in terms]
        self.depends = sorted({d for _, functions in self.terms for d, f in enumerate(functions) if f is not None})
        known: dict[tuple[int, AxisFunction], Array] = {}
        for _, functions in self.terms:
            for d, function in enumerate(functions):
                if function is not None and (d, function) not in known:
                    known[d, function] = function(points[d])
        self._tables = [
            {d: known[d, function] for d, function in enumerate(functions) if function is not None}
            for _, functions in self.terms
        ]

    def along(self, axis: int, place: Sequence[int]) -> Any:
        """Return the values at all sample points of one axis, at one of each other: an array, or one number."""
        total: Any = 0.0
        for (number, _), tables in zip(self.terms, self._tables, strict=True):
            value: Any = number
            for d, table in tables.items():
                value = value * (table if d == axis else table[place[d]])
            total = total + value
        return total

    def bounds(self) -> tuple[float, float]:
        """Return bounds of all values at the sample points, by interval arithmetic: sharp for a single product."""
        total = np.zeros(2)
        for (number, _), tables in zip(self.terms, self._tables, strict=True):
            ends = np.array([number, number])
            for table in tables.values():
                products = np.outer(ends, [table.min(), table.max()])
                ends = np.array([products.min(), products.max()])
            total += ends
        return float(total[0]), float(total[1])

    def __str__(self) -> str:
        texts = []
        for number, functions in self.terms:
            factors = [f"({f.shown(self.axes[d])})" for d, f in enumerate(functions) if f is not None]
            texts.append("*".join([f"{number:g}", *factors] if number != 1.0 or not factors else factors))
        text = " + ".join(texts)
        return text if len(text) <= 120 else f"{text[:80]} … {text[-30:]}"


def weighted(terms: Iterable[BilinearTerm], sign: float = 1.0) -> list[tuple[float, list[AxisFunction | None]]]:
    """Return numbers and weights of terms of an operator, for a `Coefficient`."""
    return [(sign * term.coefficient, [form.weight for form in term.forms]) for term in terms]


def smallest(
    objective: Callable[..., Any],
    coefficients: Sequence[Coefficient],
    sizes: Sequence[int],
    fixed: dict[int, int] | None = None,
) -> tuple[float, list[int]]:
    """Return the smallest value found of a function of coefficients, and the sample points where it is taken.

    One axis is searched after the other, from several starts: the value is one that really occurs, though with many
    coupled axes a smaller one may be missed.
    """
    fixed = fixed or {}
    axes = sorted({d for each in coefficients for d in each.depends} - set(fixed))
    random = np.random.default_rng(0)
    starts = [[size // 2 for size in sizes]] + [[int(random.integers(size)) for size in sizes] for _ in range(_STARTS)]
    best, best_place = np.inf, starts[0]
    for start in starts:
        place = [fixed.get(d, i) for d, i in enumerate(start)]
        value = float(objective(*(each.along(-1, place) for each in coefficients)))
        for _ in range(_SWEEPS):
            before = value
            for d in axes:
                values = np.broadcast_to(objective(*(each.along(d, place) for each in coefficients)), sizes[d])
                place[d] = int(np.argmin(values))
                value = float(values[place[d]])
            if not value < before:
                break
        if value < best:
            best, best_place = value, place
    return best, best_place
