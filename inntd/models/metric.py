r"""Blocks: factors of one axis in orthonormal coordinates of that axis' inner product.

A block of columns :math:`f_m` on an axis is a small matrix B with :math:`B^T B = (\int f_m f_n\,dx)_{mn}`: the
triangular factor of the columns' values at Gauss points, times the roots of the weights. It never passes through the
Gram matrix, whose entries are squares and hold only half of the digits. Columns may belong to models on different
meshes of the axis, and to plain functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.axes.functions import Function, evaluate
from inntd.models.sweep import Array, triangular_of_chunks

CELLS_AT_ONCE = 1 << 14
FEWEST_CELLS = 32  # on an axis with functions that are not in its space
MOST_HALVINGS = 40
PROBE = 1.0 - 2.0**-30  # not the end itself: functions may jump there
NARROW = 1e-10  # share of the integral of f² that a cell may gain by halving


@dataclass(frozen=True)
class Columns:
    """Functions :math:`\\sum_i N_i^{(order)}(x) U_{im}` of one axis, by their factor U (axis.size, M)."""

    axis: Axis
    factor: Array
    order: int = 0


def block(columns: Sequence[Columns], functions: Sequence[Function] = ()) -> Array:
    """Return the block of all columns, followed by the functions.

    Parameters
    ----------
    columns : sequence of Columns
        At least one; their axes cover the same interval, with meshes of their own.
    functions : sequence of callables, optional
        Vectorised, (K,) to (K,). Cells are halved where these are narrow.

    Returns
    -------
    array (k, M), M the number of all columns and functions, k at most M or the number of values of a discrete axis.
    """
    axis = columns[0].axis
    if axis.discrete:
        return _discrete_block(columns, functions)
    count = max(entry.axis.table.degree for entry in columns) + (4 if functions else 1)
    xi, weights = np.polynomial.legendre.leggauss(count)
    basis = [_Values(entry, xi) for entry in columns]

    def rows() -> Iterator[Array]:
        for cells in _cells([entry.axis for entry in columns], functions, xi, weights):
            roots = np.sqrt(0.5 * cells.lengths[:, None] * weights)
            values = [sample(cells) for sample in basis]
            values += [_call(axis, function, cells.points(xi))[:, :, None] for function in functions]
            stacked = np.concatenate(values, axis=2) * roots[:, :, None]
            yield stacked.reshape(-1, stacked.shape[2])

    return triangular_of_chunks(rows())


def integrals(axis: Axis) -> Array:
    """Return the integrals of an axis' basis functions (size,); ones on a discrete axis."""
    if axis.discrete:
        return np.ones(axis.size)
    table = axis.table
    xi, weights = np.polynomial.legendre.leggauss(table.degree // 2 + 1)
    powers = weights @ np.vander(xi, table.degree + 1, increasing=True)
    per_kind = np.einsum("q,kqw->kw", powers, table.coefficients)
    values = 0.5 * np.diff(table.breaks)[:, None] * per_kind[table.kind]
    index = (table.first[:, None] + np.arange(table.width)) % axis.size
    return np.asarray(np.bincount(index.reshape(-1), values.reshape(-1), minlength=axis.size), dtype=np.float64)


@dataclass(frozen=True)
class _Cells:
    """Intervals on an axis; none reaches across a break of any of the meshes concerned."""

    left: Array  # (C,)
    right: Array  # (C,)
    pieces: slice | None  # which pieces of the (only) mesh these are, when they are whole pieces

    @property
    def lengths(self) -> Array:
        return self.right - self.left

    def points(self, xi: Array) -> Array:
        """Return points (C, q) from points on [-1, 1]."""
        return 0.5 * (self.left + self.right)[:, None] + 0.5 * self.lengths[:, None] * xi


class _Values:
    """Samples the columns of one model at the points xi of cells: returns (C, q, M)."""

    def __init__(self, columns: Columns, xi: Array) -> None:
        self.factor, self.order, self.xi = columns.factor, columns.order, xi
        self.periodic, self.size = columns.axis.periodic, columns.axis.size
        table = columns.axis.table
        self.breaks, self.first, self.kind, self.width = table.breaks, table.first, table.kind, table.width
        self.coefficients = table.coefficients
        for _ in range(self.order):  # differentiate the polynomials: (kinds, degree + 1, width)
            factors = np.arange(1, self.coefficients.shape[1])[None, :, None]
            self.coefficients = self.coefficients[:, 1:] * factors
        if self.coefficients.shape[1] == 0:
            self.coefficients = np.zeros_like(table.coefficients[:, :1])
        powers = np.vander(xi, self.coefficients.shape[1], increasing=True)
        self.whole = powers @ self.coefficients  # (kinds, q, width)

    def __call__(self, cells: _Cells) -> Array:
        if cells.pieces is not None:
            piece = np.arange(cells.pieces.start, cells.pieces.stop)
            values = self.whole[self.kind[piece]]
        else:
            middle = 0.5 * (cells.left + cells.right)
            piece = np.searchsorted(self.breaks[1:-1], middle, side="right")
            values = self._parts(cells, piece)
        if self.order:
            values = values * ((2.0 / (self.breaks[piece + 1] - self.breaks[piece])) ** self.order)[:, None, None]
        index = self.first[piece][:, None] + np.arange(self.width)
        if self.periodic:
            index %= self.size
        found: Array = values @ self.factor[index]
        return found

    def _parts(self, cells: _Cells, piece: npt.NDArray[np.int64]) -> Array:
        a, b = self.breaks[piece][:, None], self.breaks[piece + 1][:, None]
        local = (2 * cells.points(self.xi) - a - b) / (b - a)
        coefficients = self.coefficients[self.kind[piece]]
        values = np.zeros((*local.shape, self.width))
        for q in range(coefficients.shape[1] - 1, -1, -1):
            values = values * local[:, :, None] + coefficients[:, None, q]
        return values


def _cells(axes: Sequence[Axis], functions: Sequence[Function], xi: Array, weights: Array) -> Iterator[_Cells]:
    """Yield the cells of one axis, some at a time."""
    breaks = [axis.table.breaks for axis in axes]
    extra = [x for function in functions for x in getattr(function, "breaks", ())]
    same = not extra and all(axis.key == axes[0].key for axis in axes)
    if same:
        ends = breaks[0]
    else:
        inside = np.asarray(extra, dtype=np.float64)
        low, high = axes[0].domain
        ends = np.unique(np.concatenate([*breaks, inside[(inside > low) & (inside < high)]]))
    pieces = ends.size - 1
    parts = -(-FEWEST_CELLS // pieces) if functions else 1
    if parts > 1:
        fractions = np.arange(parts) / parts
        ends = np.append((ends[:-1, None] + np.diff(ends)[:, None] * fractions).reshape(-1), ends[-1])
    norms = np.zeros(len(functions))
    for begin in range(0, ends.size - 1, CELLS_AT_ONCE):
        stop = min(begin + CELLS_AT_ONCE, ends.size - 1)
        whole = slice(begin, stop) if same and parts == 1 else None
        cells = _Cells(ends[begin:stop], ends[begin + 1 : stop + 1], whole)
        yield _refined(axes[0], cells, functions, xi, weights, norms) if functions else cells


def _refined(
    axis: Axis, cells: _Cells, functions: Sequence[Function], xi: Array, weights: Array, norms: Array
) -> _Cells:
    """Halve the cells where a function is narrow.

    There the integral of its square changes by halving, or the polynomial through its values at the Gauss points misses
    the ends, where a peak at a break may hide.
    """
    probes = np.concatenate([[-PROBE], xi, [PROBE]])
    to_ends = np.vander(probes[[0, -1]], xi.size) @ np.linalg.inv(np.vander(xi, xi.size))

    def squares(cells: _Cells) -> tuple[Array, Array]:  # integrals (C, R), misses (C, R)
        points = cells.points(probes)
        values = np.stack([_call(axis, function, points) for function in functions], axis=2)
        inner, lengths = values[:, 1:-1], cells.lengths[:, None]
        missed = ((np.einsum("eq,cqr->cer", to_ends, inner) - values[:, [0, -1]]) ** 2).max(axis=1)
        return np.einsum("cqr,cq->cr", inner**2, 0.5 * lengths * weights), missed * lengths

    done: list[_Cells] = []
    current, (coarse, missed) = cells, squares(cells)
    norms[:] = np.maximum(norms, coarse.sum(axis=0))
    for _ in range(MOST_HALVINGS):
        halves = _halved(current)
        fine, missed_by_halves = squares(halves)
        norms[:] = np.maximum(norms, fine.sum(axis=0))
        change = np.abs(fine.reshape(-1, 2, len(functions)).sum(axis=1) - coarse)
        split = (np.maximum(change, missed) > NARROW * norms).any(axis=1)
        if not split.any():
            break
        done.append(_Cells(current.left[~split], current.right[~split], None))
        both = np.repeat(split, 2)
        current = _Cells(halves.left[both], halves.right[both], None)
        coarse, missed = fine[both], missed_by_halves[both]
    if not done:
        return cells
    done.append(current)
    return _Cells(np.concatenate([c.left for c in done]), np.concatenate([c.right for c in done]), None)


def _halved(cells: _Cells) -> _Cells:
    middle = 0.5 * (cells.left + cells.right)
    ends = np.stack([cells.left, middle, cells.right], axis=1)
    return _Cells(ends[:, :2].reshape(-1), ends[:, 1:].reshape(-1), None)


def _discrete_block(columns: Sequence[Columns], functions: Sequence[Function]) -> Array:
    axis = columns[0].axis
    values = [entry.factor if entry.order == 0 else np.zeros_like(entry.factor) for entry in columns]
    values += [_call(axis, function, axis.nodes)[:, None] for function in functions]
    return triangular_of_chunks([np.concatenate(values, axis=1)])


def _call(axis: Axis, function: Function, points: Array) -> Array:
    """Return a function's values at points of any shape, finite or refused."""
    return evaluate(axis.name, function, np.ascontiguousarray(points.reshape(-1))).reshape(points.shape)
