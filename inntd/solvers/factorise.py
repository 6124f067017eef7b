"""Factorisations of sparse matrices: banded ones of LAPACK where the band is narrow enough, else SuperLU.

The matrices of smooth bases have many entries in each row and fill up almost entirely between their outermost
diagonals; a banded factorisation, which runs at the speed of dense ones, is then several times as fast as a sparse one.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from scipy.linalg import lapack
from scipy.sparse.csgraph import reverse_cuthill_mckee

from inntd.models.memory import refuse_beyond

Array = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]

WIDEST = 2500  # half-bandwidth up to which the banded way is faster, as measured on products of one-dimensional bases
PIVOT = 1e-13  # pivots below this share of their column's entries are those of a singular matrix


class Factor(Protocol):
    """A matrix that was factorised."""

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k)."""
        ...


class SingularError(np.linalg.LinAlgError):
    """A matrix that is singular to working precision, or, where that was asked for, not positive definite."""


class Ordering:
    """The order of unknowns in which a sparsity pattern has a narrow band, found once for all matrices of it."""

    def __init__(self, pattern: Any) -> None:
        natural = np.arange(pattern.shape[0])
        cuthill = np.asarray(reverse_cuthill_mckee(pattern.tocsr(), symmetric_mode=True), dtype=np.intp)
        self.rows = np.repeat(natural, np.diff(pattern.indptr))
        self.columns = np.asarray(pattern.indices, dtype=np.intp)
        bands = [self._band(order) for order in (natural, cuthill)]
        self.order = natural if bands[0] <= bands[1] else cuthill
        self.half_bandwidth = min(bands)
        self.size = len(natural)
        place = np.argsort(self.order)
        self.rows, self.columns = place[self.rows], place[self.columns]

    def _band(self, order: Order) -> int:
        place = np.argsort(order)
        return int(np.abs(place[self.rows] - place[self.columns]).max(initial=0))

    @property
    def banded(self) -> bool:
        """Whether the band is narrow enough for a banded factorisation."""
        return self.half_bandwidth <= WIDEST

    def nbytes(self, definite: bool) -> int:
        """Return the size of a factorisation; of a sparse one as much as a band of the widest kind would take."""
        return 8 * self.size * (min(self.half_bandwidth, WIDEST) + 1) * (1 if definite else 3)


def factorise(matrix: Any, ordering: Ordering, *, definite: bool) -> Factor:
    """Factorise a matrix (CSR, with the pattern of `ordering`).

    Parameters
    ----------
    matrix
        With canonical rows.
    ordering
        Of its pattern.
    definite
        Whether it must be symmetric and positive definite.

    Raises
    ------
    SingularError
        When it is singular to working precision, or not definite though it should be.
    MemoryError
        When the factors do not fit, with their size in GB.
    """
    needed = ordering.nbytes(definite)
    refuse_beyond("the factorisation of a merged axis", needed, None, "use fewer elements, or merge fewer axes")
    if not ordering.banded:
        return _Sparse(matrix, definite)
    return _Cholesky(matrix, ordering) if definite else _Banded(matrix, ordering)


class _Cholesky:
    def __init__(self, matrix: Any, ordering: Ordering) -> None:
        lower = ordering.rows >= ordering.columns
        band = np.zeros((ordering.half_bandwidth + 1, ordering.size), order="F")
        rows, columns = ordering.rows[lower], ordering.columns[lower]
        band[rows - columns, columns] = matrix.data[lower]
        try:
            self.band = scipy.linalg.cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            raise SingularError("the matrix is not positive definite") from None
        if not (self.band[0] ** 2 > PIVOT * matrix.diagonal()[ordering.order]).all():
            raise SingularError("the matrix is singular to working precision")
        self.order = ordering.order

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k)."""
        found = np.empty_like(right)
        found[self.order] = scipy.linalg.cho_solve_banded((self.band, True), right[self.order], check_finite=False)
        return found


class _Banded:
    def __init__(self, matrix: Any, ordering: Ordering) -> None:
        b = ordering.half_bandwidth
        band = np.zeros((3 * b + 1, ordering.size), order="F")
        band[2 * b + ordering.rows - ordering.columns, ordering.columns] = matrix.data
        self.lu, self.pivots, _ = lapack.dgbtrf(band, b, b, overwrite_ab=True)
        if not self.lu[2 * b].all():
            raise SingularError("the matrix is singular")
        self.order, self.b = ordering.order, b

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k)."""
        found = np.empty_like(right)
        columns = right[self.order].reshape(len(right), -1)
        found[self.order] = lapack.dgbtrs(self.lu, self.b, self.b, columns, self.pivots)[0].reshape(right.shape)
        return found


class _Sparse:
    def __init__(self, matrix: Any, definite: bool) -> None:
        options = {"SymmetricMode": True} if definite else {}
        order, pivoting = ("MMD_AT_PLUS_A", 0.0) if definite else ("COLAMD", 1.0)
        try:
            self.lu = scipy.sparse.linalg.splu(
                matrix.tocsc(), permc_spec=order, diag_pivot_thresh=pivoting, options=options
            )
        except RuntimeError as error:
            raise SingularError(f"the matrix is singular: {error}") from None
        diagonal = self.lu.U.diagonal()
        if definite and not diagonal.min() > 0:
            raise SingularError("the matrix is not positive definite")

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k)."""
        found: Array = self.lu.solve(np.ascontiguousarray(right))
        return found
