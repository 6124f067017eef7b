"""Gauss quadrature on the pieces of an axis, refined by itself where a function is narrow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd._kernels import core
from inntd.axes.axis import Axis
from inntd.axes.functions import Function, evaluate

Array = npt.NDArray[np.float64]

FEWEST_PROBES = 1024  # points per axis at least, so that functions much narrower than an element are seen
CHUNK = 1 << 16  # pieces treated at a time: bounds the memory
ROUND_OFF = 2.0**-50
NOISE = 1e-11
MANY = 1 << 12  # elements from which fewer points per element do
PROBE = 1.0 - 2.0**-30  # not the end itself: functions may be singular there
INSIDE = 1.0 - 2.0**-50
SHORTEST = 2.0**-44  # of a cell, in the coordinate of its piece


class QuadratureWarning(UserWarning):
    """A function could not be integrated to round-off with a bearable number of points."""


@lru_cache(maxsize=64)
def gauss(count: int) -> tuple[Array, Array]:
    """Return Gauss-Legendre points and weights on [-1, 1]."""
    points, weights = core.gauss_rule(count)
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights


def quadrature_points(axis: Axis, order: int) -> tuple[Array, Array]:
    """Return points and weights that integrate polynomials of degree `order` on every piece of the axis exactly.

    Parameters
    ----------
    axis : Axis
        On a discrete axis: its values, with weights one.
    order : int
        Degree of the polynomials, at least 0. (The square of a basis function has twice its degree, axis.table.degree.)

    Returns
    -------
    points, weights : arrays (pieces * (order // 2 + 1),)
        In increasing order of the points.

    Examples
    --------
    >>> import inntd as it
    >>> x, w = quadrature_points(it.Axis("x", 0, 2, elements=5), 3)
    >>> round(float(w @ x**3), 12)
    4.0
    """
    count = _checks.positive_int("order", order, minimum=0) // 2 + 1
    if axis.discrete:
        return axis.nodes.copy(), np.ones(axis.size)
    breaks, (xi, w) = axis.table.breaks, gauss(count)
    half = 0.5 * np.diff(breaks)
    points = 0.5 * (breaks[:-1] + breaks[1:])[:, None] + half[:, None] * xi
    return points.reshape(-1), (half[:, None] * w).reshape(-1)


@dataclass(frozen=True)
class Cells:
    """Parts [left, right] of pieces, in the pieces' coordinate [-1, 1]."""

    piece: npt.NDArray[np.int64]  # (C,)
    left: Array  # (C,)
    right: Array  # (C,)

    def __len__(self) -> int:
        return len(self.piece)

    def take(self, which: npt.NDArray[np.bool_]) -> Cells:
        """Return some of the cells."""
        return Cells(self.piece[which], self.left[which], self.right[which])

    def halves(self) -> Cells:
        """Return both halves of every cell."""
        middle = 0.5 * (self.left + self.right)
        ends = np.stack([self.left, middle, self.right], axis=1)
        return Cells(np.repeat(self.piece, 2), ends[:, :2].reshape(-1), ends[:, 1:].reshape(-1))


@dataclass(frozen=True)
class Samples:
    """Functions at quadrature points, times the points' weights: all that an integral against the basis needs."""

    piece: npt.NDArray[np.int64]  # (C,)
    xi: Array  # (C, q), or (q,) when all cells are whole pieces
    values: Array  # (C, q, R)


class AdaptiveRule:
    """Integrates functions times polynomials of degree `degree` over the pieces of an axis.

    Every cell has q Gauss points, and a probe next to either end. A function is resolved on the cell when the last
    coefficients of its Legendre series through the Gauss points vanish to round-off and the series meets the probes
    (a jump between the outermost Gauss point and the end is seen by these alone); other cells are halved.
    """

    def __init__(self, axis: Axis, degree: int) -> None:
        self.axis, self.breaks = axis, axis.table.breaks
        self.pieces = len(self.breaks) - 1
        # Many short elements: functions are close to low polynomials on each, and fewer points resolve them.
        self.count = max(8, degree // 2 + 4) if self.pieces <= MANY else max(4, degree // 2 + 2)
        xi, weights = gauss(self.count)
        self.xi = np.concatenate([[-PROBE], xi, [PROBE]])
        self.weights = np.concatenate([[0.0], weights, [0.0]])
        self.tail = _tail_rows(self.count, min(self.count - 2, 2 * self.count - degree))

    def initial_cells(self, begin: int, end: int, splits: Sequence[float]) -> Cells:
        """Return cells of the pieces begin..end-1: whole pieces, cut in equal parts on short axes and at `splits`."""
        parts = -(-FEWEST_PROBES // (self.pieces * self.count))
        ends = np.linspace(-1.0, 1.0, parts + 1)
        cells = Cells(
            np.repeat(np.arange(begin, end), parts),
            np.tile(ends[:-1], end - begin),
            np.tile(ends[1:], end - begin),
        )
        for split in splits:
            cells = self._split(cells, split)
        return cells

    def _split(self, cells: Cells, x: float) -> Cells:
        piece = int(np.searchsorted(self.breaks, x, side="right")) - 1
        if not cells.piece[0] <= piece <= cells.piece[-1] or self.breaks[piece] == x:
            return cells
        a, b = self.breaks[piece], self.breaks[piece + 1]
        xi = (2 * x - a - b) / (b - a)
        hit = np.flatnonzero((cells.piece == piece) & (cells.left < xi) & (xi < cells.right))
        if hit.size == 0:
            return cells
        c = int(hit[0])
        return Cells(
            np.insert(cells.piece, c, piece),
            np.insert(cells.left, c + 1, xi),
            np.insert(cells.right, c, xi),
        )

    def points(self, cells: Cells) -> tuple[Array, Array, Array]:
        """Return the cells' points xi (C, q), coordinates x (C, q), and half-lengths in x (C,)."""
        half = 0.5 * (cells.right - cells.left)
        xi = (0.5 * (cells.left + cells.right))[:, None] + half[:, None] * self.xi
        np.clip(xi, -INSIDE, INSIDE, out=xi)
        a, b = self.breaks[cells.piece, None], self.breaks[cells.piece + 1, None]
        # From the nearer end, so that points next to a singularity there keep their distance from it.
        x = np.where(xi < 0, a + (0.5 * (b - a)) * (1 + xi), b - (0.5 * (b - a)) * (1 - xi))
        return xi, x, half * 0.5 * (b - a)[:, 0]

    def values(self, function: Function, x: Array) -> Array:
        """Return the function at points (C, q)."""
        return evaluate(self.axis.name, function, x.reshape(-1)).reshape(x.shape)

    def samples(self, functions: Sequence[Function]) -> Iterator[tuple[list[int], Samples]]:
        """Yield, piece after piece, samples with the positions of the functions that they belong to."""
        for begin in range(0, self.pieces, CHUNK):
            end = min(begin + CHUNK, self.pieces)
            yield from self._chunk(functions, begin, end)

    def _chunk(self, functions: Sequence[Function], begin: int, end: int) -> Iterator[tuple[list[int], Samples]]:
        """Functions without break points that are smooth on the first cells share these; others go on alone."""
        cells = self.initial_cells(begin, end, ())
        xi, x, half = self.points(cells)
        weights = half[:, None] * self.weights
        together: list[int] = []
        columns: list[Array] = []
        for i, function in enumerate(functions):
            splits = self.splits(function)
            if not splits:
                values = self.values(function, x)
                if self._resolved(values, half, np.abs(values).max(), float(np.sum(weights * np.abs(values)))).all():
                    together.append(i)
                    columns.append(weights * values)
                    continue
            for samples in self._refine(function, self.initial_cells(begin, end, splits)):
                yield [i], samples
        if together:
            whole = len(cells) == end - begin
            yield together, self._integrand(cells, self.xi if whole else xi, np.stack(columns, axis=2))

    def splits(self, function: Function) -> Sequence[float]:
        """Return the breaks and joints of a function that are no ends of pieces of the axis."""
        points = [*(getattr(function, "breaks", None) or ()), *(getattr(function, "joints", None) or ())]
        return np.setdiff1d(points, self.breaks).tolist() if points else ()

    def _integrand(self, cells: Cells, xi: Array, weighted: Array) -> Samples:
        """Return the samples at the Gauss points, without the probes."""
        return Samples(cells.piece, np.ascontiguousarray(xi[..., 1:-1]), np.ascontiguousarray(weighted[:, 1:-1]))

    def _resolved(
        self, values: Array, half: Array, scale: float, integral: float, parent: Array | None = None
    ) -> npt.NDArray[np.bool_]:
        tail = self._tails(values)
        resolved = (tail <= ROUND_OFF * 8 * scale) | (tail * half <= ROUND_OFF * integral)
        if parent is not None:  # halving no longer helps: what is left is the noise of the function's own rounding
            resolved |= (tail <= NOISE * scale) & (tail > 0.25 * parent)
        return resolved

    def _tails(self, values: Array) -> Array:
        tails: Array = np.abs(values @ self.tail.T).max(axis=1)
        return tails

    def _refine(self, function: Function, cells: Cells) -> Iterator[Samples]:
        scale, integral, total = 0.0, 0.0, len(cells)
        limit = 8 * total + 100_000
        parent: Array | None = None
        while len(cells):
            xi, x, half = self.points(cells)
            values = self.values(function, x)
            weights = half[:, None] * self.weights
            scale = max(scale, float(np.abs(values).max()))
            integral = max(integral, float(np.sum(weights * np.abs(values))))
            done = self._resolved(values, half, scale, integral, parent)
            stop = (cells.right - cells.left < SHORTEST) | (total > limit)
            bad = stop & (self._tails(values) * half > NOISE * integral) & ~done
            if bad.any():
                self._warn(x[bad], total)
            done |= stop
            yield self._integrand(cells.take(done), xi[done], (weights * values)[done][:, :, None])
            parent = np.repeat(self._tails(values[~done]), 2)
            cells = cells.take(~done).halves()
            total += len(cells)

    def _warn(self, x: Array, total: int) -> None:
        warnings.warn(
            f"axis {self.axis.name!r}: a function is not integrated to round-off near {self.axis.name} = {x.flat[0]}, "
            f"with {total} quadrature cells: smooth it, or give its jumps as its attribute `breaks`",
            QuadratureWarning,
            stacklevel=2,
        )


@lru_cache(maxsize=64)
def _tail_rows(count: int, first: int) -> Array:
    """Return the matrix from values at probe, Gauss points, probe to what must vanish for a resolved function.

    Its rows give the Legendre coefficients from number `first` on, and the distances of the series from the probes.
    """
    xi, w = gauss(count)
    values = np.polynomial.legendre.legvander(xi, count - 1)
    coefficients = (np.arange(count) + 0.5)[:, None] * (values * w[:, None]).T
    ends = np.polynomial.legendre.legvander(np.array([-PROBE, PROBE]), count - 1)
    rows = np.zeros((count - first + 2, count + 2))
    rows[:-2, 1:-1] = coefficients[first:]
    rows[-2:, 1:-1] = -(ends @ coefficients)
    rows[-2, 0] = rows[-1, -1] = 1.0
    return rows
