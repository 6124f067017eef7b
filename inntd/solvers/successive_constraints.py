"""The successive constraint method, offline: eigenvalues at a few parameters, picked where the bound is worst.

For operators whose symmetric part is positive though its terms are not, or have functions that change their sign. Each
eigenvalue is found by Lanczos' method, moved down, and certified by a Cholesky factorisation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse.linalg

from inntd.models.successive import SuccessiveConstraints
from inntd.solvers.merged import MergedSpace

Array = npt.NDArray[np.float64]

ENOUGH = 0.3  # of the constant: what its lower bound should reach at all training parameters
MOST_EIGENVALUES = 40
MOST_PROGRAMS = 4000
MARGINS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # by how much eigenvalues are moved down until they are certain


@dataclass(frozen=True)
class Found:
    """Constraints and their bounds (K,) at training parameters, or the place where coercivity is lost, or neither."""

    constraints: SuccessiveConstraints | None = None
    bounds: Array | None = None
    lost: int | None = None


def successive_constraints(space: MergedSpace, theta: Array) -> Found:
    """Bound the coercivity constant in the norm of a merged space from below.

    Parameters
    ----------
    space
        The terms of the operator.
    theta
        Functions (K, Q) at the training parameters, at all of which the bound shall be positive.
    """
    sign = _sign(space, theta[0])
    lower, upper = _box(space, theta.shape[1])
    search = _Search(space, sign, theta, lower, upper)
    place = int(np.argmin(np.linalg.norm(theta - theta.mean(axis=0), axis=1)))
    for _ in range(MOST_EIGENVALUES):
        if not search.know(place):
            return Found(lost=place)
        worst = search.worst()
        if worst is None or worst == place:
            break
        place = worst
    return Found(search.constraints(), search.bounds) if (search.bounds > 0).all() else Found()


@dataclass
class _Search:
    """Bounds (K,) from below, and Rayleigh quotients that bound from above, at all training parameters."""

    space: MergedSpace
    sign: float
    theta: Array
    lower: Array
    upper: Array
    known: list[int] = field(default_factory=list)
    alpha: list[float] = field(default_factory=list)
    bounds: Array = field(init=False)
    above: Array = field(init=False)
    programs: int = 0

    def __post_init__(self) -> None:
        signed = self.sign * self.theta
        self.bounds = np.minimum(signed * self.lower, signed * self.upper).sum(axis=1)
        self.above = np.full(len(signed), np.inf)

    def constraints(self) -> SuccessiveConstraints:
        return SuccessiveConstraints(
            self.lower, self.upper, self.sign * self.theta[self.known], np.array(self.alpha), self.sign
        )

    def know(self, place: int) -> bool:
        """Find the constant at a parameter; return whether it is positive."""
        alpha, quotients = lowest(self.space, self.sign * self.theta[place])
        if alpha <= 0:
            return False
        self.known.append(place)
        self.alpha.append(alpha)
        self.above = np.minimum(self.above, self.sign * self.theta @ quotients)
        self.bounds[place] = max(self.bounds[place], alpha)
        return True

    def worst(self) -> int | None:
        """Return where the bound is farthest below the constant, None where it is close enough everywhere.

        Bounds only grow with the constraints, so old ones are good until theirs is the worst.
        """
        constraints = self.constraints()
        fresh = np.zeros(len(self.bounds), dtype=bool)
        while self.programs < MOST_PROGRAMS:
            ratio = self.bounds / np.maximum(self.above, 1e-300)
            place = int(np.argmin(ratio))
            if ratio[place] >= ENOUGH:
                return None
            if fresh[place]:
                return place
            self.programs += 1
            multipliers = constraints.dual(self.theta[place])
            self.bounds = np.maximum(self.bounds, constraints.by_dual(multipliers, self.theta))
            fresh[place] = True
        return int(np.argmin(self.bounds))


def _sign(space: MergedSpace, theta: Array) -> float:
    vector = space.norm.solve(np.random.default_rng(0).standard_normal(space.size))
    return -1.0 if float(vector @ (space.energy(theta) @ vector)) < 0 else 1.0


def _box(space: MergedSpace, terms: int) -> tuple[Array, Array]:
    """Return the least and the largest Rayleigh quotients of all terms."""
    lower, upper = np.zeros(terms), np.zeros(terms)
    for q in range(terms):
        kind, unit = space.definiteness(q), np.eye(terms)[q]
        if kind in ("negative", "indefinite"):
            lower[q] = lowest(space, unit)[0]
        if kind in ("positive", "indefinite"):
            upper[q] = -lowest(space, -unit)[0]
    return lower, upper


def lowest(space: MergedSpace, weights: Array) -> tuple[float, Array]:
    """Return a lower bound of the least eigenvalue of the weighted symmetric part against the norm, certified.

    Returns
    -------
    bound
        Minus infinity when none could be certified.
    quotients : array (Q,)
        Rayleigh quotients of all terms for the vector that was found.
    """
    vector = _lanczos(space, weights)
    inner = float(vector @ (space.norm @ vector))
    units = np.eye(len(weights))
    quotients = np.array([float(vector @ (space.energy(unit) @ vector)) / inner for unit in units])
    value = float(weights @ quotients)
    size = float(np.abs(weights) @ np.abs(quotients))
    for margin in MARGINS:
        bound = value - margin * size
        if space.positive(weights, norm=-bound):
            return bound, quotients
    return -np.inf, quotients


def _lanczos(space: MergedSpace, weights: Array) -> Array:
    """Return the vector of the least eigenvalue against the norm, approximately."""
    energy, norm, n = space.energy(weights), space.norm, space.size
    if n <= 32:
        pencil = energy @ np.eye(n), norm @ np.eye(n)
        return np.asarray(scipy.linalg.eigh(*pencil)[1][:, 0])
    operators = [
        scipy.sparse.linalg.LinearOperator((n, n), matvec=apply, dtype=np.float64)
        for apply in (energy.__matmul__, norm.__matmul__, norm.solve)
    ]
    start = np.random.default_rng(0).standard_normal(n)
    try:
        _, vectors = scipy.sparse.linalg.eigsh(operators[0], k=1, M=operators[1], Minv=operators[2], which="SA",
                                               tol=1e-5, v0=start, maxiter=40, ncv=min(40, n - 1))  # fmt: skip
    except scipy.sparse.linalg.ArpackNoConvergence as failure:
        if failure.eigenvectors.shape[1] == 0:
            return _descent(space, weights, start)
        vectors = failure.eigenvectors
    return np.asarray(vectors[:, 0])


def _descent(space: MergedSpace, weights: Array, vector: Array) -> Array:
    """Return the best of a small Krylov space, orthonormalised in full."""
    energy, norm = space.energy(weights), space.norm
    basis: list[Array] = []
    for _ in range(min(60, space.size)):
        for _ in range(2):
            for own in basis:
                vector = vector - own * float(own @ (norm @ vector))
        length = float(np.sqrt(max(0.0, float(vector @ (norm @ vector)))))
        if length <= 1e-12:
            break
        basis.append(vector / length)
        vector = norm.solve(energy @ basis[-1])
    stacked = np.stack(basis, axis=1)
    return np.asarray(stacked @ np.linalg.eigh(stacked.T @ (energy @ stacked))[1][:, 0])
