"""Banded kernels against SciPy's LAPACK, in both precisions and on every instruction set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg

from inntd import _core

PRECISIONS = [(np.float64, 1e-12), (np.float32, 2e-4)]


@pytest.fixture(params=_core.available_isas(), autouse=True)
def isa(request: pytest.FixtureRequest) -> object:
    before = _core.isa()
    _core.select_isa(request.param)
    yield
    _core.select_isa(before)


def random_band(n: int, b: int, *, definite: bool, seed: int = 0) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    dense = np.triu(np.tril(rng.standard_normal((n, n)), b), -b)
    if definite:
        dense = dense + dense.T + 4 * (b + 1) * np.eye(n)
    band = np.zeros((n, 2 * b + 1))
    for i in range(n):
        for j in range(max(0, i - b), min(n, i + b + 1)):
            band[i, b + j - i] = dense[i, j]
    return band


def to_dense(band: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n, b = len(band), band.shape[1] // 2
    dense = np.zeros((n, n))
    for i in range(n):
        for j in range(max(0, i - b), min(n, i + b + 1)):
            dense[i, j] = band[i, b + j - i]
    return dense


def lapack_storage(band: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n, b = len(band), band.shape[1] // 2
    stored = np.zeros((2 * b + 1, n))
    for i in range(n):
        for j in range(max(0, i - b), min(n, i + b + 1)):
            stored[b + i - j, j] = band[i, b + j - i]
    return stored


@pytest.mark.parametrize("b", [1, 2, 3, 4, 5, 6, 7, 11, 20])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("columns", [1, 5])
def test_cholesky_agrees_with_lapack(b: int, dtype: type, tolerance: float, columns: int) -> None:
    band = random_band(60, b, definite=True)
    rhs = np.random.default_rng(1).standard_normal((60, columns))
    x = rhs.astype(dtype)
    _core.banded_cholesky_solve(band.astype(dtype), x)
    expected = scipy.linalg.solveh_banded(lapack_storage(band)[b:], rhs, lower=True)
    np.testing.assert_allclose(x, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("b", [1, 2, 4, 7, 13])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-2)])
@pytest.mark.parametrize("transpose", [False, True])
def test_lu_agrees_with_lapack_without_diagonal_dominance(
    b: int, dtype: type, tolerance: float, transpose: bool
) -> None:
    band = random_band(50, b, definite=False, seed=b)
    rhs = np.random.default_rng(2).standard_normal((50, 3))
    x = rhs.astype(dtype)
    _core.banded_lu_solve(band.astype(dtype), x, transpose)
    if transpose:
        expected = np.linalg.solve(to_dense(band).T, rhs)
    else:
        expected = scipy.linalg.solve_banded((b, b), lapack_storage(band), rhs)
    np.testing.assert_allclose(x, expected, atol=tolerance * np.abs(expected).max())


def test_lu_pivots_where_the_diagonal_is_zero() -> None:
    band = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 3.0, 0.0]])
    x = np.array([[1.0], [2.0], [3.0]])
    _core.banded_lu_solve(band, x)
    np.testing.assert_allclose(to_dense(band) @ x, [[1.0], [2.0], [3.0]], atol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_multiply_agrees_with_dense(dtype: type, tolerance: float) -> None:
    band = random_band(40, 5, definite=False)
    x = np.random.default_rng(3).standard_normal((40, 4))
    out = np.empty((40, 4), dtype)
    _core.banded_multiply(band.astype(dtype), x.astype(dtype), out)
    np.testing.assert_allclose(out, to_dense(band) @ x, atol=10 * tolerance)


def test_transpose_solve_is_the_adjoint_of_the_solve() -> None:
    band = random_band(30, 3, definite=False, seed=5)
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((30, 1)), rng.standard_normal((30, 1))
    solved, adjoint = x.copy(), y.copy()
    _core.banded_lu_solve(band, solved)
    _core.banded_lu_solve(band, adjoint, True)
    assert float((solved * y).sum()) == pytest.approx(float((x * adjoint).sum()), rel=1e-9)


def test_faults_are_named() -> None:
    x = np.ones((3, 1))
    with pytest.raises(ValueError, match="not positive definite: the pivot of row 1"):
        _core.banded_cholesky_solve(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.0, 0.0]]), x)
    with pytest.raises(ValueError, match="singular: no pivot in column 1"):
        _core.banded_lu_solve(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), x)
    with pytest.raises(ValueError, match="band must have shape"):
        _core.banded_lu_solve(np.ones((3, 2)), x)
    with pytest.raises(ValueError, match="right-hand side must have shape"):
        _core.banded_lu_solve(np.ones((4, 3)), x)
