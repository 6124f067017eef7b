r"""Residuals of separated solutions, and estimates of the error from them.

The residual b - A u is measured in coordinates of each axis in which the mass matrix is the identity. For an operator
whose symmetric part P is positive, such as diffusion with convection, :math:`\|A^{-1} r\|_P \le \|r\|_{P^{-1}}`: the
error is bounded by a norm of the residual, however strong the skew part is. P is replaced by a sum of one-dimensional
operators, which is inverted by diagonalising the axes, or by a sum of exponentials in many of them (Hackbusch and
Khoromskij, "Low-rank Kronecker-product approximation to multi-dimensional nonlocal operators", Computing 76, 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from inntd.axes.banded import BandedMatrix
from inntd.models.norms import log_norm
from inntd.solvers.free import FreeSystem, Vector, symmetric
from inntd.solvers.product import Root

MOST_PRECISE = 600  # columns up to which norms keep all digits
FULL_TENSOR = 1_000_000
LONGEST_AXIS = 1200  # nodes of axes that are diagonalised for an estimate
EXPONENTIALS = 48
MOST_WORK = 5e9  # operations that an estimate by exponentials may take


@dataclass(frozen=True)
class Separated:
    """Columns (n_d, N) per axis and weights (N,): sum_k w_k (x)_d columns[d][:, k]."""

    columns: list[Vector]
    weights: Vector

    def reduced(self, roots: Sequence[Root]) -> Separated:
        """Return it in dual coordinates in which the mass matrices are identities."""
        return Separated([root.solve(own, transposed=True) for root, own in zip(roots, self.columns, strict=True)],
                         self.weights)  # fmt: skip

    def log_norm(self) -> float:
        """Return the logarithm of the Euclidean norm."""
        if self.weights.size == 0:
            return -np.inf
        small = [_triangular(own) for own in self.columns]
        if len(small) == 2:
            norm = float(np.linalg.norm((small[0] * self.weights) @ small[1].T))
            return float(np.log(norm)) if norm > 0 else -np.inf
        if self.weights.size <= MOST_PRECISE:
            return log_norm(small, self.weights)
        product = np.multiply.outer(self.weights, self.weights)
        for own in small:
            product = product * (own.T @ own)
        square = max(float(product.sum()), 1e-15 * float(np.abs(product).sum()))
        return 0.5 * float(np.log(square)) if square > 0 else -np.inf


def residual(system: FreeSystem, factors: Sequence[Vector]) -> Separated:
    """Return exp(-scale) (b - A u) for modes u on the free nodes."""
    modes = factors[0].shape[1]
    terms = len(system.terms)
    share = np.exp(-system.scale / len(factors))
    columns = []
    for d, factor in enumerate(factors):
        scaled = np.ascontiguousarray(factor * share)
        images = {j: system.matrices[d][j] @ scaled for j in system.used(d)}
        columns.append(np.hstack([system.load_columns(d), *(images[int(j)] for j in system.terms[:, d])]))
    weights = np.concatenate([system.load_weights, -np.repeat(system.coefficients, modes)])
    assert weights.size == len(system.load_weights) + terms * modes
    return Separated(columns, weights)


def relative_residual(system: FreeSystem, factors: Sequence[Vector]) -> float:
    r"""Return :math:`\|b - A u\| / \|b\|`, both in the norm dual to L2; 0 when both vanish.

    Parameters
    ----------
    system
        Separated system on the free nodes.
    factors
        Nodal values (n_d, m) of the modes.
    """
    roots = [Root.of(own[0]) for own in system.matrices]
    load = Separated([system.load_columns(d) for d in range(len(factors))], system.load_weights)
    top, bottom = residual(system, factors).reduced(roots).log_norm(), load.reduced(roots).log_norm()
    if bottom == -np.inf:
        return 0.0 if top == -np.inf else float("inf")
    return float(np.exp(min(top - bottom, 700.0)))


def estimated_error(system: FreeSystem, factors: Sequence[Vector]) -> float | None:
    r"""Return :math:`\|P^{-1} r\| / \|u\|` in L2 with a sum P of 1-D operators near the operator's symmetric part.

    Exact when P is the whole operator; between 1 and about 10 times the error with convection, in experiments. None
    where there is no such P, or computing it takes too long.
    """
    bases = _bases(system)
    if bases is None or factors[0].shape[1] == 0:
        return None
    values = [eigenvalues for eigenvalues, _ in bases]
    coefficients = float(np.prod([float(n) for n in system.sizes]))
    rest = residual(system, factors)
    work = EXPONENTIALS * float(rest.weights.size) ** 2 * sum(system.sizes)
    if coefficients > FULL_TENSOR and (work > MOST_WORK or sum(float(own.min()) for own in values) <= 0):
        return None
    rotated = Separated([basis.T @ own for (_, basis), own in zip(bases, rest.columns, strict=True)], rest.weights)
    roots = [Root.of(own[0]) for own in system.matrices]
    share = np.exp(-system.scale / len(factors))
    own = Separated(
        [root @ (factor * share) for root, factor in zip(roots, factors, strict=True)], np.ones(factors[0].shape[1])
    )
    size = own.log_norm()
    if size == -np.inf:
        return None
    # |A u|^2 >= |dt u|^2 + |P u|^2 >= (|dt u| + |P u|)^2 / 2 for a time derivative: hence the root of two.
    factor = 1.0 if symmetric(system) else float(np.sqrt(2.0))
    return factor * float(np.exp(min(_inverse_norm(rotated, values) - size, 700.0)))


def _inverse_norm(rotated: Separated, values: Sequence[Vector]) -> float:
    """Return the logarithm of the norm of P^-1 r, from eigenvalues of P on each axis."""
    if np.prod([float(len(own)) for own in values]) <= FULL_TENSOR:
        total = rotated.columns[0] * rotated.weights
        for own in rotated.columns[1:-1]:
            total = (total[:, None, :] * own[None, :, :]).reshape(-1, total.shape[1])
        several = len(values) > 1
        tensor = (total @ rotated.columns[-1].T if several else total.sum(axis=1)).reshape([len(own) for own in values])
        divisor = values[0].copy()
        for own in values[1:]:
            divisor = np.add.outer(divisor, own)
        divisor[divisor == 0.0] = np.finfo(np.float64).tiny
        norm = float(np.linalg.norm(tensor / divisor))
        return float(np.log(norm)) if norm > 0 else -np.inf
    smallest, largest = sum(float(own.min()) for own in values), sum(float(own.max()) for own in values)
    # <r, P^-2 r> with x^-2 = int t exp(-x t) dt, t = exp(s): the trapezoidal rule converges exponentially.
    s = np.linspace(np.log(1e-6 / largest), np.log(40.0 / smallest), EXPONENTIALS)
    square = 0.0
    for node in s:
        t = float(np.exp(node))
        product = np.multiply.outer(rotated.weights, rotated.weights)
        for own, eigenvalues in zip(rotated.columns, values, strict=True):
            small = own * np.exp(-0.5 * t * eigenvalues)[:, None]
            product = product * (small.T @ small)
        square += t * t * max(0.0, float(product.sum()))
    square *= float(s[1] - s[0])
    return 0.5 * float(np.log(square)) if square > 0 else -np.inf


def _bases(system: FreeSystem) -> list[tuple[Vector, Vector]] | None:
    """Return eigenvalues and mass-orthonormal eigenvectors of P's matrix on each axis."""
    if max(system.sizes) > LONGEST_AXIS:
        return None
    dimension = len(system.sizes)
    parts = [np.zeros(own[0].shape) for own in system.matrices]
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        own = [system.matrices[d][j] for d, j in enumerate(term)]
        means = [_mean(matrix, system.matrices[d][0]) for d, matrix in enumerate(own)]
        first_order = [d for d in range(dimension) if not own[d].symmetric]
        steep = first_order or [d for d in range(dimension) if _steep(own[d], system.matrices[d][0], means[d])]
        if len(steep) > 1:
            return None
        d = steep[0] if steep else 0
        factor = float(coefficient) * float(np.prod([mean for e, mean in enumerate(means) if e != d]))
        part = _absolute(own[d], system.matrices[d][0]) if first_order else own[d].toarray()
        if part is not None:
            parts[d] += part * (abs(factor) if first_order else factor)
    sign = -1.0 if sum(float(np.trace(part)) for part in parts) < 0 else 1.0
    return [
        scipy.linalg.eigh(sign * part, own[0].toarray(), check_finite=False)
        for own, part in zip(system.matrices, parts, strict=True)
    ]


