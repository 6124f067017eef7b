"""Coordinates in which each axis is cheap: a basis that diagonalises its matrices, or an ordering with a small band."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd._kernels import core
from inntd.axes.banded import BandedMatrix
from inntd.solvers.mean import MeanPencil
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.spectra import eigenvectors, reached

Vector = npt.NDArray[np.float64]

# A dense eigendecomposition costs about 10 n^3 operations once; banded systems cost a few hundred n per mode and
# update. Measured on one core, the two are level between 100 and 200 nodes for a run of 10 modes.
LARGEST_DENSE_AXIS = 128
# Beside a nonsymmetric axis (time) banded axes need block systems, whose cost grows with the third power of the modes.
LARGEST_DENSE_BESIDE_TIME = 2048


@dataclass
class AxisCoordinates:
    """One axis of the system in working coordinates.

    Attributes
    ----------
    matrices
        Diagonals (n,) or bands (n, 2 b + 1).
    basis
        Columns take working coordinates to free nodal values; None when these are a reordering.
    order
        Free node of each working coordinate, when `basis` is None.
    mass
        Mass matrix on the free nodes: takes nodal values to the dual, hence to working coordinates.
    mean
        Preconditions the systems of an axis with many matrices.
    """

    matrices: list[Vector]
    diagonal: bool
    symmetric: bool
    basis: Vector | None
    order: npt.NDArray[np.intp]
    mass: BandedMatrix
    mean: MeanPencil | None = None

    def to_nodes(self, values: Vector) -> Vector:
        """Take columns of working coordinates to values on the free nodes."""
        if self.basis is not None:
            return self.basis @ values
        nodal = np.empty_like(values)
        nodal[self.order] = values
        return nodal

    def load(self, columns: Vector) -> Vector:
        """Take load columns on the free nodes to working coordinates."""
        if self.basis is not None:
            return np.ascontiguousarray(self.basis.T @ columns)
        return np.ascontiguousarray(columns[self.order])

    def from_nodes(self, columns: Vector) -> Vector:
        """Take values on the free nodes to working coordinates."""
        if self.basis is not None:
            return np.ascontiguousarray(self.basis.T @ (self.mass @ columns))
        return np.ascontiguousarray(columns[self.order])

    def system(
        self, load: Vector, fixed: npt.NDArray[np.bool_] | None = None, *, frozen: bool = False
    ) -> core.AxisSystem:
        """Return the compiled core's view of this axis; `fixed` (n, components) marks values that stay zero."""
        marks = None if fixed is None else np.ascontiguousarray(fixed[self.order], dtype=np.int32)
        mean = None if self.mean is None else (self.mean.basis, self.mean.values, self.mean.weights)
        return core.AxisSystem(self.matrices, self.diagonal, self.symmetric, 0, load, marks, frozen, mean)


def choose_coordinates(system: DiscreteSystem) -> list[AxisCoordinates]:
    """Choose coordinates axis by axis; axes with the same matrices share the work."""
    known: dict[tuple[object, ...], AxisCoordinates] = {}
    chosen = []
    every = system.fixed or [None] * len(system.axes)
    symmetric = [all(matrix.symmetric for matrix in own) for own in system.matrices]
    for d, (matrices, free, axis) in enumerate(zip(system.matrices, system.free, system.axes, strict=True)):
        largest = LARGEST_DENSE_AXIS if all(symmetric[:d] + symmetric[d + 1 :]) else LARGEST_DENSE_BESIDE_TIME
        if every[d] is not None:
            largest = 0  # values fixed at nodes rule out another basis
        key = (*(id(matrix) for matrix in matrices), free.start, free.stop, largest)
        if key not in known:
            mask = np.zeros(axis.size, dtype=bool)
            mask[free] = True
            known[key] = _coordinates([matrix.restrict(mask) for matrix in matrices], largest)
        chosen.append(_reached(known[key], system.vectors[d][free], system.load_error))
    return chosen


def _reached(c: AxisCoordinates, loads: Vector, load_error: float) -> AxisCoordinates:
    """Leave out the eigenvectors that no load reaches."""
    chosen = None if c.basis is None else reached(c.basis, loads, load_error)
    if c.basis is None or chosen is None:
        return c
    matrices = [np.ascontiguousarray(matrix[chosen]) for matrix in c.matrices]
    return replace(c, matrices=matrices, basis=np.ascontiguousarray(c.basis[:, chosen]), order=np.arange(chosen.sum()))


def _coordinates(matrices: list[BandedMatrix], largest: int) -> AxisCoordinates:
    mass, n = matrices[0], matrices[0].shape[0]
    symmetric = all(matrix.symmetric for matrix in matrices)
    identity = np.arange(n)
    if symmetric and len(matrices) <= 2 and n <= largest:
        eigenvalues, basis = eigenvectors(matrices[-1], mass)
        diagonals = [np.ones(n), np.ascontiguousarray(eigenvalues)][: len(matrices)]
        return AxisCoordinates(diagonals, True, True, basis, identity, mass)
    if mass.periodic:
        order = fold(n)
        bands = reordered_bands(matrices, order)
        return AxisCoordinates(bands, False, symmetric, None, order, mass)
    widest = max(matrix.half_bandwidth for matrix in matrices)
    bands = [_widened(matrix, widest) for matrix in matrices]
    return AxisCoordinates(bands, False, symmetric, None, identity, mass)


def fold(n: int) -> npt.NDArray[np.intp]:
    """Return the order 0, n-1, 1, n-2, ... that turns a cyclic band of half-width b into a plain one of 2 b.

    Examples
    --------
    >>> fold(5)
    array([0, 4, 1, 3, 2])
    """
    order = np.empty(n, dtype=np.intp)
    order[0::2] = np.arange((n + 1) // 2)
    order[1::2] = np.arange(n - 1, (n + 1) // 2 - 1, -1)
    return order


def reordered_bands(matrices: list[BandedMatrix], order: npt.NDArray[np.intp]) -> list[Vector]:
    """Return the matrices with rows and columns in the given order, as bands of one width."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    entries = [matrix.tosparse().tocoo() for matrix in matrices]
    rows, columns = [place[m.row] for m in entries], [place[m.col] for m in entries]
    width = max(int(np.abs(r - c).max(initial=0)) for r, c in zip(rows, columns, strict=True))
    bands = []
    for r, c, m in zip(rows, columns, entries, strict=True):
        band = np.zeros((len(order), 2 * width + 1))
        np.add.at(band, (r, width + c - r), m.data)
        bands.append(band)
    return bands


def _widened(matrix: BandedMatrix, half_bandwidth: int) -> Vector:
    missing = half_bandwidth - matrix.half_bandwidth
    band = np.pad(matrix.band, ((0, 0), (missing, missing))) if missing else matrix.band
    return np.ascontiguousarray(band)
