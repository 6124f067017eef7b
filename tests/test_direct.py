"""The direct routes: each way of solving against dense Kronecker systems, what they keep, and where they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from routes import bump, dense_solution, error_against_dense, helmholtz, relative_l2, rotating
from sympy import cos, exp, pi

import inntd as it
from inntd.solvers import direct
from inntd.solvers.alternating import Plan
from inntd.solvers.compress import truncated_matrix, truncated_tensor
from inntd.solvers.free import free_system
from inntd.solvers.operator import assemble


def axes(elements: int = 14, **options: Any) -> tuple[it.Axis, it.Axis]:
    return it.Axis("x", 0, 1, elements=elements, **options), it.Axis("y", 0, 1, elements=elements + 3, s=2)


def stated(weak: Any, u: Any, *faces: Any) -> it.Problem:
    return it.Problem(weak=weak, conditions=[u.on(*faces) == 0])


def indefinite() -> it.Problem:
    return helmholtz(200.0, 18)


def heat() -> it.Problem:
    x, t = it.Axis("x", 0, 1, elements=16), it.Axis("t", 0, 0.3, elements=12, kind="time", s=1)
    u, v = it.unknown("u", x, t), it.test_function()
    source = exp(-20 * (x._sympy_() - t._sympy_()) ** 2)
    expanded = sympy.series(source, x._sympy_(), 0, 4).removeO()
    weak = v * it.dt(u) + it.dot(it.grad(v), it.grad(u)) - v * sympy.expand(expanded)
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0])


def convection() -> it.Problem:
    x, y = axes()
    u, v = it.unknown("u", x, y), it.test_function()
    weak = 0.05 * it.dot(it.grad(v), it.grad(u)) + v * (it.diff(u, x) + 2 * it.diff(u, y)) + 3 * u * v - v * bump(x, y)
    return stated(weak, u, x, y)


def weighted() -> it.Problem:
    """Both of x's matrices are weighted: neither is the mass."""
    x, y = axes()
    a = 1 + x._sympy_() ** 2
    u, v = it.unknown("u", x, y), it.test_function()
    return stated(a * it.dot(it.grad(v), it.grad(u)) - v * bump(x, y), u, x, y)


def three_matrices() -> it.Problem:
    x, y = axes()
    u, v = it.unknown("u", x, y), it.test_function()
    return stated(it.dot(it.grad(v), it.grad(u)) + 40 * x._sympy_() * u * v - v * bump(x, y), u, x, y)


def periodic() -> it.Problem:
    x, y = axes(20, periodic=True)
    u, v = it.unknown("u", x, y), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) + 5 * v * it.diff(u, x) - v * (1 + cos(2 * pi * x._sympy_()) * y._sympy_())
    return stated(weak, u, y)


PROBLEMS = {
    "spectral": indefinite,
    "banded": heat,
    "schur": convection,
    "sparse": lambda: rotating(300.0, 14),
}


@pytest.mark.filterwarnings("ignore::inntd.StabilityWarning")  # layers are thinner than these small meshes
@pytest.mark.parametrize("way", PROBLEMS)
def test_each_way_agrees_with_a_dense_solve(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "schur":
        monkeypatch.setattr(direct, "LARGEST_SPARSE", 0)  # so small a system is sooner solved by elimination
    problem = PROBLEMS[way]()
    route = direct.direct_route(free_system(assemble(problem)))
    assert route is not None
    assert route.way == way
    answer = it.solve(problem, method="direct", tolerance=1e-11)
    assert answer.status == "converged"
    assert error_against_dense(problem, answer) < 1e-10


@pytest.mark.parametrize("problem", [weighted, three_matrices, periodic, indefinite])
@pytest.mark.parametrize("way", ["spectral", "banded", "sparse"])
def test_all_ways_that_apply_give_the_same(problem: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = problem()
    free = free_system(assemble(stated))
    plain = [d for d in range(2) if not direct._diagonalisable(free, d)]
    if len(plain) > {"spectral": 0, "banded": 1, "sparse": 2}[way]:
        pytest.skip("an axis cannot be diagonalised")
    axis = (plain or [1])[0] if way == "banded" else None
    monkeypatch.setattr(direct, "direct_route", lambda *_: direct.Route(way, axis, 0.0))  # type: ignore[arg-type]
    answer = it.solve(stated, method="direct", tolerance=1e-11)
    assert error_against_dense(stated, answer) < 1e-10


def test_three_axes_make_a_tucker_core() -> None:
    problem = helmholtz(90.0, 9, dimension=3, s=2)
    outcome = direct.solve_direct(assemble(problem), Plan(1e-9, 200))
    assert outcome.status == "converged"
    assert outcome.core is not None
    values = np.pad(np.einsum("abc,ia,jb,kc->ijk", outcome.core, *outcome.factors), 1)
    assert relative_l2(problem, values, dense_solution(problem)) < 1e-9


def test_the_estimate_is_the_norm_of_what_is_left_out() -> None:
    problem = indefinite()
    exact = it.solve(problem, method="direct", tolerance=1e-13).model
    for rank in (1, 3, 6):
        answer = it.solve(problem, method="direct", rank=rank)
        assert answer.modes == rank
        distance = float(answer.model.relative_distance(exact))
        assert answer.error_estimate.algebraic == pytest.approx(distance, rel=1e-3)


def test_a_tolerance_is_kept_with_few_modes() -> None:
    problem = indefinite()
    exact = it.solve(problem, method="direct", tolerance=1e-13).model
    loose, tight = (it.solve(problem, method="direct", tolerance=goal) for goal in (1e-2, 1e-6))
    assert loose.modes < tight.modes
    assert float(loose.model.relative_distance(exact)) <= 1e-2
    assert float(tight.model.relative_distance(exact)) <= 1e-6


def test_too_low_a_rank_is_a_status() -> None:
    answer = it.solve(indefinite(), method="direct", rank=2, tolerance=1e-8)
    assert answer.status == "max_rank"
    assert "raise rank" in answer.message


def test_boundary_values_and_natural_faces() -> None:
    x, y = it.Axis("x", 0, 1, elements=24), it.Axis("y", 0, 1, elements=24)
    exact = sympy.sympify(x) ** 2 * cos(pi * sympy.sympify(y))
    u = it.unknown("u", x, y)
    source = -sympy.diff(exact, x._sympy_(), 2) - sympy.diff(exact, y._sympy_(), 2) - 150 * exact
    problem = it.Problem(
        strong=-it.laplacian(u) - 150 * u - source,
        conditions=[u.on(x.start) == 0, u.on(x.end) == cos(pi * y._sympy_())],
        exact=exact,
    )
    answer = it.solve(problem, tolerance=1e-10)
    assert float(answer.model.error(problem.exact)) < 1e-8
    assert any("directly" in note for note in answer.notes)


def test_only_natural_boundaries_have_a_zero_mean() -> None:
    x, y = (it.Axis(name, 0, 1, elements=20, periodic=name == "x") for name in "xy")
    exact = cos(2 * pi * x._sympy_()) * cos(pi * y._sympy_()) + cos(3 * pi * y._sympy_())
    u, v = it.unknown("u", x, y), it.test_function()
    source = -sympy.diff(exact, x._sympy_(), 2) - sympy.diff(exact, y._sympy_(), 2)
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=[], exact=exact)
    answer = it.solve(problem, method="direct", tolerance=1e-10)
    assert answer.status == "converged"
    assert float(answer.model.error(problem.exact)) < 1e-4


@pytest.mark.parametrize("elements", [10, 21])
def test_resonance_is_reported(elements: int) -> None:
    x, y = (it.Axis(name, 0, 1, elements=elements) for name in "xy")
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=-it.laplacian(u) - 2 * pi**2 * u - 1, conditions=[u.on(x, y) == 0])
    answer = it.solve(problem, method="direct")
    assert answer.status == "diverged"
    assert "singular" in answer.message


