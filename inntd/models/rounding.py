r"""Rounding: the same model with fewer modes, up to a stated error.

In orthonormal coordinates of each axis (`metric.py`) a model is a separated tensor :math:`[[B_1, ..., B_D]]`, and the
best one of lower rank r has factors :math:`B_d X_d` with small matrices :math:`X_d` (M, r): every mode of the result
combines the old ones, axis by axis. Two axes are a matrix, whose singular values give the best (Eckart and Young,
1936). Three or more are found by alternating least squares (Kolda and Bader, "Tensor decompositions and applications",
SIAM Review 51, 2009, section 3.4), grown one mode at a time on the residual, so that no random start is needed; the
last sweeps solve by QR instead of by normal equations, which alone would stop at half of the digits. The error is
measured without loss of digits (`norms.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inntd.axes import Axis
from inntd.models.comparison import blocks
from inntd.models.cp_form import CPForm
from inntd.models.doubled import Array
from inntd.models.norms import exp, log_norm, normalised
from inntd.models.sweep import absorb, suffixes

SWEEPS = 300
GROWTH_SWEEPS = 40
FIRST_LEAP = 3  # sweeps before the first
STALLED = 2e-4  # relative decrease of the error in a sweep that is not worth another
STALLED_POLISHING = 1e-2
POLISHING_SWEEPS = 100
BLURRED = 1e-5  # relative errors that normal equations do not resolve well
ROUND_OFF = 1e-15
NOISE = 1e-12  # of a squared error from normal equations
PROXIMAL = 1e-13
POLISHING_WORK = 2e10  # operations that polishing may take
PARALLEL = 1e-14  # distance of unit columns that count as one


@dataclass(frozen=True)
class Rounded:
    """Factors of a lower rank, and their relative L2 distance to the model they came from."""

    factors: list[Array]
    error: float


def round_factors(
    axes: Sequence[Axis], factors: Sequence[Array], rank: int | None = None, tolerance: float | None = None
) -> Rounded:
    """Return factors of at most `rank` modes, or of as few as are found to keep `tolerance`.

    Parameters
    ----------
    axes : sequence of D Axis
    factors : sequence of D arrays (n_d, M)
    rank : int, optional
        At least 1.
    tolerance : float, optional
        Largest relative L2 error. When no lower rank is found that keeps it, the modes stay as they are, except those
        that are zero or equal to others in all axes but one: these are merged.
    """
    tensor = Modes.of(axes, factors)
    if tensor is None:
        return Rounded([np.zeros((axis.size, 1)) for axis in axes], 0.0)
    merged = tensor.merged()
    reached = 0.0 if merged is tensor else tensor.distance(merged)
    tensor_rank = merged.weights.size
    if rank is not None and tensor_rank <= rank:
        return Rounded(merged.scaled(), reached)
    for transforms in _transforms(merged, rank, tolerance):
        candidate = merged.transformed(transforms)
        error = tensor.distance(candidate)
        if tolerance is None or error <= tolerance:
            return Rounded(candidate.scaled(), error)
    return Rounded(merged.scaled(), reached)


@dataclass(frozen=True)
class Modes:
    """A model as unit modes: exp(log) Σ_m weights[m] ⊗_d factors[d][:, m], and the factors' blocks."""

    axes: tuple[Axis, ...]
    factors: list[Array]  # (n_d, M)
    blocks: list[Array]  # (k_d, M), columns of length one
    weights: Array  # (M,), at most one, not negative
    log: float

    @classmethod
    def of(cls, axes: Sequence[Axis], factors: Sequence[Array]) -> Modes | None:
        """Return the modes that are not zero; None when all are."""
        unit, logs = normalised(blocks([CPForm(tuple(axes), list(factors))]))
        sizes = logs.sum(axis=0)
        log = float(sizes.max())
        if log == -math.inf:
            return None
        keep = np.flatnonzero(sizes > log - 700)
        # The exponential of a column's length may overflow where the product over the axes does not: two steps.
        halves = np.exp(-0.5 * logs[:, keep])
        scaled = [factor[:, keep] * half * half for factor, half in zip(factors, halves, strict=True)]
        return cls(tuple(axes), scaled, [matrix[:, keep] for matrix in unit], np.exp(sizes[keep] - log), log)

    def scaled(self) -> list[Array]:
        """Return plain factors; the size is shared by all axes, so that many axes do not overflow."""
        share = exp(self.log / len(self.axes))
        plain = [factor * share for factor in self.factors]
        plain[0] = plain[0] * self.weights
        return plain

    def distance(self, other: Modes) -> float:
        """Return the relative distance to modes that are combinations of these on each axis."""
        joint = blocks([CPForm(modes.axes, modes.factors) for modes in (self, other)])
        weights = np.concatenate([self.weights, -other.weights * math.exp(other.log - self.log)])
        return exp(log_norm(joint, weights) - log_norm(self.blocks, self.weights))

    def transformed(self, transforms: Sequence[Array]) -> Modes:
        """Return the model with columns combined by a matrix (M, r) on each axis; weights do not take part."""
        factors = [factor @ x for factor, x in zip(self.factors, transforms, strict=True)]
        found = Modes.of(self.axes, factors)
        if found is None:
            zero = [np.zeros_like(factor[:, :1]) for factor in self.factors]
            return Modes(self.axes, zero, [b[:, :1] * 0 for b in self.blocks], np.zeros(1), self.log)
        return Modes(found.axes, found.factors, found.blocks, found.weights, found.log + self.log)

    def merged(self) -> Modes:
        """Return the model with modes added up that are equal on all axes but one."""
        current = self
        for d in range(len(self.axes)):
            groups = _groups([matrix for e, matrix in enumerate(current.blocks) if e != d], current.weights.size)
            if len(groups) < current.weights.size:
                transforms = [np.zeros((current.weights.size, len(groups))) for _ in self.axes]
                for g, members in enumerate(groups):
                    for m, sign in members:
                        transforms[d][m, g] = sign * current.weights[m]
                    for e in range(len(self.axes)):
                        if e != d:
                            transforms[e][members[0][0], g] = 1.0
                current = current.transformed(transforms)
        return current


