"""Two nonsymmetric axes: a generalised Sylvester equation by the Schur form of one and banded systems of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.solvers.free import FreeSystem, Vector
from inntd.solvers.product import AxisSpace

Complex = npt.NDArray[np.complex128]


def solve_sylvester(system: FreeSystem, spaces: Sequence[AxisSpace], load: Vector, banded: int) -> Vector:
    """Solve A1 U B1^T + A2 U B2^T = F for the matrix U of nodal values.

    Parameters
    ----------
    system
        Two axes and two terms.
    spaces
        Nodal coordinates, with bands.
    load
        The matrix F (n_1, n_2).
    banded
        The axis that keeps its banded matrices; the other gets a generalised Schur form.
    """
    other = 1 - banded
    first, second = (
        _bands(spaces[banded], term[banded]) * c for c, term in zip(system.coefficients, system.terms, strict=True)
    )
    b1, b2 = (_dense(_bands(spaces[other], term[other])) for term in system.terms)
    s, t, q, z = scipy.linalg.qz(b1, b2, output="complex", check_finite=False)
    right = (load if banded == 0 else load.T) @ q.conj()
    n = s.shape[0]
    images = np.zeros((2, *right.shape), dtype=np.complex128)
    found = np.zeros(right.shape, dtype=np.complex128)
    for j in range(n - 1, -1, -1):
        known = images[0][:, j + 1 :] @ s[j, j + 1 :] + images[1][:, j + 1 :] @ t[j, j + 1 :]
        band = s[j, j] * first + t[j, j] * second
        found[:, j] = _banded_solve(band, right[:, j] - known)
        images[0][:, j], images[1][:, j] = _multiply(first, found[:, j]), _multiply(second, found[:, j])
    solution = (found @ z.T).real
    return np.ascontiguousarray(solution if banded == 0 else solution.T)


def _bands(space: AxisSpace, matrix: int) -> Vector:
    assert space.bands is not None
    band = space.bands[matrix]
    assert band is not None
    return band


def _dense(band: Vector) -> Vector:
    n, b = len(band), band.shape[1] // 2
    dense = np.zeros((n, n))
    for k in range(-min(b, n - 1), min(b, n - 1) + 1):
        rows = np.arange(max(0, -k), n - max(0, k))
        dense[rows, rows + k] = band[rows, b + k]
    return dense


def _banded_solve(band: Complex, right: Complex) -> Complex:
    n, b = len(band), band.shape[1] // 2
    rows = np.zeros((2 * b + 1, n), dtype=np.complex128)
    for k in range(-min(b, n - 1), min(b, n - 1) + 1):
        i = np.arange(max(0, -k), n - max(0, k))
        rows[b - k, i + k] = band[i, b + k]
    try:
        return np.asarray(scipy.linalg.solve_banded((b, b), rows, right, check_finite=False))
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def _multiply(band: Vector, x: Complex) -> Complex:
    n, b = len(band), band.shape[1] // 2
    padded = np.concatenate([np.zeros(b, x.dtype), x, np.zeros(b, x.dtype)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * b + 1)
    return np.asarray(np.einsum("ij,ij->i", band, windows[:n]))
