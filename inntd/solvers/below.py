r"""Sums of one-dimensional operators below the symmetric part of a separated one, with all constants computed.

Each term has one axis that grows with the frequency, such as that of a stiffness matrix. Its factors on the others,
added up over the terms that share this matrix, are replaced by the least eigenvalue that they have against the mass:
for a parameter's function this is its minimum in the discrete space, as in the min-theta approach (Rozza, Huynh and
Patera, Archives of Computational Methods in Engineering 15, 2008). Skew terms, such as convection between Dirichlet
values, and the derivative in time only add to the symmetric part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.axes.banded import BandedMatrix
from inntd.solvers.free import FreeSystem, free_system, symmetric
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.spectra import eigenvectors

Vector = npt.NDArray[np.float64]
Interval = tuple[float, float]
Term = tuple[float, dict[int, BandedMatrix]]  # a number, and a matrix on each axis where it is not the mass

LONGEST_AXIS = 1200  # nodes of axes that are diagonalised
ROUNDING = 1e-12  # eigenvalues below this share of the largest are zero


class NoBoundError(ValueError):
    """There is no guaranteed bound; the message says why."""


@dataclass(frozen=True)
class Below:
    """A sum of one-dimensional operators below the symmetric part of an operator, diagonalised.

    Attributes
    ----------
    system
        On the free nodes, with the sign that makes it positive.
    values, bases
        Per axis eigenvalues (n_d,) and mass-orthonormal eigenvectors (n_d, n_d).
    commuting
        Whether the operator is symmetric and diagonal in one basis of products.
    """

    system: FreeSystem
    values: list[Vector]
    bases: list[Vector]
    commuting: bool

    @property
    def lowest(self) -> float:
        """The smallest eigenvalue of the sum."""
        return float(sum(own.min() for own in self.values))

    @property
    def highest(self) -> float:
        """The largest eigenvalue of the sum."""
        return float(sum(own.max() for own in self.values))


def below_of(system: DiscreteSystem) -> Below:
    """Return a positive sum of one-dimensional operators below the operator's symmetric part, for either sign of it.

    Raises
    ------
    NoBoundError
        When there is none; says why.
    """
    if any(own is not None for own in system.fixed):
        raise NoBoundError("components of the vector have conditions of their own")
    free = free_system(system)
    if min(free.sizes) == 0:
        raise NoBoundError("no node is free")
    if max(free.sizes) > LONGEST_AXIS:
        raise NoBoundError(f"an axis has {max(free.sizes)} nodes, more than the {LONGEST_AXIS} that are diagonalised")
    try:
        return _below(free)
    except NoBoundError as failure:
        try:
            return _below(_negated(free))
        except NoBoundError:
            raise failure from None


def _negated(free: FreeSystem) -> FreeSystem:
    return FreeSystem(free.matrices, free.terms, -free.coefficients, free.loads, free.load_terms, -free.load_weights,
                      free.scale, free.load_error)  # fmt: skip


def _below(free: FreeSystem) -> Below:
    groups = _groups(free)
    order = sorted(range(len(free.sizes)), key=lambda d: any(d == main for main, _ in groups))
    parts = [np.zeros((n, n)) for n in free.sizes]
    unsigned = []
    for (main, j), terms in groups.items():
        matrix = _part(free.matrices[main][j])
        low, high = _span(free, main, matrix)
        if low >= 0:
            parts[main] += _least(free, terms, order) * matrix.toarray()
        elif high <= 0:
            parts[main] -= _least(free, [(-c, own) for c, own in terms], order) * matrix.toarray()
        else:
            unsigned.append((main, matrix, _between(free, terms, order)))
    shrunk, shift = _unsigned(free, parts, unsigned)
    pairs = [
        scipy.linalg.eigh(share * part, own[0].toarray(), check_finite=False)
        for own, part, share in zip(free.matrices, parts, shrunk, strict=True)
    ]
    pairs[0] = (pairs[0][0] + shift, pairs[0][1])
    below = Below(free, [values for values, _ in pairs], [basis for _, basis in pairs], _commuting(free))
    if below.lowest <= ROUNDING * below.highest:
        raise NoBoundError("the operator is not positive term by term: its terms cancel, or a constant is free")
    return below


def _groups(free: FreeSystem) -> dict[tuple[int, int], list[Term]]:
    """Return the terms by their steepest axis and its matrix; what they have on the other axes."""
    groups: dict[tuple[int, int], list[Term]] = {}
    for coefficient, term in zip(free.coefficients, free.terms, strict=True):
        own = [free.matrices[d][j] for d, j in enumerate(term)]
        odd = [d for d, matrix in enumerate(own) if not matrix.symmetric]
        if len(odd) > 1:
            raise NoBoundError("a term has first-order derivatives, or is not symmetric, along several axes")
        steepness = [_steepness(matrix, free.matrices[d][0]) for d, matrix in enumerate(own)]
        main = odd[0] if odd else int(np.argmax(steepness))
        others = {d: matrix for d, matrix in enumerate(own) if d != main and term[d] != 0}
        groups.setdefault((main, int(term[main])), []).append((float(coefficient), others))
    return groups


def _steepness(matrix: BandedMatrix, mass: BandedMatrix) -> float:
    """Return how much larger a matrix is on rough functions than on smooth ones: about one for weighted masses."""
    rough = float(np.abs(matrix.band[:, matrix.half_bandwidth]).sum() / mass.band[:, mass.half_bandwidth].sum())
    t = np.linspace(0.0, np.pi, mass.shape[0])
    smooth = np.linalg.qr(np.cos(np.multiply.outer(t, np.arange(min(3, len(t))))))[0]
    small = np.abs(scipy.linalg.eigvals(smooth.T @ (matrix @ smooth), smooth.T @ (mass @ smooth))).max()
    return rough / max(float(small), 1e-12 * rough) if rough > 0 else 0.0


def _least(free: FreeSystem, terms: Sequence[Term], order: Sequence[int]) -> float:
    """Return a lower bound of the eigenvalues of a sum of products of matrices, against the mass."""
    number, left = 0.0, list(terms)
    for d in order:
        kept: list[Term] = []
        for coefficient, own in _joined(left, d):
            rest = _product([_span(free, e, matrix) for e, matrix in own.items() if e != d], coefficient)
            span = _span(free, d, own[d]) if d in own else (1.0, 1.0)
            if rest[0] < 0 < rest[1]:  # of no sign: nothing but numbers is left of it
                number += _product([span], 1.0)[0] if not own else _product([span, rest], 1.0)[0]
            else:
                others = {e: matrix for e, matrix in own.items() if e != d}
                kept.append((coefficient * (span[0] if rest[0] >= 0 else span[1]), others))
        left = kept
    return number + sum(coefficient for coefficient, _ in left)


def _between(free: FreeSystem, terms: Sequence[Term], order: Sequence[int]) -> Interval:
    """Return both bounds of the eigenvalues of a sum of products."""
    return _least(free, terms, order), -_least(free, [(-c, own) for c, own in terms], order)


def _joined(terms: Sequence[Term], d: int) -> list[Term]:
    """Add up the matrices of axis `d` of terms that are the same on all others."""
    groups: dict[tuple[tuple[int, int], ...], list[Term]] = {}
    for term in terms:
        key = tuple(sorted((e, id(matrix)) for e, matrix in term[1].items() if e != d))
        groups.setdefault(key, []).append(term)
    found: list[Term] = []
    for members in groups.values():
        plain = [term for term in members if d not in term[1]]
        weighted = [term for term in members if d in term[1]]
        if plain:
            found.append((sum(coefficient for coefficient, _ in plain), plain[0][1]))
        if len(weighted) == 1:
            found.append(weighted[0])
        elif weighted:
            total = weighted[0][1][d] * weighted[0][0]
            for coefficient, own in weighted[1:]:
                total = total + own[d] * coefficient
            found.append((1.0, weighted[0][1] | {d: total}))
    return found


def _unsigned(
    free: FreeSystem, parts: Sequence[Vector], unsigned: Sequence[tuple[int, BandedMatrix, Interval]]
) -> tuple[list[float], float]:
    """Bound matrices of no sign by the positive ones of their axis, or by the mass; return what is left of these."""
    shrunk, shift = [1.0] * len(parts), 0.0
    for main, matrix, others in unsigned:
        against = _span_against(matrix, parts[main])
        if against is None:
            shift += _product([_span(free, main, matrix), others], 1.0)[0]
        else:
            shrunk[main] += _product([against, others], 1.0)[0]
    if min(shrunk) <= 0:
        raise NoBoundError("terms without a sign are too large for the positive ones")
    return shrunk, shift


def _span_against(matrix: BandedMatrix, positive: Vector) -> Interval | None:
    """Return the least and the largest eigenvalue against a matrix, None if that is not positive."""
    try:
        values = scipy.linalg.eigh(matrix.toarray(), positive, eigvals_only=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    return float(values[0]), float(values[-1])


def _part(matrix: BandedMatrix) -> BandedMatrix:
    """Return the symmetric part of a matrix; zero for a skew one."""
    if matrix.symmetric:
        return matrix
    part = 0.5 * (matrix + matrix.T)
    return part if np.abs(part.band).max() > ROUNDING * np.abs(matrix.band).max() else 0.0 * part


def _span(free: FreeSystem, d: int, matrix: BandedMatrix) -> Interval:
    """Return the least and the largest eigenvalue of a symmetric matrix against the mass."""
    if matrix is free.matrices[d][0]:
        return 1.0, 1.0
    values = eigenvectors(matrix, free.matrices[d][0])[0]
    size = float(np.abs(values).max())
    low, high = (0.0 if abs(value) <= ROUNDING * size else float(value) for value in (values[0], values[-1]))
    return low, high


def _product(spans: Sequence[Interval], coefficient: float) -> Interval:
    """Return the interval of products of numbers from intervals."""
    low = high = coefficient
    for a, b in spans:
        ends = (low * a, low * b, high * a, high * b)
        low, high = min(ends), max(ends)
    return low, high


def _commuting(free: FreeSystem) -> bool:
    """Whether every axis has at most one matrix besides the mass, all symmetric: one basis diagonalises all terms."""
    few = all(len([j for j in free.used(d) if j != 0]) <= 1 for d in range(len(free.sizes)))
    return few and symmetric(free)