def _groups(others: Sequence[Array], modes: int) -> list[list[tuple[int, float]]]:
    """Return modes with parallel columns in all of `others`, each with its sign against the group's first."""
    groups = []
    free = np.ones(modes, dtype=bool)
    for m in range(modes):
        if not free[m]:
            continue
        rest = np.flatnonzero(free)
        signs = np.ones(rest.size)
        for matrix in others:
            sign = np.where(matrix[:, m] @ matrix[:, rest] < 0, -1.0, 1.0)
            near = np.linalg.norm(matrix[:, rest] * sign - matrix[:, m : m + 1], axis=0) <= PARALLEL
            rest, signs = rest[near], (signs * sign)[near]
        if m not in rest:  # it is not parallel to itself: NaN
            rest, signs = np.array([m]), np.ones(1)
        free[rest] = False
        groups.append([(int(n), float(sign)) for n, sign in zip(rest, signs, strict=True)])
    return groups


def _transforms(tensor: Modes, rank: int | None, tolerance: float | None) -> Iterator[list[Array]]:
    """Yield candidates, ever better or of ever higher rank; of the given rank only one."""
    if len(tensor.axes) == 1:
        yield [tensor.weights[:, None]]
    elif len(tensor.axes) == 2:
        yield _best_matrix(tensor, rank, tolerance)
    else:
        yield from _alternating(tensor, rank, tolerance)


def _best_matrix(tensor: Modes, rank: int | None, tolerance: float | None) -> list[Array]:
    left, right = tensor.blocks
    u, sizes, vt = np.linalg.svd((left * tensor.weights) @ right.T, full_matrices=False)
    if rank is None:
        assert tolerance is not None
        tails = np.sqrt(np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0))  # tails[r]: error of rank r
        rank = max(1, int(np.flatnonzero(tails <= max(0.99 * tolerance, 1e-16) * tails[0])[0]))
    rank = max(1, min(rank, int(np.count_nonzero(sizes > 1e-16 * sizes[0]))))
    first = tensor.weights[:, None] * (right.T @ vt[:rank].T)
    second = tensor.weights[:, None] * (left.T @ u[:, :rank]) / sizes[:rank]
    return [first, second]


