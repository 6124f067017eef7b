"""Tucker-Galerkin against dense and direct solutions; every kind of core system; statuses and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from routes import bump, dense_solution, error_against_dense, helmholtz, nodal_values, relative_l2, rotating
from sympy import exp, pi, sin

import inntd as it
from inntd.solvers import core_system, product, tucker_galerkin
from inntd.solvers.operator import assemble


def parametric_heat(elements: int = 12) -> it.Problem:
    """Heat with a diffusivity as a coordinate: one nonsymmetric axis, three that diagonalise, one that only scales."""
    x = it.Axis("x", 0, 1, elements=elements)
    k = it.Axis("k", 1, 4, elements=5, kind="parameter", s=2)
    p = it.Axis("p", 1, 2, elements=4, kind="parameter", s=1)
    t = it.Axis("t", 0, 0.2, elements=9, kind="time", grading=2, s=2)
    u, v = it.unknown("u", x, k, p, t), it.test_function()
    source = p * exp(-40 * (x - sympy.Rational(1, 3)) ** 2)
    weak = v * it.dt(u) + k * it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0])


def coupled() -> it.Problem:
    """A coefficient that couples the axes: none of them diagonalises."""
    x, y, z = (it.Axis(name, 0, 1, elements=7, s=1) for name in "xyz")
    a, b, c = (axis._sympy_() for axis in (x, y, z))
    u, v = it.unknown("u", x, y, z), it.test_function()
    coefficient = 1 + a * b + b**2 * c
    weak = coefficient * it.dot(it.grad(v), it.grad(u)) + v * it.diff(u, x) - v * (1 + bump(x, y, z, width=0.3))
    return it.Problem(weak=weak, conditions=[u.on(x, y, z) == 0])


def elasticity(elements: int, s: int = 1) -> it.Problem:
    """A body in all directions: vector-valued, with mixed derivatives; a load that no single mode resembles."""
    c = it.Axis.discrete("c", 3)
    x, y, z = (it.Axis(name, 0, stop, elements=elements, s=s) for name, stop in (("x", 1), ("y", 1), ("z", 2)))
    u, v = it.unknown("u", c, x, y, z), it.test_function()
    push = exp(-20 * ((x - 0.4) ** 2 + (y - 0.6) ** 2 + (z - 0.8) ** 2))
    stiffness = 2 * it.inner(it.sym(it.grad(v)), it.sym(it.grad(u))) + it.div(v) * it.div(u)
    return it.Problem(weak=stiffness - it.dot(v, [push, 2 * push * x, -push]), conditions=[u.on("boundary") == 0])


def poisson(dimension: int, elements: int = 10) -> it.Problem:
    axes = [it.Axis(name, 0, 1, elements=elements) for name in "xyzw"[:dimension]]
    u = it.unknown("u", *axes)
    return it.Problem(strong=-it.laplacian(u) - 1 - bump(*axes, width=0.2), conditions=[u.on(*axes) == 0])


@pytest.mark.parametrize("problem", [parametric_heat, coupled, lambda: poisson(3), lambda: poisson(2, 20)])
def test_it_agrees_with_a_dense_solve(problem: Any) -> None:
    stated = problem()
    answer = it.solve(stated, method="tucker", tolerance=1e-7)
    assert answer.status == "converged"
    assert isinstance(answer.model, it.TuckerModel)
    assert error_against_dense(stated, answer) < 1e-7


def test_a_vector_field() -> None:
    problem = elasticity(7)
    answer = it.solve(problem, method="tucker", tolerance=1e-3)
    error = error_against_dense(problem, answer)
    assert answer.status == "converged"
    assert 0.3 * error < answer.error_estimate.algebraic <= 1e-3
    assert answer.model.rank[0] == 3


def test_auto_takes_a_core_where_modes_are_too_many() -> None:
    problem = elasticity(12)
    answer = it.solve(problem, tolerance=1e-5)
    assert answer.status == "converged"
    assert any("Tucker-Galerkin instead" in note for note in answer.notes)
    tight = it.solve(problem, method="tucker", tolerance=1e-8).model
    assert float(answer.model.relative_distance(tight)) < 1e-5


@pytest.mark.parametrize("goal", [1e-2, 1e-4, 1e-6])
def test_a_tolerance_is_kept_and_estimated(goal: float) -> None:
    problem = parametric_heat()
    answer = it.solve(problem, method="tucker", tolerance=goal)
    error = error_against_dense(problem, answer)
    assert answer.status == "converged"
    assert error <= goal
    assert 0.5 * error <= answer.error_estimate.algebraic <= goal


def test_ranks_grow_with_the_accuracy_and_not_with_the_start() -> None:
    problem = poisson(3, 14)
    loose, tight, other = (
        it.solve(problem, method="tucker", tolerance=goal, rank=rank).model.rank
        for goal, rank in ((1e-3, 4), (1e-8, 4), (1e-8, 8))
    )
    assert all(a < b for a, b in zip(loose, tight, strict=True))
    assert all(abs(a - b) <= 1 for a, b in zip(tight, other, strict=True))


def test_an_axis_that_only_scales_has_one_function() -> None:
    answer = it.solve(parametric_heat(), method="tucker", tolerance=1e-6)
    assert answer.model.rank[2] == 1


@pytest.mark.parametrize("way", ["dense", "iterative"])
def test_core_systems_without_structure(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_system, "LARGEST_DENSE", 10**6 if way == "dense" else 0)
    problem = coupled()
    assert error_against_dense(problem, it.solve(problem, method="tucker", tolerance=1e-7)) < 1e-7


@pytest.mark.parametrize("way", ["eigenvectors", "schur"])
def test_a_shifted_axis_is_solved_by_eigenvectors_or_by_a_schur_form(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "WORST_EIGENVECTORS", np.inf if way == "eigenvectors" else 0.0)
    rng = np.random.default_rng(0)
    matrix, load = rng.standard_normal((37, 37)) + 9 * np.eye(37), rng.standard_normal((90, 37))
    for scale in (np.full(90, 2.0), rng.uniform(1, 2, 90)):
        shift = rng.uniform(0, 3, 90)
        found = product._solve_shifted(matrix, scale, shift, load)
        expected = [np.linalg.solve(a * matrix + b * np.eye(37), f) for a, b, f in zip(scale, shift, load, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_boundary_values_are_added() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=10) for name in "xyz")
    a, b, c = (axis._sympy_() for axis in (x, y, z))
    exact = exp(a * b) * (1 + c) + sin(pi * c)
    exact = sympy.series(exp(a), a, 0, 6).removeO() * (1 + b * c) + sin(pi * c) * b
    u = it.unknown("u", x, y, z)
    source = -sum(sympy.diff(exact, s, 2) for s in (a, b, c))
    problem = it.Problem(strong=-it.laplacian(u) - source, conditions=[u.on("boundary") == exact], exact=exact)
    answer = it.solve(problem, method="tucker", tolerance=1e-9)
    assert float(answer.model.error(problem.exact)) < 1e-6


def test_two_axes_with_strong_rotation() -> None:
    problem = rotating(1000, 30)
    answer = it.solve(problem, method="tucker", tolerance=1e-6)
    assert answer.status != "converged" or error_against_dense(problem, answer) < 1e-5


def test_an_indefinite_operator() -> None:
    problem = helmholtz(90.0, 9, dimension=3)
    answer = it.solve(problem, method="tucker", tolerance=1e-7)
    error = relative_l2(problem, nodal_values(answer.model), dense_solution(problem))
    assert answer.status != "converged" or error < 1e-6


def test_interrupting_keeps_the_subspaces(monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = tucker_galerkin.update_axis, []

    def interrupted(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(tucker_galerkin, "update_axis", interrupted)
    problem = poisson(3)
    answer = it.solve(problem, method="tucker", tolerance=1e-8)
    assert answer.status == "interrupted"
    assert error_against_dense(problem, answer) < 1e-2


def test_a_core_that_would_grow_too_large_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tucker_galerkin, "LARGEST_TENSOR", 100)
    problem = poisson(3)
    answer = it.solve(problem, method="tucker", tolerance=1e-9)
    assert answer.status == "max_rank"
    assert "loosen tolerance" in answer.message
    assert answer.error_estimate.algebraic > 0.3 * error_against_dense(problem, answer)


def test_refusals_name_a_remedy() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=4) for i in range(9)]
    u = it.unknown("u", *axes)
    with pytest.raises(ValueError, match="method='alternating'"):
        it.solve(it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(*axes) == 0]), method="tucker")
    x, y = (it.Axis(name, 0, 1, elements=8, periodic=True) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) - v * sympy.cos(2 * pi * x._sympy_())
    with pytest.raises(ValueError, match="zero mean"):
        it.solve(it.Problem(weak=weak, conditions=[]), method="tucker")


def test_one_seed_gives_the_same_bits() -> None:
    first, again = (it.solve(parametric_heat(), method="tucker", tolerance=1e-5, seed=2).model for _ in range(2))
    assert bool((first.core == again.core).all())


def test_the_system_is_not_touched() -> None:
    system = assemble(poisson(3))
    before = [own[0].band.copy() for own in system.matrices]
    tucker_galerkin.solve_tucker(system, tucker_galerkin.Plan(1e-4, 4))
    for own, kept in zip(system.matrices, before, strict=True):
        np.testing.assert_array_equal(own[0].band, kept)


@pytest.mark.parametrize("method", ["tucker", "direct"])
def test_exact_solutions_of_low_rank_are_known_to_be_exact(method: Any) -> None:
    """Differences of squared norms would see 1e-8 where nothing is left out."""
    x, y, k = (it.Axis(name, 0, 1, elements=8, s=2) for name in "xyk")
    u = it.unknown("u", x, y, k)
    exact = (1 + sympy.sympify(k)) * (sympy.sympify(x) ** 2 + sympy.sympify(y))
    strong = -it.laplacian(u) + u + 2 * (1 + sympy.sympify(k)) - exact
    problem = it.Problem(strong=strong, conditions=[u.on(x, y, k) == exact], exact=exact)
    answer = it.solve(problem, tolerance=1e-9, method=method)
    assert answer.status == "converged"
    assert answer.model.error(problem.exact) < 1e-9


def test_a_rank_bounds_direct_solutions_of_three_axes() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=8, s=2) for name in "xyz")
    u = it.unknown("u", x, y, z)
    source = sympy.exp(sympy.sympify(x) * sympy.sympify(y) * sympy.sympify(z))
    problem = it.Problem(strong=-it.laplacian(u) - source, conditions=[u.on(x, y, z) == 0])
    answer = it.solve(problem, rank=2, tolerance=1e-9, method="direct")
    assert (answer.status, answer.modes) == ("max_rank", 2)
    assert 1e-9 < answer.error_estimate.algebraic < 0.1


def test_two_coupled_axes_are_not_called_solved_in_truncated_subspaces() -> None:
    """The third axis has rank one, so updates of the others cannot find what the truncated CP modes miss."""
    x, y = it.Axis("x", 0, 1, elements=6, s=1), it.Axis("y", 0, 1, elements=7, s=1)
    z = it.Axis("z", 0, 1, elements=5, s=1, periodic=True)
    u = it.unknown("u", y, z, x)
    a, b = sympy.sympify(x), sympy.sympify(y)
    flow = 10.9 * it.diff(u, x) + 9 * it.diff(u, y) + 8.4 * it.diff(u, z)
    strong = -it.laplacian(u) - flow - (sin(2 * pi * b) + 1) * exp(a)
    problem = it.Problem(strong=strong, conditions=[u.on(x.start) == 0, u.on(y) == 0])
    answer = it.solve(problem, tolerance=1e-6, method="tucker")
    assert answer.status == "converged"
    assert error_against_dense(problem, answer) < 1e-6


def travelling(elements: int = 16) -> it.Problem:
    """A source that travels along x, and does not depend on y: many functions of x and t, one of y."""
    x, t = it.Axis("x", 0, 1, elements=elements), it.Axis("t", 0, 1, elements=elements, kind="time", s=2)
    y = it.Axis("y", 0, 1, elements=4, s=1)
    u, v = it.unknown("u", x, y, t), it.test_function()
    source = it.coefficient(lambda x, t: np.exp(-(((x - 0.2 - 0.6 * t) / 0.1) ** 2)), x, t)
    weak = v * it.dt(u) + 0.1 * it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0])


@pytest.mark.parametrize("goal", [1e-2, 1e-3])
def test_what_two_axes_both_miss_is_seen(goal: float) -> None:
    """Each axis has as many functions as the other one lets it have: updates alone find nothing missing."""
    problem = travelling()
    answer = it.solve(problem, method="tucker", tolerance=goal)
    true = error_against_dense(problem, answer)
    assert answer.status == "converged"
    assert true <= goal
    assert 0.5 < answer.error_estimate.algebraic / true < 20
