"""Banded matrices, stored by rows, as the core's solvers take them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from inntd import _checks
from inntd._kernels import core

Array = npt.NDArray[np.float64]


class BandedMatrix:
    """A square matrix with nonzero entries near the diagonal only.

    Parameters
    ----------
    band : array (n, 2b+1) of float64, C-contiguous
        `band[i, b + j - i]` is entry (i, j); what would lie outside the matrix is zero and stays so.
    periodic : bool, default False
        Column indices wrap around: entry `b + k` of row i belongs to column `(i + k) % n`. (On very small meshes
        several entries of a row may belong to one column; they add up.)

    Examples
    --------
    >>> import numpy as np
    >>> A = BandedMatrix(np.array([[0, 2, -1], [-1, 2, -1], [-1, 2, 0.0]]))
    >>> A.toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    >>> A @ np.ones(3)
    array([1., 0., 1.])
    """

    __array_ufunc__ = None  # numpy must leave `array @ matrix` and the like alone

    def __init__(self, band: Array, periodic: bool = False) -> None:
        if not isinstance(band, np.ndarray) or band.dtype != np.float64 or band.ndim != 2 or band.shape[1] % 2 == 0:
            raise ValueError(
                "band must be a float64 array of shape (n, 2b+1), got "
                f"{getattr(band, 'dtype', type(band).__name__)} of shape {np.shape(band)}"
            )
        self.band: Array = np.ascontiguousarray(band)
        self.periodic = bool(periodic)

    @property
    def half_bandwidth(self) -> int:
        """Number b of diagonals on either side."""
        return int(self.band.shape[1]) // 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return int(self.band.shape[0]), int(self.band.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the band."""
        return self.band.nbytes

    @cached_property
    def symmetric(self) -> bool:
        """Whether entries (i, j) and (j, i) are equal to the last bit."""
        b = self.half_bandwidth
        for k in range(1, b + 1):
            upper, lower = self.band[:, b + k], self.band[:, b - k]
            if self.periodic:
                equal = np.array_equal(upper, np.roll(lower, -k))
            else:
                equal = np.array_equal(upper[:-k], lower[k:])
            if not equal:
                return False
        return True

    @property
    def T(self) -> BandedMatrix:
        """The transposed matrix."""
        n, b = self.shape[0], self.half_bandwidth
        band = np.zeros_like(self.band)
        for k in range(-b, b + 1):
            column = self.band[:, b + k]  # entries (i, i + k) become (j, j - k) with j = i + k
            if self.periodic:
                band[:, b - k] = np.roll(column, k)
            elif abs(k) < n:
                band[max(k, 0) : n + min(k, 0), b - k] = column[max(-k, 0) : n - max(k, 0)]
        return BandedMatrix(band, self.periodic)

    def __matmul__(self, other: Any) -> Array:
        """Return the product with an array (n,) or (n, m)."""
        x = np.asarray(other, dtype=np.float64)
        n, b = self.shape[0], self.half_bandwidth
        if x.ndim not in (1, 2) or x.shape[0] != n:
            raise ValueError(f"a matrix of shape {self.shape} needs an array ({n},) or ({n}, m), got shape {x.shape}")
        columns = np.ascontiguousarray(x.reshape(n, -1))
        out = np.zeros_like(columns)
        if not self.periodic:
            core.banded_multiply(self.band, columns, out)
            return out.reshape(x.shape)
        for k in range(-b, b + 1):
            out += self.band[:, b + k, None] * np.roll(columns, -k, axis=0)
        return out.reshape(x.shape)

    def __mul__(self, scalar: float) -> BandedMatrix:
        """Return the matrix times a number."""
        return BandedMatrix(self.band * _checks.finite_float("scalar", scalar), self.periodic)

    __rmul__ = __mul__

    def __add__(self, other: BandedMatrix) -> BandedMatrix:
        """Return the sum of two matrices of one shape."""
        if not isinstance(other, BandedMatrix):
            return NotImplemented
        if self.shape != other.shape or self.periodic != other.periodic:
            raise ValueError(f"matrices must have the same shape and period, got {self!r} and {other!r}")
        large, small = (self, other) if self.half_bandwidth >= other.half_bandwidth else (other, self)
        band, extra = large.band.copy(), large.half_bandwidth - small.half_bandwidth
        band[:, extra : band.shape[1] - extra] += small.band
        return BandedMatrix(band, self.periodic)

    def tosparse(self) -> scipy.sparse.csr_array:
        """Return the matrix as a SciPy CSR array."""
        n, b = self.shape[0], self.half_bandwidth
        rows = np.repeat(np.arange(n), 2 * b + 1)
        columns = (np.arange(n)[:, None] + np.arange(-b, b + 1)).reshape(-1)
        values = self.band.reshape(-1)
        if self.periodic:
            columns %= n
        else:
            inside = (columns >= 0) & (columns < n)
            rows, columns, values = rows[inside], columns[inside], values[inside]
        return scipy.sparse.coo_array((values, (rows, columns)), shape=(n, n)).tocsr()

    def toarray(self) -> Array:
        """Return the matrix as a dense array."""
        n, b = self.shape[0], self.half_bandwidth
        rows, columns = np.broadcast_arrays(np.arange(n)[:, None], np.arange(n)[:, None] + np.arange(-b, b + 1))
        inside = np.ones_like(columns, dtype=bool) if self.periodic else (columns >= 0) & (columns < n)
        dense = np.zeros((n, n))
        np.add.at(dense, (rows[inside], columns[inside] % n), self.band[inside])
        return dense

    def restrict(self, keep: npt.NDArray[np.bool_]) -> BandedMatrix:
        """Return the rows and columns marked by `keep`, for instance all but the fixed nodes.

        Parameters
        ----------
        keep : array (n,) of bool
            On a periodic matrix it must keep everything: what is left otherwise is no longer banded.
        """
        n, b = self.shape[0], self.half_bandwidth
        keep = np.asarray(keep)
        if keep.shape != (n,) or keep.dtype != np.bool_:
            raise ValueError(f"keep must be {n} booleans, got {keep.dtype} of shape {keep.shape}")
        if keep.all():
            return self
        if self.periodic:
            raise ValueError("keep must be all True on a periodic matrix: the rest would not be banded")
        old = np.flatnonzero(keep)
        if old.size and old[-1] - old[0] + 1 == old.size:
            return BandedMatrix(_without_outside(self.band[keep], b))
        new = np.cumsum(keep) - 1
        band = np.zeros((old.size, 2 * b + 1))
        for k in range(-b, b + 1):
            column = old + k
            rows = np.flatnonzero((column >= 0) & (column < n) & keep[np.clip(column, 0, n - 1)])
            band[rows, b + new[column[rows]] - rows] = self.band[old[rows], b + k]
        return BandedMatrix(band)

    def __repr__(self) -> str:
        wrapped = ", periodic" if self.periodic else ""
        return f"BandedMatrix({self.shape[0]} rows, half-bandwidth {self.half_bandwidth}{wrapped})"


def _without_outside(band: Array, b: int) -> Array:
    """Clear what refers to columns before the first or after the last row."""
    n = len(band)
    for k in range(1, b + 1):
        band[: min(k, n), b - k] = 0.0
        band[n - min(k, n) :, b + k] = 0.0
    return band
