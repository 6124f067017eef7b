"""Separated operators on full tensors of coefficients, where all axes but one at most can be diagonalised.

In the common eigenbasis of an axis' matrices the operator acts entry by entry; one axis may stay as it is, and leaves
a small system for each entry of the others. It is the fast diagonalisation of Lynch, Rice and Thomas ("Direct solution
of partial difference equations by tensor product methods", Numer. Math. 6, 1964).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd._kernels import core
from inntd.axes.banded import BandedMatrix
from inntd.solvers.coordinates import fold, reordered_bands
from inntd.solvers.free import FreeSystem, Vector
from inntd.solvers.spectra import eigenvectors, reached

BATCH = 1 << 22  # numbers in dense systems held at once
SCHUR_BLOCK = 16  # rows substituted at a time
WORST_EIGENVECTORS = 1e4  # condition: the digits that may be lost
CACHED = 1 << 15  # complex numbers that fit into a cache


@dataclass(frozen=True)
class AxisSpace:
    """Coordinates of one axis, and its matrices in them.

    Attributes
    ----------
    basis
        Columns (n, r) take coordinates to values on the free nodes; None when these are nodal values in `order`.
    diagonals
        Per matrix its diagonal (r,), when they are all diagonal; else None.
    bands, dense
        Otherwise per matrix its band (r, 2 b + 1), or its entries (r, r). Matrices that the operator does not use are
        None.
    root
        Takes coordinates to orthonormal ones; None when they are.
    order
        Free node of each coordinate, when `basis` is None.
    """

    size: int
    basis: Vector | None = None
    diagonals: list[Vector | None] | None = None
    bands: list[Vector | None] | None = None
    dense: list[Vector | None] | None = None
    root: Root | None = None
    order: npt.NDArray[np.intp] | None = None

    def load(self, columns: Vector) -> Vector:
        """Take load columns on the free nodes to these coordinates."""
        if self.basis is not None:
            return np.asarray(self.basis.T @ columns)
        return columns[self.order]

    def to_nodes(self, values: Vector) -> Vector:
        """Take columns of coordinates to values on the free nodes."""
        if self.basis is not None:
            return np.asarray(self.basis @ values)
        nodal = np.empty_like(values)
        nodal[self.order] = values
        return nodal


@dataclass(frozen=True)
class Root:
    """An upper triangular R with R^T R the mass matrix; banded rows (b + 1, n) as LAPACK stores them, or dense."""

    banded: Vector | None
    dense: Vector | None

    @classmethod
    def of(cls, mass: BandedMatrix) -> Root:
        """Factorise a mass matrix."""
        if mass.periodic:
            return cls(None, scipy.linalg.cholesky(mass.toarray(), check_finite=False))
        n = mass.shape[0]
        b = min(mass.half_bandwidth, n - 1)
        rows = np.zeros((b + 1, n))
        for k in range(b + 1):
            rows[b - k, k:] = mass.band[: n - k, mass.half_bandwidth + k]
        return cls(scipy.linalg.cholesky_banded(rows, check_finite=False), None)

    def __matmul__(self, x: Vector) -> Vector:
        if self.banded is None:
            assert self.dense is not None
            return np.asarray(self.dense @ x)
        b, n = self.banded.shape[0] - 1, self.banded.shape[1]
        out = np.zeros_like(x)
        for k in range(min(b, n - 1) + 1):
            out[: n - k] += self.banded[b - k, k:, None] * x[k:]
        return out

    def solve(self, x: Vector, transposed: bool = False) -> Vector:
        """Return R^-1 x, or R^-T x."""
        if self.banded is None:
            return np.asarray(scipy.linalg.solve_triangular(self.dense, x, trans=int(transposed), check_finite=False))
        if x.size == 0:  # LAPACK's wrapper writes beyond an empty array
            return np.zeros_like(x)
        solved, _ = scipy.linalg.lapack.dtbtrs(self.banded, x, uplo="U", trans="T" if transposed else "N")
        return np.asarray(solved)


def spectral_space(
    matrices: Sequence[BandedMatrix], used: Sequence[int], loads: Vector | None = None, load_error: float = 0.0
) -> AxisSpace | None:
    """Return the coordinates in which the used matrices of an axis are diagonal; None when there are none.

    Parameters
    ----------
    matrices
        On the free nodes; the first is the mass matrix.
    used
        Which of them matter.
    loads, load_error
        (n, Q), where coordinates that none of them reaches may be left out, and their relative error.
    """
    others = [j for j in used if j != 0]
    if len(others) > 2 or not all(matrices[j].symmetric for j in others):
        return None
    if len(others) == 2:
        return None if 0 in used else _pencil_space(matrices, others, matrices[0].toarray())
    diagonals: list[Vector | None] = [None] * len(matrices)
    values, basis = eigenvectors(matrices[others[0] if others else 0], matrices[0])
    chosen = None if loads is None else reached(basis, loads, load_error)
    if chosen is not None:
        values, basis = values[chosen], np.ascontiguousarray(basis[:, chosen])
    diagonals[0] = np.ones(len(values))
    if others:
        diagonals[others[0]] = values
    return AxisSpace(len(values), basis, diagonals)


def _pencil_space(matrices: Sequence[BandedMatrix], pair: Sequence[int], mass: Vector) -> AxisSpace | None:
    """Diagonalise two matrices beside the mass, if one of them is definite."""
    for metric, other in (pair, pair[::-1]):
        try:
            values, basis = scipy.linalg.eigh(
                matrices[other].toarray(), matrices[metric].toarray(), check_finite=False, overwrite_a=True
            )
        except np.linalg.LinAlgError:
            continue
        diagonals: list[Vector | None] = [None] * len(matrices)
        diagonals[metric], diagonals[other] = np.ones(len(values)), values
        root = Root(None, scipy.linalg.cholesky(basis.T @ mass @ basis, check_finite=False))
        return AxisSpace(len(values), basis, diagonals, root=root)
    return None


def banded_space(matrices: Sequence[BandedMatrix], used: Sequence[int]) -> AxisSpace:
    """Return nodal coordinates, in an order that makes a periodic axis' matrices banded."""
    n = matrices[0].shape[0]
    bands: list[Vector | None] = [None] * len(matrices)
    mass = matrices[0]
    if not mass.periodic:
        widest = max(matrices[j].half_bandwidth for j in used)
        for j in used:
            missing = widest - matrices[j].half_bandwidth
            bands[j] = np.ascontiguousarray(np.pad(matrices[j].band, ((0, 0), (missing, missing))))
        return AxisSpace(n, bands=bands, root=Root.of(mass), order=np.arange(n))
    order = fold(n)
    for j, band in zip(used, reordered_bands([matrices[j] for j in used], order), strict=True):
        bands[j] = band
    dense = mass.toarray()[np.ix_(order, order)]
    return AxisSpace(n, bands=bands, root=Root(None, scipy.linalg.cholesky(dense)), order=order)


