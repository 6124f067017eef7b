"""Coordinates in which each axis is cheap: a basis that diagonalises its matrices, or an ordering with a small band."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd._kernels import core
from inntd.axes._cache import BoundedCache
from inntd.axes.banded import BandedMatrix
from inntd.solvers.mean import MeanPencil
from inntd.solvers.operator import DiscreteSystem

Vector = npt.NDArray[np.float64]

# A dense eigendecomposition costs about 10 n^3 operations once; banded systems cost a few hundred n per mode and
# update. Measured on one core, the two are level between 100 and 200 nodes for a run of 10 modes.
LARGEST_DENSE_AXIS = 128
# Beside a nonsymmetric axis (time) banded axes need block systems, whose cost grows with the third power of the modes.
LARGEST_DENSE_BESIDE_TIME = 2048
# Loads that are smooth on a long axis reach few of its eigenvectors: the others are left out where this part of a load
# is all that they see, and where enough of them are.
UNREACHED = 1e-14
LONG_AXIS = 256
FEW_REACHED = 0.7


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
        chosen.append(_reached(known[key], system.vectors[d][free]))
    return chosen


def _reached(c: AxisCoordinates, loads: Vector) -> AxisCoordinates:
    """Leave out the eigenvectors that no load sees: the solution has no part in them.

    In such coordinates an axis' system falls into one per eigenvector, and without a load its solution is zero.
    """
    if c.basis is None or len(c.order) < LONG_AXIS or loads.shape[1] == 0:
        return c
    sizes = np.abs(c.basis.T @ loads)
    reached = (sizes > UNREACHED * sizes.max(axis=0)).any(axis=1)
    count = int(reached.sum())
    if count > FEW_REACHED * len(reached):
        return c
    matrices = [np.ascontiguousarray(matrix[reached]) for matrix in c.matrices]
    basis = np.ascontiguousarray(c.basis[:, reached])
    return replace(c, matrices=matrices, basis=basis, order=np.arange(count))


def _coordinates(matrices: list[BandedMatrix], largest: int) -> AxisCoordinates:
    mass, n = matrices[0], matrices[0].shape[0]
    symmetric = all(matrix.symmetric for matrix in matrices)
    identity = np.arange(n)
    if symmetric and len(matrices) <= 2 and n <= largest:
        eigenvalues, basis = _eigenvectors(matrices[-1], mass)
        diagonals = [np.ones(n), np.ascontiguousarray(eigenvalues)][: len(matrices)]
        return AxisCoordinates(diagonals, True, True, basis, identity, mass)
    if mass.periodic:
        order = fold(n)
        bands = reordered_bands(matrices, order)
        return AxisCoordinates(bands, False, symmetric, None, order, mass)
    widest = max(matrix.half_bandwidth for matrix in matrices)
    bands = [_widened(matrix, widest) for matrix in matrices]
    return AxisCoordinates(bands, False, symmetric, None, identity, mass)


@dataclass
class _Eigenvectors:
    values: Vector
    basis: Vector


# The slabs of a march share their axes, and so do runs with other numbers of modes.
_spectra: BoundedCache[_Eigenvectors] = BoundedCache(160 * 2**20, size=lambda found: found.basis.nbytes)


def _eigenvectors(matrix: BandedMatrix, mass: BandedMatrix) -> tuple[Vector, Vector]:
    """Return the eigenvalues of a symmetric pencil and its eigenvectors, of unit mass norm, as columns."""

    def solve() -> _Eigenvectors:
        full, weight = np.asfortranarray(matrix.toarray()), np.asfortranarray(mass.toarray())
        return _Eigenvectors(*scipy.linalg.eigh(full, weight, check_finite=False, overwrite_a=True, overwrite_b=True))

    found = _spectra.get((matrix.band.tobytes(), mass.band.tobytes(), mass.periodic), solve)
    return found.values, found.basis


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
