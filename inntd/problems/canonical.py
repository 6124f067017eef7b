"""From a small array to a sum of few outer products (the canonical polyadic decomposition)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SWEEPS = 60
STALLED = 0.98  # decrease of the error over a sweep that is not worth another
WORK = 1e10  # operations that the search for fewer products may take


def canonical(core: Array, tolerance: float, limit: int) -> tuple[list[Array], bool]:
    """Return factors (r_d, R) with Σ_R ⊗_d close to an array, and whether the limit of R keeps them from the tolerance.

    Parameters
    ----------
    core : array (r_1, ..., r_k)
    tolerance : float
        Relative error in the Frobenius norm.
    limit : int
        Largest R.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([1.0, 2.0])
    >>> [x, y, z], limited = canonical(np.einsum("i,j,k->ijk", a, a, a), 1e-12, 5)
    >>> x.shape, bool(np.allclose(np.einsum("ir,jr,kr->ijk", x, y, z), np.einsum("i,j,k->ijk", a, a, a))), limited
    ((2, 1), True, False)
    """
    size = float(np.linalg.norm(core))
    exact = _by_slices(core, 0.3 * tolerance * size)
    rank, fewer, error = exact[0].shape[1], exact, np.inf
    if core.ndim > 2 and rank > max(core.shape):
        fewer, error = _Search(core, size, tolerance).run(min(limit, rank - 1))
        if error <= tolerance:
            return fewer, False
    if rank <= limit:
        return exact, False
    weights = np.prod([np.linalg.norm(factor, axis=0) for factor in exact], axis=0)
    kept = np.sort(np.argsort(-weights, kind="stable")[:limit])
    cut = [factor[:, kept] for factor in exact]
    return (fewer if error < np.linalg.norm(core - full(cut)) / size else cut), True


def _by_slices(core: Array, allowed: float) -> list[Array]:
    """Return products from singular value decompositions, slice by slice of the longest axis: always possible."""
    if core.ndim == 2:
        u, sizes, vt = np.linalg.svd(core, full_matrices=False)
        tails = np.sqrt(np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0))
        rank = max(1, int(np.flatnonzero(tails <= allowed)[0]))
        root = np.sqrt(sizes[:rank])
        return [u[:, :rank] * root, vt[:rank].T * root]
    longest = int(np.argmax(core.shape))
    moved = np.moveaxis(core, longest, 0)
    # In the directions of the singular vectors the slices get ever smaller, and so do their ranks.
    u, sizes, vt = np.linalg.svd(moved.reshape(len(moved), -1), full_matrices=False)
    share = allowed / np.sqrt(len(sizes))
    columns: list[list[Array]] = [[] for _ in range(core.ndim)]
    for direction, length, row in zip(u.T, sizes, vt, strict=True):
        if length <= share:
            continue
        inner = _by_slices(row.reshape(moved.shape[1:]) * length, share)
        columns[0].append(np.repeat(direction[:, None], inner[0].shape[1], axis=1))
        for d, factor in enumerate(inner):
            columns[1 + d].append(factor)
    factors = [np.hstack(parts) for parts in columns]
    return [*factors[1 : longest + 1], factors[0], *factors[longest + 1 :]]


class _Search:
    """Alternating least squares, grown by the best product for what is left."""

    def __init__(self, core: Array, size: float, tolerance: float) -> None:
        self.core, self.size, self.tolerance = core, size, tolerance
        self.unfolded = [np.moveaxis(core, d, 0).reshape(n, -1) for d, n in enumerate(core.shape)]
        self.work = 0.0

    def run(self, most: int) -> tuple[list[Array], float]:
        """Return factors of at most so many products, the best found in time, and their relative error."""
        factors, error = [np.zeros((n, 0)) for n in self.core.shape], 1.0
        while factors[0].shape[1] < most and self.work < WORK and error > self.tolerance:
            rank = factors[0].shape[1]
            factors = self._grown(factors, min(most - rank, 1 + rank // 6))
            factors, error = self._swept(factors)
        return factors, error

    def _grown(self, factors: list[Array], count: int) -> list[Array]:
        for _ in range(count):
            left = self.core - full(factors) if factors[0].shape[1] else self.core
            vectors = _best_product(left)
            factors = [np.hstack([f, v[:, None]]) for f, v in zip(factors, vectors, strict=True)]
        return factors

    def _swept(self, factors: list[Array]) -> tuple[list[Array], float]:
        error = np.inf
        for _ in range(SWEEPS):
            before = error
            for d, unfolded in enumerate(self.unfolded):
                others = _products([f for e, f in enumerate(factors) if e != d])
                lengths = np.linalg.norm(others, axis=0)
                lengths[lengths == 0] = 1.0
                solution = np.linalg.lstsq(others / lengths, unfolded.T, rcond=1e-13)[0]
                factors[d] = solution.T / lengths
                self.work += 4.0 * others.shape[0] * others.shape[1] * (others.shape[1] + unfolded.shape[0])
            factors = _balanced(factors)
            error = float(np.linalg.norm(factors[-1] @ _products(factors[:-1]).T - self.unfolded[-1])) / self.size
            if error <= self.tolerance or error > STALLED * before:
                break
        return factors, error


def full(factors: Sequence[Array]) -> Array:
    """Return the array that factors (r_d, R) stand for."""
    whole: Array = (_products(factors[:-1]) @ factors[-1].T).reshape([len(f) for f in factors])
    return whole


def _products(factors: Sequence[Array]) -> Array:
    """Return all products of rows, column by column: (Π r_d, R)."""
    result = factors[0]
    for factor in factors[1:]:
        result = (result[:, None, :] * factor[None, :, :]).reshape(-1, factor.shape[1])
    return result


def _balanced(factors: list[Array]) -> list[Array]:
    lengths = np.array([np.linalg.norm(factor, axis=0) for factor in factors])
    lengths[lengths == 0] = 1.0
    share = np.exp(np.log(lengths).mean(axis=0))
    return [factor / length * share for factor, length in zip(factors, lengths, strict=True)]


def _best_product(left: Array) -> list[Array]:
    """Return vectors whose product is near an array, from its singular vectors and a few power iterations."""
    vectors = [np.linalg.svd(np.moveaxis(left, d, 0).reshape(n, -1), full_matrices=False)[0][:, 0]
               for d, n in enumerate(left.shape)]  # fmt: skip
    for _ in range(6):
        for d in range(left.ndim):
            rest = left
            for e in reversed(range(left.ndim)):
                if e != d:
                    rest = np.tensordot(rest, vectors[e], axes=(e, 0))
            length = np.linalg.norm(rest)
            vectors[d] = rest / length if length > 0 else rest
    vectors[-1] = vectors[-1] * length
    return vectors
