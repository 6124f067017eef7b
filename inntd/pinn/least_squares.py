"""Linear least squares from element blocks: banded Cholesky of the normal equations, or QR by accretion of rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import scipy.linalg

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Numbers in the band: 4 GB.
MOST_NUMBERS = 500_000_000
#: Added to the diagonal, relative to it, where the normal equations are singular to working precision.
RIDGES = (0.0, 1e-14, 1e-12, 1e-10)

#: Of a batch of elements: positions (e, L), Jacobians (e, rows, L), right-hand sides (e, rows).
Block = tuple[Integers, Array, Array]


def solve_normal(
    blocks: Iterable[Block], size: int, half_bandwidth: int, factor: Array | None = None
) -> tuple[Array, Array]:
    """Return the x (size,) that minimises Σ |J x − b|², by banded Cholesky factorisation of JᵀJ, and the factor.

    Positions at which no Jacobian has an entry get zero. A factor of the same Jacobians may be given.

    Raises
    ------
    MemoryError
        The band does not fit.
    numpy.linalg.LinAlgError
        The matrix is singular.

    Examples
    --------
    >>> positions, jacobian = np.array([[0, 1], [1, 2]]), np.array([[[1.0, 0]], [[-1.0, 2]]])
    >>> more = np.array([[0, 1]]), np.array([[[1.0, 1.0]]]), np.array([[3.0]])
    >>> solve_normal([(positions, jacobian, np.array([[1.0], [4.0]])), more], 3, 1)[0].round(12)
    array([1., 2., 3.])
    """
    b = min(half_bandwidth, size - 1)
    if (b + 1) * size > MOST_NUMBERS:
        raise MemoryError(
            f"a band of {size} nodes and half bandwidth {b} takes {8e-9 * (b + 1) * size:.1f} GB; use fewer elements, "
            "or time slabs"
        )
    band, right = np.zeros((b + 1) * size if factor is None else 0), np.zeros(size)
    for positions, jacobian, values in blocks:
        transposed = jacobian.transpose(0, 2, 1)
        if factor is None:
            _add_lower(band, b + 1, positions, transposed @ jacobian)
        _add(right, positions.reshape(-1), np.einsum("elr,er->el", transposed, values).reshape(-1))
    if factor is None:
        factor = _factorised(band.reshape(size, b + 1).T)
    return scipy.linalg.cho_solve_banded((factor, True), right, check_finite=False), factor


def _factorised(matrix: Array) -> Array:
    """Return the Cholesky factor of a lower band, whose columns stand one after the other, as LAPACK has them."""
    matrix[0, matrix[0] == 0.0] = 1.0
    for ridge in RIDGES:
        shifted = matrix.copy(order="F")
        shifted[0] *= 1.0 + ridge
        try:
            return scipy.linalg.cholesky_banded(  # type: ignore[no-any-return]
                shifted, overwrite_ab=True, lower=True, check_finite=False
            )
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("the normal equations are singular: a condition is missing, or the mesh is too coarse")


def _add_lower(band: Array, stride: int, positions: Integers, products: Array) -> None:
    """Add the lower triangles of element matrices to the band."""
    order = np.argsort(positions[0], kind="stable")
    if (np.diff(positions[:, order], axis=1) >= 0).all():  # all elements are numbered alike: half of the work
        rows, columns = np.tril_indices(len(order))
        rows, columns = order[rows], order[columns]
        lower = positions[:, columns]
        flat = positions[:, rows] + lower * (stride - 1)
        _add(band, flat.reshape(-1), products[:, rows, columns].reshape(-1))
        return
    below = positions[:, :, None] - positions[:, None, :]
    inside = below >= 0
    _add(band, (below + stride * positions[:, None, :])[inside], products[inside])


def _add(target: Array, index: Integers, values: Array) -> None:
    """Add values at indices, which repeat; over the part of the target that is hit."""
    if index.size:
        low, high = int(index.min()), int(index.max()) + 1
        if high - low > 8 * index.size:
            np.add.at(target, index, values)
        else:
            target[low:high] += np.bincount(index - low, values, minlength=high - low)


def solve_by_rows(blocks: Iterable[Block], size: int) -> Array:
    """Return the x (size,) that minimises Σ |J x − b|², by orthogonal transformations, element after element.

    The condition number is not squared; the elements must follow one another along one axis. (Lawson and Hanson,
    "Solving Least Squares Problems", 1974, chapter 27.)

    Examples
    --------
    >>> positions, jacobian = np.array([[0, 1], [1, 2]]), np.array([[[1.0, 0]], [[-1.0, 2]]])
    >>> first = np.array([[0, 1]]), np.array([[[1.0, 1.0]]]), np.array([[3.0]])
    >>> solve_by_rows([first, (positions, jacobian, np.array([[1.0], [4.0]]))], 3).round(12)
    array([1., 2., 3.])
    """
    finished: list[tuple[int, Array]] = []  # column of the diagonal, and the row from there on, right-hand side last
    start, active = 0, np.zeros((0, 1))
    for batch in blocks:
        for positions, jacobian, values in zip(*batch, strict=True):
            first, stop = int(positions.min()), int(positions.max()) + 1
            done = min(max(first - start, 0), len(active))
            finished += [(start + i, active[i, i:]) for i in range(done)]
            start, active = (start + done, active[done:, done:]) if done else (start, active)
            if not len(active):
                start = first
            width = max(stop - start, active.shape[1] - 1)
            rows = np.zeros((len(active) + len(jacobian), width + 1))
            rows[: len(active), : active.shape[1] - 1] = active[:, :-1]
            rows[: len(active), -1] = active[:, -1]
            np.add.at(rows[len(active) :, :-1].T, positions - start, jacobian.T)
            rows[len(active) :, -1] = values
            triangle: Array = scipy.linalg.qr(rows, mode="r", check_finite=False)[0]
            active = triangle[:width]
    finished += [(start + i, active[i, i:]) for i in range(min(len(active), active.shape[1] - 1))]
    x = np.zeros(size)
    for column, row in reversed(finished):
        if row[0] != 0.0:
            x[column] = (row[-1] - row[1:-1] @ x[column + 1 : column + len(row) - 1]) / row[0]
    return x