def _absolute(matrix: BandedMatrix, mass: BandedMatrix) -> Vector | None:
    """Return (A^T A)^1/2 in mass-orthonormal coordinates: how strongly a time derivative acts. None for a skew matrix.

    Convection between Dirichlet values is skew: it moves the solution and does not make it larger or smaller.
    """
    dense = matrix.toarray()
    if np.abs(dense + dense.T).max() <= 1e-3 * np.abs(dense).max():
        return None
    root = scipy.linalg.cholesky(mass.toarray(), check_finite=False)
    inverse = scipy.linalg.solve_triangular(root, np.eye(len(root)), check_finite=False)
    _, sizes, vt = np.linalg.svd(inverse.T @ dense @ inverse)
    right = vt @ root
    return np.asarray((right.T * sizes) @ right)


def _mean(matrix: BandedMatrix, mass: BandedMatrix) -> float:
    return float(matrix.band.sum() / mass.band.sum())


def _steep(matrix: BandedMatrix, mass: BandedMatrix, mean: float) -> bool:
    """Whether a matrix grows with the frequency, as stiffness does and weighted masses do not."""
    diagonals = [m.band[:, m.half_bandwidth].sum() for m in (matrix, mass)]
    return bool(abs(diagonals[0] / diagonals[1]) > 4.0 * abs(mean))


def _triangular(matrix: Vector) -> Vector:
    if matrix.shape[0] <= matrix.shape[1]:
        return matrix
    return np.asarray(np.linalg.qr(matrix, mode="r"))
