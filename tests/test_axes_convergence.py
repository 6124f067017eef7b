"""Galerkin in one dimension: the slopes and the errors that the basis was chosen for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg

import inntd as it
from inntd.axes import load, mass, matrix, quadrature_points, stiffness


def banded_solve(A, b):
    """SciPy's banded Cholesky on our storage."""
    n, half = A.shape[0], A.half_bandwidth
    lower = np.zeros((half + 1, n))
    for k in range(half + 1):
        lower[k, : n - k] = A.band[k:, half - k]
    return scipy.linalg.solveh_banded(lower, b, lower=True)


def relative_error(axis, nodal, exact):
    x, w = quadrature_points(axis, 2 * axis.table.degree + 12)
    index, values = axis.tabulate(x)
    return float(np.sqrt(w @ ((values * nodal[index]).sum(axis=1) - exact(x)) ** 2 / (w @ exact(x) ** 2)))


def dirichlet_error(axis, exact, source, weight=None):
    """Solve -(weight u')' = source with the exact end values."""
    K, b = matrix(axis, 1, 1, weight), load(axis, source)[:, 0]
    u = axis.interpolate(exact)
    u[1:-1] = 0.0
    inner = np.zeros(axis.size, dtype=bool)
    inner[1:-1] = True
    u[1:-1] = banded_solve(K.restrict(inner), (b - K @ u)[1:-1])
    return relative_error(axis, u, exact)


def slope(errors, factor=2):
    return float(np.log(errors[0] / errors[-1]) / np.log(factor) / (len(errors) - 1))


@pytest.mark.parametrize(("s", "measured"), [(1, 1.9e-6), (2, 1.6e-9), (3, 1.5e-12), (4, 2.6e-14)])
def test_error_of_the_default_basis_on_32_nodes(s, measured):
    axis = it.Axis("x", 0, 1, elements=31, s=s)
    error = dirichlet_error(axis, lambda x: np.sin(np.pi / 2 * x), lambda x: (np.pi / 2) ** 2 * np.sin(np.pi / 2 * x))
    assert error < 1.05 * measured + 1e-13  # the rounding of a solver


@pytest.mark.parametrize(("s", "measured"), [(1, 3.0e-5), (2, 7.6e-7), (3, 2.5e-8), (4, 8.9e-10)])
def test_error_of_truncated_patches_on_32_nodes(s, measured):
    axis = it.Axis("x", 0, 1, elements=31, basis=it.CHiDeNNBasis(s=s, ends="truncated"))
    error = dirichlet_error(axis, lambda x: np.sin(np.pi / 2 * x), lambda x: (np.pi / 2) ** 2 * np.sin(np.pi / 2 * x))
    assert error == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(("s", "measured"), [(2, 2.1e-8), (3, 3.2e-10), (4, 6.4e-12)])
def test_error_of_the_gaussian_kernel_is_that_of_exact_arithmetic(s, measured):
    axis = it.Axis("x", 0, 1, elements=31, basis=it.CHiDeNNBasis(s=s, p=1, kernel="gaussian"))
    error = dirichlet_error(axis, lambda x: np.sin(np.pi / 2 * x), lambda x: (np.pi / 2) ** 2 * np.sin(np.pi / 2 * x))
    assert error == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("graded", [False, True])
def test_convergence_order_is_at_least_two_s_plus_one(s, graded):
    meshes = {1: (16, 32, 64, 128), 2: (16, 32, 64), 3: (16, 32, 64), 4: (32, 64)}[s]
    frequency = 7.0

    def error(n):
        nodes = np.arange(n + 1) / n
        axis = it.Axis("x", nodes=(nodes + 0.3 * nodes**2) / 1.3 if graded else nodes, s=s)
        return dirichlet_error(axis, lambda x: np.sin(frequency * x), lambda x: frequency**2 * np.sin(frequency * x))

    assert slope([error(n) for n in meshes]) > 2 * s + 1


@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_broken_coefficients_keep_the_order(s):
    """-(k u')' = f with k = 1 and 10: patches confined to one side converge as on a smooth problem."""
    at, k = 0.4, (1.0, 10.0)

    def exact(x):
        return np.sin(5 * (x - at)) / np.where(x < at, *k)

    def source(x):
        return 25 * np.sin(5 * (x - at))

    def weight(x):
        return np.where(x < at, *k)

    weight.breaks = (at,)
    errors = []
    for n in (20, 40):
        axis = it.Axis("x", 0, 1, elements=n, breaks=[at], s=s)
        errors.append(dirichlet_error(axis, exact, source, weight))
    assert slope(errors) > 2 * s + 1
    if s > 1:
        crossing = it.Axis("x", 0, 1, elements=40, s=s)
        assert dirichlet_error(crossing, exact, source, weight) > 100 * errors[-1]


@pytest.mark.parametrize("s", [1, 2, 3])
def test_periodic_problems_keep_the_order(s):
    """-u'' + u = f on a circle."""
    errors = []
    for n in (16, 32, 64):
        axis = it.Axis("x", -1, 1, elements=n, periodic=True, s=s)
        A = (stiffness(axis) + mass(axis)).tosparse().tocsc()
        b = load(axis, lambda x: (np.pi**2 + 1) * np.sin(np.pi * x))[:, 0]
        errors.append(relative_error(axis, scipy.sparse.linalg.spsolve(A, b), lambda x: np.sin(np.pi * x)))
    assert slope(errors) > 2 * s + 1


@pytest.mark.parametrize("s", [1, 3])
def test_long_axes_lose_few_digits(s):
    """Rounding the entries of the stiffness matrix one by one would leave 2e-7."""
    axis = it.Axis("x", 0, 1, elements=100_000, s=s)
    assert dirichlet_error(axis, lambda x: np.sin(np.pi * x), lambda x: np.pi**2 * np.sin(np.pi * x)) < 5e-9