def load_tensor(system: FreeSystem, spaces: Sequence[AxisSpace]) -> Vector:
    """Return the load in the spaces' coordinates, as a full tensor; without the factor exp(scale)."""
    columns = [space.load(vectors)[:, system.load_terms[:, d]] for d, (space, vectors) in enumerate(
        zip(spaces, system.loads, strict=True))]  # fmt: skip
    shape = tuple(space.size for space in spaces)
    rest = int(np.prod(shape[1:]))
    total = np.zeros((shape[0], rest))
    step = max(1, BATCH // max(1, rest))
    for begin in range(0, len(system.load_weights), step):
        part = slice(begin, begin + step)
        others = functools.reduce(
            _khatri_rao, [c[:, part] for c in columns[1:]], np.ones((1, columns[0][:, part].shape[1]))
        )
        total += (columns[0][:, part] * system.load_weights[part]) @ others.T
    return total.reshape(shape)


def _khatri_rao(a: Vector, b: Vector) -> Vector:
    return (a[:, None, :] * b[None, :, :]).reshape(-1, a.shape[1])


def undiagonalised(spaces: Sequence[AxisSpace]) -> list[int]:
    """Return the axes that are not in a common eigenbasis."""
    return [d for d, space in enumerate(spaces) if space.diagonals is None]


@dataclass(frozen=True)
class Solved:
    """A tensor of coefficients, and how near to singular the operator was: the smallest relative sum of its terms."""

    tensor: Vector
    margin: float


def solve_product(
    system: FreeSystem,
    spaces: Sequence[AxisSpace],
    load: Vector,
    nullspace: bool = False,
    watch: Callable[[], None] | None = None,
) -> Solved:
    """Solve the system on the full tensor; at most one axis may be undiagonalised.

    Parameters
    ----------
    load
        Tensor in the spaces' coordinates.
    nullspace
        Whether the operator has a kernel of one dimension: its coefficient is then zero.
    watch
        Called now and then while systems are solved one by one.
    """
    rest = undiagonalised(spaces)
    if len(rest) > 1:
        raise ValueError(f"at most one axis may be undiagonalised, got {len(rest)}")
    if not rest:
        total, size = _symbol(system, spaces, range(len(system.terms)), None)
        relative = np.abs(total) / np.where(size > 0, size, 1.0)
        if nullspace:
            place = np.unravel_index(int(np.argmin(relative)), relative.shape)
            relative[place], total[place] = 1.0, np.inf
        total[total == 0.0] = np.finfo(np.float64).tiny
        return Solved(load / total, float(relative.min(initial=1.0)))
    axis = rest[0]
    moved = np.moveaxis(load, axis, -1)
    flat = moved.reshape(-1, spaces[axis].size)
    used = system.used(axis)
    symbols = [
        _symbol(system, spaces, [t for t, term in enumerate(system.terms) if term[axis] == j], axis)[0].reshape(-1)
        for j in used
    ]
    space = spaces[axis]
    if space.bands is not None:
        found = _solve_banded([space.bands[j] for j in used], symbols, flat, watch)
    else:
        assert space.dense is not None
        found = _solve_dense([space.dense[j] for j in used], symbols, flat)
    margin = 1.0 if np.isfinite(found).all() else 0.0
    return Solved(np.moveaxis(found.reshape(moved.shape), -1, axis), margin)


def _symbol(
    system: FreeSystem, spaces: Sequence[AxisSpace], chosen: Sequence[int] | range, skipped: int | None
) -> tuple[Vector, Vector]:
    """Sum over some terms of the products of their diagonals on all axes but one, and the sum of their sizes."""
    shape = [space.size for d, space in enumerate(spaces) if d != skipped]
    total, size = np.zeros(shape), np.zeros(shape)
    for t in chosen:
        product: Vector = np.array(system.coefficients[t])
        for d, space in enumerate(spaces):
            if d != skipped:
                assert space.diagonals is not None
                product = np.multiply.outer(product, space.diagonals[system.terms[t, d]])
        total += product
        size += np.abs(product)
    return total, size


def _solve_banded(
    bands: Sequence[Vector | None], symbols: Sequence[Vector], load: Vector, watch: Callable[[], None] | None
) -> Vector:
    found = np.ascontiguousarray(load)
    stacked = np.stack([band for band in bands if band is not None])
    coefficients = np.stack(symbols, axis=1)
    for k in range(len(found)):
        column = np.ascontiguousarray(found[k][:, None])
        try:
            core.banded_lu_solve(np.tensordot(coefficients[k], stacked, axes=1), column)
            found[k] = column[:, 0]
        except ValueError:  # no pivot
            found[k] = np.nan
        if watch is not None and k % 64 == 0:
            watch()
    return found


def _solve_dense(matrices: Sequence[Vector | None], symbols: Sequence[Vector], load: Vector) -> Vector:
    """Solve (sum_j symbols[j][k] matrices[j]) x_k = load[k] for every k."""
    stacked = [matrix for matrix in matrices if matrix is not None]
    identities = [k for k, matrix in enumerate(stacked) if np.array_equal(matrix, np.eye(len(matrix)))]
    if len(stacked) == 2 and identities and len(load) > load.shape[1]:
        identity = identities[0]
        return _solve_shifted(stacked[1 - identity], symbols[1 - identity], symbols[identity], load)
    found = np.empty_like(load)
    coefficients = np.stack(symbols, axis=1)
    step = max(1, BATCH // load.shape[1] ** 2)
    for begin in range(0, len(load), step):
        part = slice(begin, begin + step)
        systems = np.tensordot(coefficients[part], np.stack(stacked), axes=1)
        try:
            found[part] = np.linalg.solve(systems, load[part, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            found[part] = np.nan
    return found


def _solve_shifted(matrix: Vector, scale: Vector, shift: Vector, load: Vector) -> Vector:
    """Solve (scale[k] A + shift[k]) x_k = load[k] for every k, by eigenvectors, or by a Schur form if they are bad."""
    values, vectors = np.linalg.eig(matrix)
    if np.linalg.cond(vectors) <= WORST_EIGENVECTORS:
        return _solve_diagonal(values, vectors, scale, shift, load)
    upper, unitary = scipy.linalg.schur(matrix, output="complex", check_finite=False)
    found = np.empty_like(load)
    conjugate = unitary.conj()
    step = max(64, CACHED // len(upper))
    for begin in range(0, len(load), step):
        part = slice(begin, begin + step)
        right = np.ascontiguousarray((load[part] @ conjugate).T)  # (n, batch): rows are contiguous
        _substitute(upper, scale[part], shift[part], right)
        found[part] = (unitary @ right).real.T
    return found


def _solve_diagonal(
    values: npt.NDArray[np.complex128],
    vectors: npt.NDArray[np.complex128],
    scale: Vector,
    shift: Vector,
    load: Vector,
) -> Vector:
    """Solve by A = V diag(values) V^-1 in real arithmetic, one of each pair of conjugate eigenvalues."""
    chosen = values.imag >= 0
    twice = np.where(values[chosen].imag > 0, 2.0, 1.0)
    inverse, vectors = np.linalg.inv(vectors)[chosen], vectors[:, chosen] * twice
    real, imag = load @ inverse.real.T, load @ inverse.imag.T
    a = np.multiply.outer(scale, values[chosen].real) + shift[:, None]
    b = np.multiply.outer(scale, values[chosen].imag)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 1.0 / (a * a + b * b)
    a *= size
    b *= size
    return np.asarray((real * a + imag * b) @ vectors.real.T - (imag * a - real * b) @ vectors.imag.T)


def _substitute(
    upper: npt.NDArray[np.complex128], scale: Vector, shift: Vector, right: npt.NDArray[np.complex128]
) -> None:
    """Solve (scale[k] R + shift[k]) x_k = right[:, k] in place for an upper triangular R, in blocks of rows."""
    n = len(upper)
    if (scale == scale[0]).all():
        upper, scale = upper * scale[0], np.ones(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        for stop in range(n, 0, -SCHUR_BLOCK):
            start = max(0, stop - SCHUR_BLOCK)
            if stop < n:
                known = upper[start:stop, stop:] @ right[stop:]
                right[start:stop] -= known if scale.size == 1 else scale * known
            for i in range(stop - 1, start - 1, -1):
                if i + 1 < stop:
                    row = upper[i, i + 1 : stop] @ right[i + 1 : stop]
                    right[i] -= row if scale.size == 1 else scale * row
                right[i] /= scale * upper[i, i] + shift