def _alternating(tensor: Modes, rank: int | None, tolerance: float | None) -> Iterator[list[Array]]:
    """Grow by modes of the tensor itself, and update all of them axis by axis."""
    fit = _Fit(tensor)
    largest = tensor.weights.size - 1 if rank is None else rank
    while fit.rank < largest:
        fit.grow(min(largest - fit.rank, 1 + fit.rank // 8))
        last = fit.rank == largest
        error = fit.sweeps(SWEEPS if rank is None or last else GROWTH_SWEEPS)
        if error < BLURRED and (rank is None or last):
            error = fit.polish(tolerance or 0.0, error)
        if (last and rank is not None) or (tolerance is not None and error <= tolerance):
            yield fit.transforms()


class _Fit:
    """Alternating least squares for matrices X_d (M, r) with Σ_r ⊗_d (B_d X_d)[:, r] close to a tensor."""

    def __init__(self, tensor: Modes) -> None:
        self.blocks, self.weights = tensor.blocks, tensor.weights
        self.grams = [matrix.T @ matrix for matrix in self.blocks]
        modes = self.weights.size
        self.x = [np.zeros((modes, 0)) for _ in self.blocks]  # columns of length one in the blocks
        self.scale = np.zeros(0)
        self.square = exp(2 * log_norm(self.blocks, self.weights))

    @property
    def rank(self) -> int:
        return self.scale.size

    def transforms(self) -> list[Array]:
        return [self.x[0] * self.scale, *self.x[1:]]

    def _products(self) -> tuple[list[Array], list[Array]]:
        """Return the cosines of old with new modes (M, r), and of new with new ones (r, r), on each axis."""
        cross = [gram @ x for gram, x in zip(self.grams, self.x, strict=True)]
        return cross, [x.T @ h for x, h in zip(self.x, cross, strict=True)]

    def grow(self, count: int) -> None:
        """Add the modes of the tensor that the residual resembles most."""
        alike = np.prod(self.grams, axis=0) @ self.weights
        if self.rank:
            alike = alike - np.prod(self._products()[0], axis=0) @ self.scale
        chosen = np.sort(np.argsort(-np.abs(alike), kind="stable")[:count])
        unit = np.zeros((self.weights.size, count))
        unit[chosen, np.arange(count)] = 1.0
        self.x = [np.hstack([x, unit]) for x in self.x]
        self.scale = np.append(self.scale, alike[chosen])

    def sweeps(self, count: int) -> float:
        """Update all axes in turn by normal equations, until the error stalls or meets their round-off.

        Returns the relative error, to half of the digits.
        """
        square = before = math.inf
        for k in range(count):
            old = list(self.x), self.scale
            square = self._sweep()
            if square > (1 - 2 * STALLED) * before or square < NOISE * self.square:
                break
            before = square = self._leap(*old, square, (k + 1) ** (1 / 3)) if k >= FIRST_LEAP else square
        return math.sqrt(square / self.square)

    def _leap(self, old: list[Array], old_scale: Array, square: float, length: float) -> float:
        """Go on in the direction of the last sweep if that is better, and return the squared error.

        The line search of Bro ("Multi-way analysis in the food industry", 1998): where progress is slow the path is
        nearly straight.
        """
        new, scale = list(self.x), self.scale
        self.x = [a + length * (b - a) for a, b in zip(old, new, strict=True)]
        self.scale = old_scale + length * (scale - old_scale)
        cross, own = self._products()
        inner = float(self.weights @ np.prod(cross, axis=0) @ self.scale)
        leapt = self.square - 2 * inner + float(self.scale @ np.prod(own, axis=0) @ self.scale)
        if 0 < leapt < square:
            return leapt
        self.x, self.scale = new, scale
        return square

    def _sweep(self) -> float:
        cross, own = self._products()
        after_cross, after_own = _after(cross), _after(own)
        before_cross, before_own = np.ones_like(cross[0]), np.ones_like(own[0])
        right = before_cross
        for d in range(len(self.x)):
            right = self.weights[:, None] * before_cross * after_cross[d]
            matrix = before_own * after_own[d]
            shift = PROXIMAL * np.trace(matrix) / self.rank
            regular = matrix + shift * np.eye(self.rank)
            self._set(d, np.linalg.solve(regular, right.T + shift * (self.x[d] * self.scale).T).T)
            cross[d] = self.grams[d] @ self.x[d]
            own[d] = self.x[d].T @ cross[d]
            before_cross, before_own = before_cross * cross[d], before_own * own[d]
        inner = float(np.sum(right * cross[-1] * self.scale))
        return max(0.0, self.square - 2 * inner + float(self.scale @ before_own @ self.scale))

    def _set(self, d: int, x: Array) -> None:
        self.scale = np.linalg.norm(self.blocks[d] @ x, axis=0)
        self.x[d] = x / np.where(self.scale > 0, self.scale, 1.0)

    def polish(self, tolerance: float, error: float) -> float:
        """Update all axes in turn by QR, until the relative error meets the tolerance or stalls; return it."""
        work = 2.0 * len(self.x) * (self.rank + self.weights.size) ** 4
        before = math.inf
        for _ in range(int(min(POLISHING_SWEEPS, POLISHING_WORK / work))):
            error = self._polishing_sweep() / math.sqrt(self.square)
            if error > (1 - STALLED_POLISHING) * before or error < max(0.9 * tolerance, ROUND_OFF):
                break
            before = error
        return error

    def _polishing_sweep(self) -> float:
        """Update all axes once and return the error."""
        after = suffixes([np.hstack([b @ x, b]) for b, x in zip(self.blocks, self.x, strict=True)])
        before, error = np.ones((1, self.rank + self.weights.size)), 0.0
        for d, block in enumerate(self.blocks):
            others = absorb(before, after[d])
            new, given = others[:, : self.rank], others[:, self.rank :] * self.weights
            solution = np.linalg.lstsq(new, given, rcond=1e-15)[0]
            error = float(np.linalg.norm((new @ solution - given) @ block.T))
            self._set(d, solution.T)
            before = absorb(before, np.hstack([block @ self.x[d], block]))
        return error


def _after(matrices: Sequence[Array]) -> list[Array]:
    """Return for each matrix the product, entry by entry, of all that follow."""
    products = [np.ones_like(matrices[0])]
    for matrix in reversed(matrices[1:]):
        products.append(products[-1] * matrix)
    return products[::-1]
