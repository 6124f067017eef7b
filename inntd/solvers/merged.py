"""Merged axes: several axes as one, with the matrices of a parametric operator on its functions.

A `MergedSpace` is all that a reduced basis asks of the functions that it combines: matrices that can be applied, added
up with weights and solved with, loads, and two inner products. `SparseSpace` keeps sparse matrices; those of a box are
Kronecker sums of one-dimensional ones (`inntd.solvers.affine`), those of an unstructured mesh would fit as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from inntd.solvers.factorise import Factor, Ordering, SingularError, factorise

Array = npt.NDArray[np.float64]
Definiteness = Literal["zero", "positive", "negative", "indefinite"]

SKEW = 1e-12  # symmetric parts below this share of a matrix are rounding
WORST = 1e13  # condition numbers above are those of singular matrices
SEMIDEFINITE = 1e-10  # eigenvalues down to this share below zero count as zero


class Operator(Protocol):
    """A matrix on a merged axis."""

    def __matmul__(self, columns: Array) -> Array:
        """Return the product with vectors (n,) or (n, k)."""
        ...

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k); factorised when first asked."""
        ...


class MergedSpace(Protocol):
    """The free functions of a merged axis, the terms A_q of an operator on them, and the terms b_r of its load."""

    @property
    def size(self) -> int:
        """Number of functions n."""
        ...

    @property
    def load(self) -> Array:
        """The terms of the load, an array (n, R)."""
        ...

    @property
    def mass(self) -> Operator:
        """The L2 inner product."""
        ...

    @property
    def norm(self) -> Operator:
        """An inner product with derivatives, for problems that do not give one by themselves."""
        ...

    @property
    def symmetric(self) -> tuple[bool, ...]:
        """Whether each A_q is symmetric."""
        ...

    def apply(self, q: int, columns: Array) -> Array:
        """Return A_q times vectors (n,) or (n, k)."""
        ...

    def apply_transposed(self, q: int, columns: Array) -> Array:
        """Return the transpose of A_q times vectors (n,) or (n, k)."""
        ...

    def operator(self, weights: Array) -> Operator:
        """Return the operator with given weights of its terms."""
        ...

    def energy(self, weights: Array) -> Operator:
        """Return the symmetric part with given weights; its `solve` fails where that is not positive definite."""
        ...

    def definiteness(self, q: int) -> Definiteness:
        """Say of which sign the symmetric part of A_q is."""
        ...

    def positive(self, weights: Array, *, norm: float = 0.0, mass: float = 0.0) -> bool:
        """Say whether the symmetric part with given weights, plus multiples of both inner products, is positive."""
        ...

    def nbytes(self) -> int:
        """Return the memory of one factorised operator."""
        ...


class SparseOperator:
    """A sparse matrix that is factorised when first needed."""

    def __init__(self, matrix: Any, ordering: Ordering, *, definite: bool, likely: bool = False) -> None:
        """Take a CSR matrix that must be positive definite, or is likely to be."""
        self.matrix, self.ordering, self.definite, self.likely = matrix, ordering, definite, likely
        self._factor: Factor | None = None

    def __matmul__(self, columns: Array) -> Array:
        product: Array = self.matrix @ columns
        return product

    def solve(self, right: Array) -> Array:
        """Return the solution for right-hand sides (n,) or (n, k).

        Raises
        ------
        SingularError
            When the matrix is singular to working precision, or not definite though it should be.
        """
        if self._factor is None:
            self._factor = self._factorised()
        return self._factor.solve(right)

    def _factorised(self) -> Factor:
        if self.definite:
            return factorise(self.matrix, self.ordering, definite=True)
        if self.likely:
            try:
                return self._regular(factorise(self.matrix, self.ordering, definite=True))
            except SingularError:  # symmetric but indefinite, or singular, which elimination tells
                pass
        return self._regular(factorise(self.matrix, self.ordering, definite=False))

    def _regular(self, factor: Factor) -> Factor:
        """Raise where the inverse amplifies a random vector as only that of a singular matrix does."""
        right = np.random.default_rng(0).standard_normal(self.matrix.shape[0])
        size = float(np.abs(self.matrix.data).max()) * float(np.linalg.norm(factor.solve(right)))
        if not size <= WORST * float(np.linalg.norm(right)):
            raise SingularError("the matrix is singular to working precision")
        return factor


