"""The experiments' independent solutions: right by themselves, and met by the solver on small meshes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

import inntd as it
from inntd.axes import assembly

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
THREADS = torch.get_num_threads()

# The scripts hold this process to one thread; other tests shall not notice.
with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [str(FOLDER), str(FOLDER / "paper"), *sys.path]):
    import oracle
    import s5
    import s6
    import s7
    import s8
    import series
torch.set_num_threads(THREADS)


def wave(x: np.ndarray) -> np.ndarray:
    return 2 + np.sin(3 * x)


@pytest.mark.parametrize("s", [1, 2, 4])
@pytest.mark.parametrize("options", [{}, {"grading": 2.0}, {"breaks": [0.5]}])
def test_the_independent_matrices_are_those_of_the_product(s: int, options: dict) -> None:
    axis = it.Axis("x", 0, 1, elements=20, s=s, **options)
    mesh = oracle.Mesh.of(axis)
    for trial, test, weight in ((0, 0, None), (1, 1, None), (1, 0, None), (1, 1, wave)):
        found = assembly.matrix(axis, trial, test, weight).toarray()
        expected = mesh.matrix(trial, test, weight, 16)
        assert np.abs(found - expected).max() < 1e-11 * np.abs(expected).max()
    assert np.abs(assembly.load(axis, [wave])[:, 0] - mesh.load(wave)).max() < 1e-13


def test_linear_elements_are_the_case_without_patches() -> None:
    mesh = oracle.Mesh(np.array([0.0, 1.0, 3.0]), 0)
    assert mesh.matrix(1, 1) == pytest.approx(np.array([[1, -1, 0], [-1, 1.5, -0.5], [0, -0.5, 0.5]]))


def test_time_stepping_tends_to_the_solution_exact_in_time() -> None:
    axes = s6.problem(20).axes
    system = s6.Semidiscrete(axes, linear=True)
    *_, exact = system.exact(2.0, 150.0)
    errors = []
    for count in (200, 400):
        system.times = np.linspace(0, s6.END, count + 1)
        for theta in (1.0, 0.5):
            *_, last = system.stepped(2.0, 150.0, theta)
            errors.append(np.linalg.norm(last - exact) / np.linalg.norm(exact))
    euler, crank = errors[0] / errors[2], errors[1] / errors[3]
    assert euler == pytest.approx(2, rel=0.1)
    assert crank == pytest.approx(4, rel=0.3)


def test_scikit_fem_solves_the_diagonalised_system() -> None:
    pytest.importorskip("skfem")
    seconds, mismatch = s6.fem_run(8)
    assert seconds > 0
    assert mismatch < 1e-6


def test_the_expansion_is_that_of_the_exponential_kernel() -> None:
    amplitude, frequency, phase = s8.karhunen_loeve(71)
    x, w = np.polynomial.legendre.leggauss(400)
    x, w = (x + 1) / 2, w / 2
    functions = amplitude * np.cos(frequency * (x[:, None] - 0.5) - phase)
    norms = w @ functions**2  # the eigenvalues: the functions are orthonormal
    kernel = s8.SIGMA**2 * np.exp(-np.abs(x[:, None] - x))
    nystrom = np.linalg.eigvalsh(np.sqrt(w)[:, None] * kernel * np.sqrt(w))[::-1]
    assert norms[:20] == pytest.approx(nystrom[:20], rel=1e-2)
    gram = functions.T @ (w[:, None] * functions) / np.sqrt(np.outer(norms, norms))
    assert np.abs(gram - np.eye(71)).max() < 1e-8
    sampled = s8.MEAN + functions @ s8.samples(71).T
    assert 8.0 < sampled.min() < sampled.max() < 11.5


def test_direct_solutions_satisfy_the_steady_equation_in_the_end() -> None:
    mesh = oracle.Mesh(np.linspace(0, 1, 41), 3)
    values = s8.direct(mesh, np.array([0.0, 50.0]), ())
    x = mesh.nodes
    assert values[:, 0] == pytest.approx(0, abs=1e-15)
    assert values[:, 1] == pytest.approx(x * (1 - x) / (2 * s8.MEAN), abs=1e-12)


@pytest.mark.parametrize(("s", "slope"), [(1, 2.5), (2, 4.5)])
def test_heat_from_a_moving_source_converges(s: int, slope: float) -> None:
    elements, errors = (32, 48), []
    for count in elements:
        problem = s5.problem(count, s)
        found = s5.measure(problem, it.solve(problem, rank=25, threads=1).model)
        assert found["error_sampled"] == pytest.approx(found["error"], rel=0.3)
        errors.append(found["error"])
    assert series.fitted_slope(elements, errors, 1e-12) >= slope


@pytest.mark.parametrize(("s", "slope"), [(1, 2.7), (2, 4.7)])
def test_elasticity_converges(s: int, slope: float) -> None:
    elements, errors = (8, 12, 16), []
    for count in elements:
        problem = s7.problem(count, s, (1, 1, 1))
        found = s7.measure((1, 1, 1), problem, it.solve(problem, rank=9, threads=1).model)
        assert found["error_sampled"] == pytest.approx(found["error"], rel=0.3)
        errors.append(found["error"])
    assert series.fitted_slope(elements, errors, 1e-12) >= slope


def test_the_body_force_balances_the_displacement() -> None:
    force, exact, gradient = s7.functions((2, 3, 1))
    h, point = 1e-4, np.array([0.3, 0.6, 1.1])

    def stress(x: np.ndarray) -> np.ndarray:
        slope = gradient(*x)
        return s7.MU * (slope + slope.T) + s7.LAME * np.trace(slope) * np.eye(3)

    steps = h * np.eye(3)
    divergence = sum((stress(point + e) - stress(point - e))[:, j] for j, e in enumerate(steps)) / (2 * h)
    slopes = np.array([(exact(*(point + e)) - exact(*(point - e))) / (2 * h) for e in steps]).T
    assert slopes == pytest.approx(gradient(*point), abs=1e-6)
    assert -divergence == pytest.approx(force(*point), abs=1e-4)