def test_no_source_gives_zero() -> None:
    x, y = axes()
    u = it.unknown("u", x, y)
    answer = it.solve(it.Problem(strong=-it.laplacian(u), conditions=[u.on(x, y) == 0]), method="direct")
    assert answer.status == "converged"
    assert float(answer.model.norm()) == 0.0


def test_long_coupled_axes_are_refused_with_a_remedy() -> None:
    box = [it.Axis(name, 0, 1, elements=200) for name in "xyz"]
    u, v = it.unknown("u", *box), it.test_function()
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(*box) == 0])
    with pytest.raises(ValueError, match="method='auto'"):
        it.solve(problem, method="direct")


def test_auto_takes_the_direct_way_only_where_it_pays() -> None:
    x, y = (it.Axis(name, 0, 1, elements=40) for name in "xy")
    u = it.unknown("u", x, y)
    smooth = it.solve(it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(x, y) == 0]), tolerance=1e-4)
    assert smooth.route == "alternating"
    assert not any("directly" in note for note in smooth.notes)
    narrow = sum(bump(x, y, width=0.02 + 0.01 * i) for i in range(6))
    rough = it.solve(it.Problem(strong=-it.laplacian(u) - narrow, conditions=[u.on(x, y) == 0]), tolerance=1e-9)
    assert rough.status == "converged"
    assert rough.route == "direct"
    assert any("directly" in note for note in rough.notes)
    assert rough.modes > smooth.modes


def test_a_large_matrix_is_truncated_like_a_small_one() -> None:
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((400, 60)))[0] for _ in range(2))
    sizes = 10.0 ** -(np.arange(60) ** 1.0)
    matrix = (u * sizes) @ v.T
    (left, right), error = truncated_matrix(matrix, 1e-6, 60)
    assert left.shape[1] <= 8
    true = np.linalg.norm(left @ right.T - matrix) / np.linalg.norm(matrix)
    assert error == pytest.approx(true, rel=1e-3)
    (left, right), error = truncated_matrix(matrix, 0.0, 4)
    best = np.sqrt(np.sum(sizes[4:] ** 2) / np.sum(sizes**2))
    assert np.linalg.norm(left @ right.T - matrix) / np.linalg.norm(matrix) == pytest.approx(best, rel=1e-6)


def test_a_tensor_is_truncated_to_its_goal() -> None:
    x = np.linspace(0, 1, 12)
    tensor = 1 / (1 + x[:, None, None] + 2 * x[:, None] + 3 * x)
    core, factors, error = truncated_tensor(tensor, 1e-5, None)
    full = np.einsum("abc,ia,jb,kc->ijk", core, *factors)
    true = float(np.linalg.norm(full - tensor) / np.linalg.norm(tensor))
    assert error == pytest.approx(true, rel=1e-6)
    assert true <= 1e-5
    assert max(core.shape) < 8


@pytest.mark.parametrize("method", ["auto", "direct", "alternating", "tucker", "minimal_residual"])
def test_where_nothing_acts_the_solution_vanishes(method: Any) -> None:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=24, kind="time")
    u = it.unknown("u", x, t)
    heat = it.Problem(strong=it.dt(u) - it.laplacian(u), conditions=[u.on(x) == 0, u.on(t.start) == 0])
    answer = it.solve(heat, tolerance=1e-6, method=method)
    assert answer.status == "converged"
    assert answer.model.norm() == 0.0