@dataclass(frozen=True)
class SparseSpace:
    """A merged axis with sparse matrices of one sparsity pattern.

    Attributes
    ----------
    pattern
        CSR array with sorted rows, structurally symmetric; its numbers do not matter.
    terms
        The entries (Q, nnz) of the A_q.
    transposed
        Where the entry (j, i) stands among those of (i, j): the permutation (nnz,) of a transpose.
    load
        (n, R).
    mass_data, norm_data
        Entries (nnz,) of the two inner products.
    """

    pattern: Any
    terms: Array
    transposed: npt.NDArray[np.intp]
    load: Array
    mass_data: Array
    norm_data: Array
    ordering: Ordering = field(init=False)
    mass: SparseOperator = field(init=False)
    norm: SparseOperator = field(init=False)
    parts: Array = field(init=False)
    symmetric: tuple[bool, ...] = field(init=False)

    @classmethod
    def of(cls, matrices: Sequence[Any], load: Array, mass: Any, norm: Any) -> SparseSpace:
        """Return the space of given SciPy sparse matrices A_q, as those of a finite-element mesh."""
        pattern = sum((abs(m) + abs(m).T for m in (*matrices, mass, norm)), start=0 * mass).tocsr()
        pattern.sort_indices()
        rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
        keys = rows * pattern.shape[1] + pattern.indices

        def entries(matrix: Any) -> Array:
            own = matrix.tocoo()
            data = np.zeros(len(keys))
            np.add.at(data, np.searchsorted(keys, own.row.astype(np.int64) * pattern.shape[1] + own.col), own.data)
            return data

        terms = np.stack([entries(matrix) for matrix in matrices])
        return cls(pattern, terms, transposition(pattern), load, entries(mass), entries(norm))

    def __post_init__(self) -> None:
        parts = 0.5 * (self.terms + self.terms[:, self.transposed])
        sizes = np.abs(self.terms).max(axis=1)
        skew = np.abs(parts).max(axis=1) <= SKEW * sizes
        parts[skew] = 0.0
        even = np.abs(parts - self.terms).max(axis=1) <= SKEW * sizes
        put = object.__setattr__
        put(self, "ordering", Ordering(self.pattern))
        put(self, "parts", parts)
        put(self, "symmetric", tuple(bool(yes) for yes in even))
        put(self, "mass", self._operator(self.mass_data, definite=True))
        put(self, "norm", self._operator(self.norm_data, definite=True))

    @property
    def size(self) -> int:
        """Number of functions."""
        return int(self.pattern.shape[0])

    def apply(self, q: int, columns: Array) -> Array:
        """Return A_q times vectors (n,) or (n, k)."""
        product: Array = self._matrix(self.terms[q]) @ columns
        return product

    def apply_transposed(self, q: int, columns: Array) -> Array:
        """Return the transpose of A_q times vectors (n,) or (n, k)."""
        product: Array = self._matrix(self.terms[q]).T @ columns
        return product

    def operator(self, weights: Array) -> SparseOperator:
        """Return the operator with given weights; if it is symmetric, it is tried as a definite one first."""
        matrix = self._matrix(weights @ self.terms)
        return SparseOperator(matrix, self.ordering, definite=False, likely=all(self.symmetric))

    def energy(self, weights: Array) -> SparseOperator:
        """Return the symmetric part with given weights."""
        return self._operator(weights @ self.parts, definite=True)

    def definiteness(self, q: int) -> Definiteness:
        """Say of which sign the symmetric part of A_q is: whether it can be factorised when moved up very little."""
        part = self.parts[q]
        if not part.any():
            return "zero"
        diagonal = self._matrix(part).diagonal()
        for sign, name in ((1.0, "positive"), (-1.0, "negative")):
            if (sign * diagonal >= 0).all() and self._semidefinite(sign * part):
                return name  # type: ignore[return-value]
        return "indefinite"

    def positive(self, weights: Array, *, norm: float = 0.0, mass: float = 0.0) -> bool:
        """Say whether the symmetric part with given weights, plus multiples of both inner products, is positive."""
        data = weights @ self.parts + norm * self.norm_data + mass * self.mass_data
        try:
            factorise(self._matrix(data), self.ordering, definite=True)
        except SingularError:
            return False
        return True

    def nbytes(self) -> int:
        """Return the memory of one factorised operator."""
        return self.ordering.nbytes(all(self.symmetric))

    def _semidefinite(self, data: Array) -> bool:
        """Whether the matrix is positive when moved up by little, relative to the mass and so to each function."""
        shift = SEMIDEFINITE * np.abs(data).max() / np.abs(self.mass_data).max()
        try:
            factorise(self._matrix(data + shift * self.mass_data), self.ordering, definite=True)
        except SingularError:
            return False
        return True

    def _operator(self, data: Array, *, definite: bool) -> SparseOperator:
        return SparseOperator(self._matrix(data), self.ordering, definite=definite)

    def _matrix(self, data: Array) -> Any:
        return type(self.pattern)((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)


def transposition(pattern: Any) -> npt.NDArray[np.intp]:
    """Return where the entries of a transpose stand, for a structurally symmetric CSR pattern with sorted rows."""
    numbered = type(pattern)((np.arange(pattern.nnz), pattern.indices, pattern.indptr), shape=pattern.shape)
    turned = numbered.T.tocsr()
    turned.sort_indices()
    return np.asarray(turned.data, dtype=np.intp)
