"""Functions of one coordinate known by their values: on the quadrature points of an axis, at its nodes, at samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis, quadrature_points
from inntd.axes.quadrature import gauss
from inntd.problems.given import content_key

Array = npt.NDArray[np.float64]

POINTS = 6  # per cell: what every quadrature rule takes for resolved
MOST_HALVINGS = 8
MOST_CELLS = 4000  # beyond the elements
_PROBES = (-1.0 + 1e-9, 0.0, 1.0 - 1e-9)  # not the ends themselves: functions may jump there


@lru_cache(maxsize=8)
def _legendre(count: int) -> tuple[Array, Array]:
    """Return the matrices from values at Gauss points to Legendre coefficients, and from these to the probes."""
    xi, weights = gauss(count)
    values = np.polynomial.legendre.legvander(xi, count - 1)
    coefficients = (np.arange(count) + 0.5)[:, None] * (values * weights[:, None]).T
    return coefficients, np.polynomial.legendre.legvander(np.array(_PROBES), count - 1)


@dataclass(frozen=True, eq=False)
class Grid:
    """Quadrature points of an axis: 6 Gauss points on each element or part of one; the values of a discrete axis.

    Parameters
    ----------
    axis
        The coordinate.
    edges
        Ends of the cells, increasing, (C + 1,); no use for discrete axes.
    breaks
        The edges where functions on this grid may jump or have kinks.
    """

    axis: Axis
    edges: Array
    breaks: tuple[float, ...] = ()

    @classmethod
    def of(cls, axis: Axis, breaks: Sequence[float] = (), joints: Sequence[float] = ()) -> Grid:
        """Return the grid of an axis with its elements split at breaks and at other points."""
        edges = np.asarray(axis.table.breaks, dtype=np.float64)
        return cls(axis, edges, tuple(breaks))._with(np.array([*breaks, *joints]))

    def _with(self, more: Array) -> Grid:
        if self.axis.discrete or more.size == 0:
            return self
        low, high = self.axis.domain
        return replace(self, edges=np.union1d(self.edges, more[(more > low) & (more < high)]))

    @property
    def joints(self) -> tuple[float, ...]:
        """All edges inside the axis: functions on this grid change from one polynomial to the next there."""
        return () if self.axis.discrete else tuple(self.edges[1:-1].tolist())

    @cached_property
    def points(self) -> Array:
        """All points (N,), increasing."""
        if self.axis.discrete:
            return quadrature_points(self.axis, 0)[0]
        xi, _ = gauss(POINTS)
        middle, half = 0.5 * (self.edges[:-1] + self.edges[1:]), 0.5 * np.diff(self.edges)
        points: Array = (middle[:, None] + half[:, None] * xi).reshape(-1)
        return points

    @cached_property
    def weights(self) -> Array:
        """The weights of the points (N,), for integrals over the axis."""
        if self.axis.discrete:
            return np.ones(self.axis.size)
        weights: Array = (0.5 * np.diff(self.edges)[:, None] * gauss(POINTS)[1]).reshape(-1)
        return weights

    def refined(self, fibres: Callable[[Array], Array], accuracy: float) -> Grid:
        """Halve cells until functions, (K,) to (K, J), are polynomials on each to an accuracy, or too many are needed.

        A kink that lies elsewhere for every function is not chased down: the error is measured later in any case.
        """
        grid, cells = self, np.arange(len(self.edges) - 1)
        limit = 2 * cells.size + MOST_CELLS
        for _ in range(0 if self.axis.discrete else MOST_HALVINGS):
            left, right = grid.edges[cells], grid.edges[cells + 1]
            bad = _unresolved(left, right, fibres, accuracy)
            if not bad.any() or len(grid.edges) + np.count_nonzero(bad) > limit:
                break
            middle = 0.5 * (left[bad] + right[bad])
            grid = grid._with(middle)
            found = np.searchsorted(grid.edges, middle)
            cells = np.sort(np.concatenate([found - 1, found]))
        return grid


def _unresolved(left: Array, right: Array, fibres: Callable[[Array], Array], accuracy: float) -> npt.NDArray[np.bool_]:
    """Tell on which cells the polynomials through the Gauss points miss the functions at middle and ends."""
    (xi, _), (coefficients, ends) = gauss(POINTS), _legendre(POINTS)
    local = np.concatenate([xi, _PROBES])
    x = 0.5 * (left + right)[:, None] + 0.5 * (right - left)[:, None] * local
    values = fibres(x.reshape(-1)).reshape(len(left), local.size, -1)
    expected = np.einsum("pq,cqj->cpj", ends @ coefficients, values[:, : xi.size])
    missed: npt.NDArray[np.bool_] = np.abs(expected - values[:, xi.size :]).max(axis=(1, 2)) > accuracy
    return missed


class Tabulated:
    """The piecewise polynomial through values (N,) on a grid."""

    def __init__(self, grid: Grid, values: Array) -> None:
        self.grid = grid
        if grid.axis.discrete:
            self.values = values
        else:
            self.coefficients = values.reshape(-1, POINTS) @ _legendre(POINTS)[0].T

    @property
    def key(self) -> str:
        """What tells it from other functions."""
        content = self.values if self.grid.axis.discrete else self.coefficients
        return content_key("tabulated", self.grid.edges, content, self.grid.breaks)

    def __call__(self, x: Array) -> Array:
        """Return the values (K,) at points (K,)."""
        if self.grid.axis.discrete:
            chosen: Array = self.values[np.rint(x).astype(np.int64)]
            return chosen
        edges = self.grid.edges
        cell = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        left, right = edges[cell], edges[cell + 1]
        xi = (2.0 * x - left - right) / (right - left)
        chosen = self.coefficients[cell]
        before, now = np.ones_like(xi), xi  # Legendre polynomials by their recurrence
        total = chosen[:, 0] + chosen[:, 1] * xi
        for degree in range(2, POINTS):
            before, now = now, ((2 * degree - 1) * xi * now - (degree - 1) * before) / degree
            total = total + chosen[:, degree] * now
        return total


class NodalValues:
    """A function, or a derivative of one, of k coordinates in the axes' own bases, by its values at their nodes."""

    _CHUNK = 2_000_000  # products held at once

    def __init__(self, axes: Sequence[Axis], values: Array, orders: Sequence[int] | None = None) -> None:
        self.axes, self.values = tuple(axes), values
        self.orders = tuple(orders or (0,) * len(self.axes))
        self.key = content_key("nodal", tuple(axis.key for axis in self.axes), self.orders, values.shape, values)

    def __call__(self, *coordinates: Array) -> Array:
        """Return the values (K,) at coordinates of shape (K,) each; ends are not left."""
        count = coordinates[0].size
        width = int(np.prod([axis.table.width for axis in self.axes]))
        chunk = max(1, self._CHUNK // width)
        parts = [
            self._values([x[first : first + chunk] for x in coordinates]) for first in range(0, max(count, 1), chunk)
        ]
        return np.concatenate(parts)

    def _values(self, coordinates: Sequence[Array]) -> Array:
        k = len(self.axes)
        rows = [
            axis.tabulate(np.clip(x, *axis.domain), order)
            for axis, x, order in zip(self.axes, coordinates, self.orders, strict=True)
        ]
        places = tuple(
            index.reshape(len(index), *([1] * d), -1, *([1] * (k - 1 - d))) for d, (index, _) in enumerate(rows)
        )
        local = self.values[places]
        for _, weights in reversed(rows):
            local = np.einsum("k...w,kw->k...", local, weights)
        return local

    def derivative(self, position: int) -> NodalValues:
        """Return the partial derivative in one coordinate."""
        orders = list(self.orders)
        orders[position] += 1
        return NodalValues(self.axes, self.values, orders)


class LinearSamples:
    """Piecewise (multi)linear interpolation of samples on the grid of k vectors of coordinates."""

    def __init__(self, at: Sequence[Array], values: Array) -> None:
        self.at, self.values = tuple(at), values
        self.key = content_key("linear", *self.at, values.shape, values)

    def __call__(self, *coordinates: Array) -> Array:
        """Return the values (K,) at coordinates of shape (K,) each; beyond the samples the last value holds."""
        total = np.zeros(coordinates[0].shape)
        places, shares = [], []
        for at, x in zip(self.at, coordinates, strict=True):
            left = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
            share = np.clip((x - at[left]) / (at[left + 1] - at[left]), 0.0, 1.0)
            places.append((left, left + 1))
            shares.append((1.0 - share, share))
        for corner in np.ndindex(*(2,) * len(self.at)):
            weight = np.prod([shares[d][side] for d, side in enumerate(corner)], axis=0)
            total += weight * self.values[tuple(places[d][side] for d, side in enumerate(corner))]
        return total
