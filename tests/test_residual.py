"""Residuals and the estimates from them, against dense residuals and true errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from routes import bump, dense_solution, error_against_dense, helmholtz, nodal_values, rotating
from sympy import exp

import inntd as it
from inntd.solvers import residual
from inntd.solvers.alternating import Outcome, Plan, solve_alternating
from inntd.solvers.direct import solve_direct
from inntd.solvers.free import free_system
from inntd.solvers.operator import DiscreteSystem, assemble


def poisson(dimension: int, elements: int = 8) -> it.Problem:
    axes = [it.Axis(name, 0, 1, elements=elements) for name in "xyzw"[:dimension]]
    u = it.unknown("u", *axes)
    source = 1 + bump(*axes, width=0.3) + axes[0]._sympy_() * axes[1]._sympy_() ** 2
    return it.Problem(strong=-it.laplacian(u) - source, conditions=[u.on(*axes) == 0])


def heat(stop: float, diffusion: float = 1.0) -> it.Problem:
    x, t = it.Axis("x", 0, 1, elements=24), it.Axis("t", 0, stop, elements=24, kind="time", s=1, grading=2)
    u, v = it.unknown("u", x, t), it.test_function()
    a, b = x._sympy_(), t._sympy_() / stop
    tenth = sympy.Rational(1, 10)
    source = sum(exp(-200 * (a - i * tenth) ** 2) * exp(-20 * (b - i * tenth) ** 2) for i in range(2, 9))
    weak = v * it.dt(u) + diffusion * it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0])


def model(system: DiscreteSystem, outcome: Outcome) -> it.CPModel:
    factors = []
    for axis, free, inner in zip(system.axes, system.free, outcome.factors, strict=True):
        full = np.zeros((axis.size, inner.shape[1]))
        full[free] = inner
        factors.append(full)
    return it.CPModel.from_factors(system.axes, factors)


def errors(problem: it.Problem, rank: int) -> tuple[float, float]:
    """Estimated and true error of a run with few modes; the truth by a direct solve or a dense one."""
    system = assemble(problem)
    outcome = solve_alternating(system, Plan(1e-12, rank))
    estimate = residual.estimated_error(free_system(system), outcome.factors)
    assert estimate is not None
    found = model(system, outcome)
    if len(system.axes) == 2:
        return estimate, float(found.relative_distance(model(system, solve_direct(system, Plan(1e-13, 200)))))
    expected = dense_solution(problem)
    return estimate, float(np.linalg.norm(nodal_values(found) - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_residual_is_that_of_the_dense_system(dimension: int) -> None:
    problem = poisson(dimension, 7)
    system = assemble(problem)
    free = free_system(system)
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((n, 3)) for n in free.sizes]

    def kron(parts: list[Any]) -> Any:
        out = parts[0]
        for part in parts[1:]:
            out = np.kron(out, part)
        return out

    operator = sum(
        c * kron([free.matrices[d][j].toarray() for d, j in enumerate(term)])
        for c, term in zip(free.coefficients, free.terms, strict=True)
    )
    load = sum(
        w * kron([free.loads[d][:, j] for d, j in enumerate(term)])
        for w, term in zip(free.load_weights, free.load_terms, strict=True)
    )
    mass = kron([own[0].toarray() for own in free.matrices])
    solution = sum(kron([factor[:, m] for factor in factors]) for m in range(3))
    rest = load - operator @ solution * np.exp(-free.scale)

    def dual(x: Any) -> float:
        return float(np.sqrt(x @ np.linalg.solve(mass, x)))

    assert residual.relative_residual(free, factors) == pytest.approx(dual(rest) / dual(load), rel=1e-9)


def test_a_small_residual_keeps_its_digits() -> None:
    problem = poisson(2, 12)
    system = assemble(problem)
    outcome = solve_direct(system, Plan(1e-14, 50))
    assert residual.relative_residual(free_system(system), outcome.factors) < 1e-10


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_estimate_is_the_error_of_a_sum_of_one_dimensional_operators(rank: int) -> None:
    estimate, true = errors(poisson(2, 20), rank)
    assert estimate == pytest.approx(true, rel=1e-3)


def test_the_estimate_by_exponentials_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    system = assemble(poisson(3, 9))
    outcome, free = solve_alternating(system, Plan(1e-12, 2)), free_system(system)
    full = residual.estimated_error(free, outcome.factors)
    monkeypatch.setattr(residual, "FULL_TENSOR", 0)
    assert residual.estimated_error(free, outcome.factors) == pytest.approx(full, rel=2e-2)


@pytest.mark.parametrize(("speed", "rank"), [(1, 4), (10, 4), (100, 4), (100, 9), (1000, 3), (1000, 12)])
def test_convection_is_not_underestimated(speed: float, rank: int) -> None:
    estimate, true = errors(rotating(speed, 40), rank)
    assert 0.9 * true < estimate < 50 * true  # of an answer that is off by a fifth, a bound is all there is


@pytest.mark.parametrize(("stop", "diffusion"), [(0.01, 1.0), (1.0, 1.0), (1.0, 0.01), (10.0, 1.0)])
def test_time_is_not_underestimated(stop: float, diffusion: float) -> None:
    for rank in (2, 5):
        estimate, true = errors(heat(stop, diffusion), rank)
        assert 0.8 * true < estimate < 3 * true


def test_a_stagnated_run_tells_its_error() -> None:
    """Strong rotation on a coarse mesh: the change of the last growth alone is blind to the error."""
    problem = rotating(1000, 30)
    answer = it.solve(problem, tolerance=1e-6, rank=40, method="alternating")
    true = error_against_dense(problem, answer)
    assert answer.error_estimate.algebraic > 0.9 * true
    assert answer.status != "converged" or true < 1e-5


def test_an_indefinite_operator_of_two_axes_is_estimated_too() -> None:
    estimate, true = errors(helmholtz(200, 24), 4)
    assert estimate == pytest.approx(true, rel=1e-2)
