"""Minimal residual against dense solutions, where Galerkin fails; the automatic choice of routes; refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from routes import bump, dense_solution, error_against_dense, helmholtz, nodal_values, relative_l2, rotating

import inntd as it
from inntd.solvers import alternating, minimal_residual
from inntd.solvers.free import free_system
from inntd.solvers.operator import assemble


def direct_error(problem: it.Problem, answer: Any) -> float:
    exact = it.solve(problem, method="direct", tolerance=1e-13).model
    return relative_l2(problem, nodal_values(answer.model), nodal_values(exact))


@pytest.mark.parametrize("elements", [40, 160])
def test_helmholtz_with_16_modes(elements: int) -> None:
    """A narrow source at k^2 = 200 needs about 7 modes; Galerkin with alternating updates finds them here, too."""
    problem = helmholtz(200.0, elements)
    answer = it.solve(problem, method="minimal_residual", rank=16)
    error = direct_error(problem, answer)
    assert error < 1e-8
    assert 0.5 * error < answer.error_estimate.algebraic < 1e-8
    galerkin = it.solve(problem, method="alternating", rank=16)
    assert direct_error(problem, galerkin) < 1e-9


def test_the_estimate_is_the_error() -> None:
    problem = helmholtz(200.0, 30)
    for rank in (5, 7):
        answer = it.solve(problem, method="minimal_residual", rank=rank)
        assert answer.error_estimate.algebraic == pytest.approx(direct_error(problem, answer), rel=0.05)


def test_three_axes_agree_with_a_dense_solve() -> None:
    problem = helmholtz(120.0, 9, dimension=3)
    answer = it.solve(problem, method="minimal_residual", tolerance=1e-6)
    assert answer.status == "converged"
    assert error_against_dense(problem, answer) < 1e-6


def variable() -> it.Problem:
    """Banded axes: a variable wave number, convection, and a periodic axis."""
    x = it.Axis("x", 0, 1, elements=16, s=2)
    y = it.Axis("y", 0, 1, elements=15, s=1, periodic=True)
    u, v = it.unknown("u", x, y), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) - 60 * (1 + x._sympy_()) * u * v + 3 * v * it.diff(u, y) - v * bump(x, y)
    return it.Problem(weak=weak, conditions=[u.on(x) == 0])


@pytest.mark.parametrize("problem", [variable, lambda: rotating(100.0, 16)])
def test_banded_axes_agree_with_a_dense_solve(problem: Any) -> None:
    stated = problem()
    answer = it.solve(stated, method="minimal_residual", tolerance=1e-7)
    assert error_against_dense(stated, answer) < 1e-6


def test_products_of_bands() -> None:
    rng = np.random.default_rng(0)
    free = free_system(assemble(rotating(1.0, 12)))
    a, b = free.matrices[0][1], free.matrices[0][2]
    weight = rng.uniform(1, 2, a.shape[0])
    band = minimal_residual._band_product(a.band, weight, b.band)
    dense = a.toarray().T @ (weight[:, None] * b.toarray())
    np.testing.assert_allclose(it.axes.banded.BandedMatrix(band).toarray(), dense, atol=1e-12 * np.abs(dense).max())


def test_boundary_values_and_scales() -> None:
    """The load's size is kept apart: neither the unit of length nor that of the values matters."""
    for length, size in ((1.0, 1.0), (1e-5, 1e150), (1e6, 1e-150)):
        x, y = (it.Axis(name, 0, length, elements=20) for name in "xy")
        a, b = x._sympy_() / length, y._sympy_() / length
        exact = size * (sympy.sin(3 * a) * (1 + b) + b**2)
        u = it.unknown("u", x, y)
        k2 = 40 / length**2
        source = sum(sympy.diff(exact, s._sympy_(), 2) for s in (x, y)) + k2 * exact
        problem = it.Problem(
            strong=it.laplacian(u) + k2 * u - source, conditions=[u.on("boundary") == exact], exact=exact
        )
        answer = it.solve(problem, method="minimal_residual", tolerance=1e-9)
        assert float(answer.model.error(problem.exact)) < 1e-7


def test_auto_leaves_galerkin_when_it_fails_on_an_indefinite_operator() -> None:
    problem = helmholtz(200.0, 14, dimension=3)
    answer = it.solve(problem, tolerance=1e-6)
    assert answer.status == "converged"
    assert any("indefinite" in note and "instead" in note for note in answer.notes)
    assert relative_l2(problem, nodal_values(answer.model), dense_solution(problem)) < 2e-6


def test_galerkin_alone_says_when_it_diverged() -> None:
    problem = helmholtz(200.0, 250)
    answer = it.solve(problem, method="alternating", rank=16)
    error = direct_error(problem, answer)
    assert error < 1e-6 or answer.status == "diverged"
    assert answer.error_estimate.algebraic > 0.5 * error


def test_interrupting_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = alternating.grow, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(alternating, "grow", interrupted)
    problem = helmholtz(50.0, 30)
    answer = it.solve(problem, method="minimal_residual", tolerance=1e-10)
    assert answer.status == "interrupted"
    assert answer.modes == 4
    assert direct_error(problem, answer) < 0.5


def test_resonance_is_never_silently_wrong() -> None:
    x, y = (it.Axis(name, 0, 1, elements=14) for name in "xy")
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=-it.laplacian(u) - 2 * sympy.pi**2 * u - 1, conditions=[u.on(x, y) == 0])
    assert it.solve(problem, method="minimal_residual", tolerance=1e-6).status != "converged"


def test_too_low_a_rank_is_a_status() -> None:
    answer = it.solve(helmholtz(200.0, 30), method="minimal_residual", rank=3, tolerance=1e-8)
    assert answer.status == "max_rank"
    assert "raise rank" in answer.message


def test_many_terms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimal_residual, "MOST_TERMS", 3)
    with pytest.raises(ValueError, match="method must not be 'minimal_residual' for an operator of 4 separated terms"):
        it.solve(rotating(1.0, 8), method="minimal_residual")


def test_no_source_gives_zero() -> None:
    x, y = (it.Axis(name, 0, 1, elements=8) for name in "xy")
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=it.laplacian(u) + 30 * u, conditions=[u.on(x, y) == 0])
    assert float(it.solve(problem, method="minimal_residual").model.norm()) == 0.0
