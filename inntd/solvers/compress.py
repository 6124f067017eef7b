"""Truncation of full matrices and tensors of coefficients, with the exact norm of what is left out."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from inntd.solvers.free import Vector

SMALL = 160  # rows or columns up to which a full decomposition is cheapest
FIRST_GUESS = 24


def truncated_matrix(matrix: Vector, goal: float, rank: int) -> tuple[list[Vector], float]:
    """Return factors [left, right] with left right^T close to a matrix, and the relative Frobenius error.

    Parameters
    ----------
    matrix
        (n_1, n_2).
    goal
        Relative error to keep with as few columns as possible; 0 takes `rank` columns.
    rank
        Most columns.

    Examples
    --------
    >>> import numpy as np
    >>> (left, right), error = truncated_matrix(np.diag([1.0, 1e-3, 1e-6]), 1e-4, 3)
    >>> left.shape, bool(abs(error - 1e-6) < 1e-9)
    ((3, 2), True)
    """
    norm = float(np.linalg.norm(matrix))
    if norm == 0.0:
        return [np.zeros((n, 0)) for n in matrix.shape], 0.0
    scaled = matrix / norm
    u, sizes, vt, outside = _leading(scaled, max(goal, 1e-15), rank)
    tails = np.sqrt(np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0) + outside**2)
    keep = min(rank, int(np.argmax(tails <= goal)) if goal > 0 and (tails <= goal).any() else len(sizes))
    keep = max(1, min(keep, int(np.count_nonzero(sizes > 1e-15 * sizes[0]))))
    return [u[:, :keep] * (sizes[:keep] * norm), vt[:keep].T], float(tails[keep])


def _leading(matrix: Vector, goal: float, rank: int) -> tuple[Vector, Vector, Vector, float]:
    """Return the leading singular triplets of a matrix of norm one, and the norm of what is outside their span.

    By random sampling with one power step (Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM
    Review 53, 2011); what is outside is measured, not estimated.
    """
    small, count = min(matrix.shape), FIRST_GUESS
    random = np.random.default_rng(0)
    while small > SMALL and count < small // 3:
        sample = scipy.linalg.qr(matrix @ random.standard_normal((matrix.shape[1], count)), mode="economic")[0]
        sample = scipy.linalg.qr(matrix @ (matrix.T @ sample), mode="economic")[0]
        projected = sample.T @ matrix
        outside = float(np.linalg.norm(matrix - sample @ projected))
        # With a wanted rank the triplets themselves must be right, not only their span.
        if outside <= 0.3 * goal or (count >= 2 * rank and outside <= 1e-3 * np.linalg.norm(projected, 2)):
            u, sizes, vt = np.linalg.svd(projected, full_matrices=False)
            return sample @ u, sizes, vt, outside
        count *= 2
    u, sizes, vt = np.linalg.svd(matrix, full_matrices=False)
    return u, sizes, vt, 0.0


def truncated_tensor(tensor: Vector, goal: float, rank: int | None) -> tuple[Vector, list[Vector], float]:
    """Return a core (r_1, ..., r_D), orthonormal factors (n_d, r_d) and the relative error, axis after axis.

    The sequentially truncated higher-order singular value decomposition of Vannieuwenhoven, Vandebril and Meerbergen
    (SIAM J. Sci. Comput. 34, 2012).

    Parameters
    ----------
    tensor
        Three axes or more.
    goal
        Relative error to keep.
    rank
        Most columns on each axis; None for no bound.
    """
    norm = float(np.linalg.norm(tensor))
    if norm == 0.0:
        return np.zeros((1,) * tensor.ndim), [np.eye(n, 1) for n in tensor.shape], 0.0
    core, factors = tensor / norm, []
    for d in range(tensor.ndim):
        moved = np.moveaxis(core, d, 0)
        flat = moved.reshape(moved.shape[0], -1)
        basis = _leading_rows(flat, goal / np.sqrt(tensor.ndim), rank)
        factors.append(basis)
        core = np.moveaxis((basis.T @ flat).reshape(-1, *moved.shape[1:]), 0, d)
    # The projections are orthogonal and nested: squares add up. A difference of squares would lose half the digits.
    approximation = core
    for d, basis in enumerate(factors):
        moved = np.moveaxis(approximation, d, 0)
        approximation = np.moveaxis(np.tensordot(basis, moved, axes=1), 0, d)
    return core * norm, factors, float(np.linalg.norm(approximation - tensor / norm))


def _leading_rows(flat: Vector, goal: float, rank: int | None) -> Vector:
    """Return an orthonormal basis of the leading column space of a matrix with few rows."""
    if flat.shape[1] > 4 * flat.shape[0]:  # a triangular factor has the same left singular vectors
        flat = np.asarray(np.linalg.qr(flat.T, mode="r")).T
    u, sizes, _ = np.linalg.svd(flat, full_matrices=False)
    tails = np.sqrt(np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0))
    keep = int(np.argmax(tails <= max(goal, 1e-15))) if (tails <= max(goal, 1e-15)).any() else len(sizes)
    return np.asarray(u[:, : max(1, min(keep, rank or keep))])
