"""A discrete system on its free nodes: what all routes but the alternating one start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd.axes.banded import BandedMatrix
from inntd.solvers.operator import DiscreteSystem

Vector = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class FreeSystem:
    """Separated system on the free nodes: sum_t c_t (x)_d A_d^(t) u = exp(scale) sum_r w_r (x)_d p_d^(r).

    Attributes
    ----------
    matrices
        Per axis, its distinct matrices; the mass matrix is first.
    terms, coefficients
        Operator: (T, D) indices into `matrices`, and (T,) factors.
    loads, load_terms, load_weights
        Load: per axis (n_d, Q_d) vectors, (R, D) indices into them, and (R,) factors of at most one.
    scale
        Logarithm of the load's size, which may be beyond float64 in many dimensions.
    load_error
        Relative error of loads that were separated numerically.
    """

    matrices: list[list[BandedMatrix]]
    terms: Indices
    coefficients: Vector
    loads: list[Vector]
    load_terms: Indices
    load_weights: Vector
    scale: float
    load_error: float = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Free nodes of each axis."""
        return tuple(own[0].shape[0] for own in self.matrices)

    def used(self, d: int) -> list[int]:
        """Return which matrices of an axis the operator uses."""
        return sorted({int(j) for j in self.terms[:, d]})

    def load_columns(self, d: int) -> Vector:
        """Return the load's columns (n_d, R) on one axis, without weights."""
        return self.loads[d][:, self.load_terms[:, d]]

    def merged(self, d: int) -> FreeSystem:
        """Return the system with terms added up that differ on axis `d` only: fewer terms, other matrices there."""
        others = [tuple(np.delete(term, d)) for term in self.terms]
        groups: dict[tuple[int, ...], list[int]] = {}
        for t, key in enumerate(others):
            groups.setdefault(key, []).append(t)
        own = list(self.matrices[d])
        terms, coefficients = [], []
        for members in groups.values():
            term = self.terms[members[0]].copy()
            if len(members) == 1:
                coefficients.append(float(self.coefficients[members[0]]))
            else:
                parts = [own[self.terms[t, d]] * float(self.coefficients[t]) for t in members]
                own.append(_sum(parts))
                term[d] = len(own) - 1
                coefficients.append(1.0)
            terms.append(term)
        matrices = [own if e == d else other for e, other in enumerate(self.matrices)]
        return replace(self, matrices=matrices, terms=np.array(terms), coefficients=np.array(coefficients))


def free_system(system: DiscreteSystem) -> FreeSystem:
    """Restrict a discrete system to its free nodes; axes that share matrices go on sharing them."""
    known: dict[tuple[int, int, int], BandedMatrix] = {}
    matrices = []
    for own, free, axis in zip(system.matrices, system.free, system.axes, strict=True):
        mask = np.zeros(axis.size, dtype=bool)
        mask[free] = True
        for matrix in own:
            key = (id(matrix), free.start, free.stop)
            if key not in known:
                known[key] = matrix.restrict(mask)
        matrices.append([known[id(matrix), free.start, free.stop] for matrix in own])
    scale = float(system.load_logs.max()) if len(system.load_logs) else 0.0
    return FreeSystem(
        matrices,
        system.terms,
        system.coefficients,
        [vectors[free] for vectors, free in zip(system.vectors, system.free, strict=True)],
        system.load_terms,
        system.load_signs * np.exp(system.load_logs - scale),
        scale,
        system.load_error,
    )


def definite_sign(system: FreeSystem) -> int:
    """Return 1 or -1 when the operator looks like a sum of semidefinite terms of that sign, 0 when it does not.

    A cheap look at symmetry and diagonals: 0 is certain, the signs are likely.
    """
    signs = [[_sign(matrix) for matrix in own] for own in system.matrices]
    found = {
        int(np.sign(c)) * int(np.prod([signs[d][j] for d, j in enumerate(term)]))
        for c, term in zip(system.coefficients, system.terms, strict=True)
    }
    return found.pop() if len(found) == 1 else 0


def symmetric(system: FreeSystem) -> bool:
    """Whether every matrix that the operator uses is symmetric."""
    return all(system.matrices[d][j].symmetric for d in range(len(system.matrices)) for j in system.used(d))


def _sign(matrix: BandedMatrix) -> int:
    diagonal = matrix.band[:, matrix.half_bandwidth]
    if not matrix.symmetric:
        return 0
    if (diagonal >= 0).all():
        return 1
    return -1 if (diagonal <= 0).all() else 0


def _sum(matrices: Sequence[BandedMatrix]) -> BandedMatrix:
    total = matrices[0]
    for matrix in matrices[1:]:
        total = total + matrix
    return total
