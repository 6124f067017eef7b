"""Errors of linear functionals by the adjoint problem, against dense and manufactured solutions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from routes import bump, nodal_values
from sympy import exp, pi, sin
from test_guarantee import dense_parts, line, number

import inntd as it
from inntd.axes.halving import halved
from inntd.models.cp_form import CPForm
from inntd.models.tucker_form import TuckerForm
from inntd.problems.refine import finer
from inntd.solvers import dual_residual
from inntd.solvers.affine import affine_problem
from inntd.solvers.goals import discrete_goal
from inntd.solvers.operator import assemble
from inntd.solvers.reduced_goals import reduced_goal
from inntd.solvers.residual_form import pairing

Array = np.ndarray[Any, np.dtype[np.float64]]


def blocks() -> it.Problem:
    x, y, a, b = line("x"), line("y"), number("a", 1, 9), number("b", 1, 9)
    u, v = it.unknown("u", x, y, a, b), it.test_function()
    k = a * it.indicator(x < 0.5) + b * it.indicator(x >= 0.5)
    conditions = [u.on(x.start) == 0, u.on(x.end) == y, u.on(y.start) == 0]
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=conditions)


def wind() -> it.Problem:
    x, y, a = line("x"), line("y"), number("a", 1, 3)
    u, v = it.unknown("u", x, y, a), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) + 5 * a * v * it.diff(u, x) - 3 * v * it.diff(u, y)
    return it.Problem(weak=weak - v * bump(x, y, width=0.2), conditions=[u.on(x, y) == 0])


def heat(elements: int = 10, s: int = 2) -> it.Problem:
    """The mean and the end of exp(-t) sin(pi x) / a, for all a."""
    x = it.Axis("x", 0, 1, elements=elements, s=s)
    t = it.Axis("t", 0, 1, elements=elements, s=s, kind="time")
    a = it.Axis("a", 1, 3, elements=elements, s=s, kind="parameter")
    u = it.unknown("u", x, t, a)
    exact = exp(-t._sympy_()) * sin(pi * x._sympy_()) / a
    source = exact * (a * pi**2 - 1)
    strong = it.dt(u) - a * it.laplacian(u) - source
    return it.Problem(strong=strong, conditions=[u.on(x) == 0, u.at(t=0) == exact.subs(t._sympy_(), 0)], exact=exact)


def moving() -> it.Problem:
    x, t = line("x", 12), line("t", 12, kind="time")
    u, v = it.unknown("u", x, t), it.test_function()
    source = exp(-40 * (x._sympy_() - t._sympy_() / 2 - sympy.Rational(1, 4)) ** 2)
    weak = v * it.dt(u) + it.dot(it.grad(v), it.grad(u)) / 10 - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == sin(pi * x._sympy_())])


def plate() -> it.Problem:
    """Elasticity: a vector."""
    c, x, y = it.Axis.discrete("c", 2), line("x", 6), line("y", 6)
    d, e = it.unknown("d", c, x, y), it.test_function("e")
    strain = it.sym(it.grad(d))
    stress = it.tr(strain) * it.identity() + 2 * strain
    weak = it.inner(it.sym(it.grad(e)), stress) - e[0] * bump(x, y, width=0.3) - it.on(x.end, e[1])
    return it.Problem(weak=weak, conditions=[d.on(x.start) == 0])


def indefinite() -> it.Problem:
    x, y = line("x", 10), line("y", 10)
    u = it.unknown("u", x, y)
    return it.Problem(strong=it.laplacian(u) + 120 * u - bump(x, y), conditions=[u.on(x, y) == 0])


GOALS: dict[str, tuple[Callable[[], it.Problem], list[it.Goal]]] = {
    "blocks": (blocks, [it.Goal(), it.Goal(x=0.4, y=0.6, a=2, b=5), it.Goal(x=(0.1, 0.35), a=1)]),
    "wind": (wind, [it.Goal(), it.Goal(x=0.75, y=0.5, a=3), it.Goal(y=(0.5, 1))]),
    "heat": (heat, [it.Goal(t=1, a=2), it.Goal(x=0.3, t=0.5, a=1.3), it.Goal(t=(0.5, 1))]),
    "moving": (moving, [it.Goal(t=1), it.Goal(x=0.6, t=0.7), it.Goal(weight=sympy.Symbol("x", real=True) ** 2, t=1)]),
    "plate": (plate, [it.Goal(c=1, x=1), it.Goal(c=0, x=0.5, y=0.5)]),
    "indefinite": (indefinite, [it.Goal(x=0.5, y=0.5), it.Goal(x=(0, 0.5))]),
}
CASES = [(name, k) for name, (_, goals) in GOALS.items() for k in range(len(goals))]


@functools.lru_cache
def problem_named(name: str) -> it.Problem:
    return GOALS[name][0]()


@functools.lru_cache
def dense(name: str) -> Array:
    return dense_parts(assemble(problem_named(name)))[2]


def functional(problem: it.Problem, goal: it.Goal, values: Array) -> float:
    """A goal of nodal values, by dense contractions."""
    found = discrete_goal(problem, goal)
    total = 0.0
    for r, weight in enumerate(found.weights):
        part = values
        for column in found.vectors:
            part = np.tensordot(column[:, r], part, axes=(0, 0))
        total += weight * float(part)
    return total


# ------------------------------------------------------------------------------------------------- the algebraic error


@pytest.mark.parametrize(("name", "k"), CASES)
def test_the_residual_tells_the_error_of_the_functional(name: str, k: int) -> None:
    problem, goal = problem_named(name), GOALS[name][1][k]
    answer = it.solve(problem, rank=3, method="alternating" if name != "indefinite" else "direct")
    found = it.goal_error(problem, answer, goal, tolerance=1e-5)
    exact = functional(problem, goal, dense(name))
    assert found.value == pytest.approx(functional(problem, goal, nodal_values(answer.model)), abs=1e-12)
    assert found.error == found.algebraic
    assert abs(found.corrected - exact) < 0.02 * abs(found.value - exact) + 1e-11
    assert (found.bound is None) == (name in ("plate", "indefinite"))
    if found.bound is not None:
        assert abs(found.corrected - exact) <= found.bound + 1e-12


@pytest.mark.parametrize("name", ["blocks", "wind", "moving"])
def test_a_rough_adjoint_is_within_the_bound(name: str) -> None:
    problem = problem_named(name)
    for goal in GOALS[name][1]:
        exact = functional(problem, goal, dense(name))
        for rank, tolerance in ((1, 0.5), (4, 0.1)):
            found = it.goal_error(problem, it.solve(problem, rank=rank, method="alternating"), goal,
                                  tolerance=tolerance)  # fmt: skip
            assert found.bound is not None
            assert abs(found.corrected - exact) <= found.bound


@pytest.mark.parametrize(("name", "best"), [("blocks", 4), ("wind", 6), ("heat", 6)])
def test_the_corrected_value_converges_twice_as_fast(name: str, best: int) -> None:
    problem, goal = problem_named(name), GOALS[name][1][0]
    exact, solution = functional(problem, goal, dense(name)), dense(name)
    errors, corrected, bounds = [], [], []
    for k in range(1, best + 1):
        answer = it.solve(problem, tolerance=10.0**-k, method="alternating")
        found = it.goal_error(problem, answer, goal, tolerance=10.0**-k)
        assert found.bound is not None
        errors.append(float(np.linalg.norm(nodal_values(answer.model) - solution)))
        corrected.append(abs(found.corrected - exact))
        bounds.append(found.bound)
    assert np.polyfit(np.log(errors), np.log(corrected), 1)[0] > 1.8
    assert np.polyfit(np.log(errors), np.log(bounds), 1)[0] > 1.6


def test_tucker_answers_and_sums_of_products_agree() -> None:
    problem, goal = problem_named("blocks"), GOALS["blocks"][1][1]
    model = it.solve(problem, rank=3, method="alternating").model
    cp, tucker = it.goal_error(problem, model, goal), it.goal_error(problem, model.to_tucker(), goal)
    assert tucker.value == pytest.approx(cp.value, rel=1e-10)
    assert tucker.algebraic == pytest.approx(cp.algebraic, rel=1e-6)
    assert tucker.bound == pytest.approx(cp.bound, rel=1e-4)


def test_pairings_are_those_of_the_full_tensors() -> None:
    rng = np.random.default_rng(0)
    shape, forms = (4, 5, 3), []
    for ranks in ((2, 3, 2), (3, 2, 2)):
        factors = [rng.standard_normal((n, r)) for n, r in zip(shape, ranks, strict=True)]
        forms.append(TuckerForm((), factors, rng.standard_normal(ranks)))
        forms.append(CPForm((), [rng.standard_normal((n, ranks[0])) for n in shape]))
    for one in forms:
        for other in forms:
            full = []
            for form in (one, other):
                tensor, exponent = form.dense(form.factors)
                full.append(np.ldexp(tensor, exponent))
            assert pairing(one, other) == pytest.approx(float(np.sum(full[0] * full[1])), rel=1e-12)


# --------------------------------------------------------------------------------------------------- the mesh's error


@pytest.mark.parametrize("goal", [it.Goal(t=1, a=2), it.Goal(x=0.3, t=0.7, a=1.3), it.Goal(t=(0.5, 1))])
def test_the_error_of_the_mesh_is_found_and_corrected(goal: it.Goal) -> None:
    errors, left = [], []
    for elements in (6, 12):
        problem = heat(elements, 1)
        answer = it.solve(problem, tolerance=1e-10)
        found = it.goal_error(problem, answer, goal, mesh=True, tolerance=1e-6)
        places = goal.places
        t = places.get("t")
        x_part = np.sin(np.pi * 0.3) if "x" in places else 2 / np.pi
        t_part = np.exp(-t) if isinstance(t, float) else 2 * (np.exp(-0.5) - np.exp(-1))
        a_part = 1 / places["a"] if "a" in places else np.log(3) / 2  # type: ignore[operator]
        exact = x_part * t_part * a_part
        assert 0.8 < found.error / (exact - found.value) < 1.25
        errors.append(abs(found.value - exact))
        left.append(abs(found.corrected - exact))
    assert errors[1] < errors[0]
    assert left[1] < 0.3 * left[0]


def test_both_parts_are_told_apart() -> None:
    problem, goal = heat(8, 1), it.Goal(x=0.5, t=0.5, a=2)
    good, few = it.solve(problem, tolerance=1e-10), it.solve(problem, rank=1, method="alternating")
    fine, coarse = (it.goal_error(problem, answer, goal, mesh=True, tolerance=1e-5) for answer in (good, few))
    assert fine.discretisation is not None
    assert coarse.discretisation == pytest.approx(fine.discretisation, rel=0.05)
    assert abs(fine.algebraic) < 1e-4 * abs(fine.discretisation)
    assert abs(coarse.algebraic) > abs(fine.algebraic)
    exact = float(np.exp(-0.5) / 2)
    assert 0.8 < coarse.error / (exact - coarse.value) < 1.25


def test_halved_axes_hold_all_nodes() -> None:
    axes = [
        it.Axis("x", 0, 2, elements=7, grading=2),
        it.Axis("y", nodes=[0, 0.1, 0.3, 1.0], s=1),
        it.Axis("z", 0, 1, elements=8, breaks=[0.5], s=1),
        it.Axis("p", 0, 1, elements=8, periodic=True),
    ]
    axes.append(it.Axis("q", 0, 1, elements=5, s=[1, 2, 1, 1, 2, 1]))
    for axis in axes:
        half = halved(axis)
        assert half.elements == 2 * axis.elements
        assert np.abs(half.nodes[:, None] - axis.nodes).min(axis=0).max() < 0.5 * np.diff(axis.nodes).min()
        assert half.breaks == axis.breaks
        assert (half.periodic, half.kind, half.domain) == (axis.periodic, axis.kind, axis.domain)
    assert halved(it.Axis.discrete("c", 3)).size == 3


def test_a_finer_problem_is_the_same_problem() -> None:
    problem = heat(6)
    fine = finer(problem)
    assert fine.operator is problem.operator
    assert [axis.elements for axis in problem.axes] == [6] * 3  # it is left as it was
    coarse = it.solve(problem, tolerance=1e-9).model.error(problem.exact)
    assert it.solve(fine, tolerance=1e-9).model.error(problem.exact) < 0.2 * coarse


def test_answers_on_other_meshes_of_the_axes_are_taken() -> None:
    problem, fine, goal = heat(6, 1), heat(9, 2), it.Goal(t=1, a=2)
    answer = it.solve(fine, rank=2, method="alternating")
    found, expected = it.goal_error(problem, answer, goal), it.goal_error(fine, answer, goal)
    assert found.corrected == pytest.approx(expected.corrected, rel=1e-12)
    assert it.error_bound(problem, answer).l2 == pytest.approx(it.error_bound(fine, answer).l2, rel=1e-9)
    with pytest.raises(ValueError, match="over its axes x, t, a"):
        it.error_bound(problem, it.solve(problem_named("wind"), rank=1))
    with pytest.raises(ValueError, match="over its axes x, t, a"):
        it.goal_error(problem, it.solve(problem_named("wind"), rank=1), goal)


# ------------------------------------------------------------------------------------------------------------- goals


def test_goals_are_means_and_values_of_models() -> None:
    problem = problem_named("blocks")
    model = it.solve(problem, rank=4, method="alternating").model
    values = nodal_values(model)
    assert functional(problem, it.Goal(), values) == pytest.approx(model.mean(), rel=1e-12)
    point = {"x": 0.41, "y": 0.3, "a": 2.2, "b": 7.0}
    assert functional(problem, it.Goal(point), values) == pytest.approx(model.at(point), rel=1e-12)
    assert functional(problem, it.Goal(x=0.2, a=3), values) == pytest.approx(model.at(x=0.2, a=3).mean(), rel=1e-12)
    places, weights = np.polynomial.legendre.leggauss(40)
    x = 0.3 + 0.15 * places
    line_values = np.asarray(model.at(y=0.4, a=1, b=2)(x[:, None]))
    weighted = float((weights * line_values * np.sin(x)).sum() / 2)
    found = functional(
        problem, it.Goal(x=(0.15, 0.45), y=0.4, a=1, b=2, weight=sin(sympy.Symbol("x", real=True))), values
    )
    assert found == pytest.approx(weighted, rel=1e-3)  # the rule does not know of the nodes inside


def test_a_weight_at_a_point_multiplies_the_value() -> None:
    problem = problem_named("wind")
    model = it.solve(problem, rank=4, method="alternating").model
    x, a = problem.axes[0], problem.axes[2]
    goal = it.Goal(x=0.5, y=0.25, a=2, weight=x * a + 1)
    assert functional(problem, goal, nodal_values(model)) == pytest.approx(2 * model.at(x=0.5, y=0.25, a=2), rel=1e-12)


def test_errors_at_points() -> None:
    problem = problem_named("moving")
    answer = it.solve(problem, rank=3, method="alternating")
    points = np.array([[0.5, 1.0], [0.3, 0.4]])
    full = it.CPModel.from_factors(problem.axes, _as_factors(dense("moving")))
    found = it.error_at(problem, answer, points, tolerance=1e-5)
    for one, exact, value in zip(found, full(points).tolist(), answer.model(points).tolist(), strict=True):
        assert one.value == pytest.approx(value, rel=1e-12)
        assert one.error == pytest.approx(exact - value, rel=0.02)


def _as_factors(values: Array) -> list[Array]:
    left, sizes, right = np.linalg.svd(values)
    return [left[:, : len(sizes)] * sizes, right[: len(sizes)].T]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: it.goal_error(problem_named("wind"), _zero("wind"), it.Goal(z=1)), "axes of the problem"),
        (lambda: it.goal_error(problem_named("wind"), _zero("wind"), it.Goal(x=(0.5, 2))), "range inside"),
        (lambda: it.goal_error(problem_named("wind"), _zero("wind"), it.Goal(x=2)), "x"),
        (lambda: it.goal_error(problem_named("plate"), _zero("plate"), it.Goal(x=0.5)), "name the component"),
        (lambda: it.goal_error(problem_named("plate"), _zero("plate"), it.Goal(c=(0, 1))), "not a range"),
        (lambda: it.Goal(x=(1, 0)), "from a smaller to a larger"),
        (lambda: it.Goal(x=(1, 0, 3)), "pair for a range"),
        (lambda: it.error_at(problem_named("wind"), _zero("wind"), [0.5, 0.5, 1]), r"shape \(K, 3\)"),
    ],
)
def test_goals_that_do_not_fit_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_adjoint_that_did_not_converge_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_named("blocks")
    answer = it.solve(problem, rank=3, method="alternating")
    monkeypatch.setattr(dual_residual, "MOST_MODES", 1)
    found = it.goal_error(problem, answer, it.Goal(x=0.4, a=2))
    assert found.adjoint == "max_rank"
    assert "ended as max_rank" in str(found)
    exact = functional(problem, it.Goal(x=0.4, a=2), dense("blocks"))
    assert found.bound is not None
    assert abs(found.corrected - exact) <= found.bound


def test_goals_are_linear_and_named_once() -> None:
    x = line("x")
    with pytest.raises(ValueError, match="goals are linear"):
        it.Goal(weight=it.unknown("u", x))
    with pytest.raises(TypeError, match="given once"):
        it.Goal({"x": 1}, x=2)
    with pytest.raises(TypeError, match=r"inntd\.Goal"):
        it.goal_error(problem_named("wind"), _zero("wind"), 3)  # type: ignore[arg-type]


def test_a_solution_up_to_a_constant_has_no_adjoint() -> None:
    x, y = line("x"), line("y")
    u, v = it.unknown("u", x, y), it.test_function()
    source = sympy.cos(pi * x) * sympy.cos(pi * y)
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source)
    with pytest.raises(ValueError, match="leave a constant open"):
        it.goal_error(problem, it.CPModel(problem.axes, 1), it.Goal(x=0.5))


def _zero(name: str) -> it.CPModel:
    axes = problem_named(name).axes
    return it.CPModel.from_factors(axes, [np.zeros((axis.size, 1)) for axis in axes])


# ------------------------------------------------------------------------------------------------------ reduced models


def thermal(flux: bool = True) -> it.Problem:
    """Three blocks, two with conductivities from 0.1 to 10; a given value that is not zero, or none."""
    x, y = line("x"), line("y")
    z, w = (it.Axis(name, -1, 1, elements=8, kind="parameter") for name in "zw")
    u, v = it.unknown("u", x, y, z, w), it.test_function()
    k = (10 ** z._sympy_() * it.indicator(x < 0.5) + 10 ** w._sympy_() * it.indicator(x >= 0.5)) * it.indicator(
        y < 0.5
    ) + it.indicator(y >= 0.5)
    conditions = [u.on(x.start) == 0, *([u.on(x.end) == y] if flux else [])]
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=conditions)


def drift() -> it.Problem:
    x, y, m = line("x"), line("y"), it.Axis("m", 0, 1, elements=8, kind="parameter")
    u, v = it.unknown("u", x, y, m), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) + v * (12 * m * it.diff(u, x) + 8 * it.diff(u, y)) - v
    return it.Problem(weak=weak, conditions=[u.on(x, y) == 0])


def reaction() -> it.Problem:
    x, k = line("x", 16), it.Axis("k", -8, 8, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    return it.Problem(weak=it.diff(v, x) * it.diff(u, x) + k * u * v - v, conditions=[u.on(x) == 0])


def full_value(problem: it.Problem, goal: it.Goal, merged: list[str], point: dict[str, float]) -> float:
    """The goal of the full solution at one parameter, by dense matrices and the merged part of the functional."""
    positions = tuple(d for d, axis in enumerate(problem.axes) if axis.name in merged)
    affine = affine_problem(problem, positions, 1e-12)
    theta = affine.products.at([point[axis.name] for axis in problem.axes if axis.name not in merged])
    q, r = affine.terms, affine.space.load.shape[1]
    operator = sum(factor * affine.space.apply(k, np.eye(affine.space.size)) for k, factor in enumerate(theta[:q]))
    full = affine.lifted @ theta[q + r :]
    full[affine.free] += np.linalg.solve(operator, affine.space.load @ theta[q : q + r])
    found = discrete_goal(problem, goal)
    vectors = [found.vectors[d] for d in positions]
    return sum(
        weight * float(functools.reduce(np.kron, [own[:, k] for own in vectors]) @ full)
        for k, weight in enumerate(found.weights)
    )


REDUCED: dict[str, tuple[Callable[[], it.Problem], list[str], it.Goal]] = {
    "thermal": (thermal, ["x", "y"], it.Goal(x=(0.5, 1))),
    "thermal at a point": (thermal, ["x", "y"], it.Goal(x=0.3, y=0.4)),
    "drift": (drift, ["x", "y"], it.Goal(x=0.75, y=(0.25, 0.75))),
    "reaction": (reaction, ["x"], it.Goal(x=0.4)),
}


@pytest.mark.parametrize("name", REDUCED)
def test_goals_of_reduced_models_are_within_their_bounds(name: str) -> None:
    make, merged, goal = REDUCED[name]
    problem = make()
    model = it.solve(problem, method="reduced_basis", rank=4, seed=1).model
    rough, good = (reduced_goal(problem, model, goal, tolerance=tolerance) for tolerance in (0.2, 1e-4))
    rng = np.random.default_rng(2)
    plain, left = [], []
    for _ in range(6):
        point = {axis.name: float(rng.uniform(*axis.domain)) for axis in model.parameter_axes}
        exact = full_value(problem, goal, merged, point)
        for found in (rough.at(point), good.at(point)):
            assert found.bound is not None
            assert abs(found.corrected - exact) <= found.bound + 1e-13
        plain.append(abs(found.value - exact))
        left.append(abs(found.corrected - exact))
    assert max(left) < 0.01 * max(plain)
    held = it.goal_error(problem, model, it.Goal({**goal.places, **point}), tolerance=1e-4)
    assert held.corrected == pytest.approx(found.corrected, rel=1e-9)


def test_compliance_needs_no_adjoint_basis_and_converges_with_the_square() -> None:
    problem, goal = thermal(flux=False), it.Goal()
    point = {"z": 0.3, "w": -0.7}
    exact = full_value(problem, goal, ["x", "y"], point)
    energy, values = [], []
    for rank in (5, 7, 9, 11):
        model = it.solve(problem, method="reduced_basis", rank=rank).model
        found = reduced_goal(problem, model, goal)
        assert found.dual.size == model.rank
        one = found.at(point)
        assert abs(one.algebraic) < 1e-10 * abs(one.value)  # the residual sees nothing of its own functions
        assert one.bound is not None
        assert abs(one.value - exact) <= one.bound + 1e-13
        energy.append(model.error_bound(point))
        values.append(abs(one.value - exact))
    assert np.polyfit(np.log(energy), np.log(values), 1)[0] > 1.7


def test_parameters_that_are_not_held_are_averaged() -> None:
    problem = reaction()
    model = it.solve(problem, method="reduced_basis", tolerance=1e-9).model
    k = problem.axes[1]
    one = it.goal_error(problem, model, it.Goal(x=0.5, k=(0, 8)))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    exact = float(weights @ model.at(x=0.5).grid(k=4 + 4 * nodes).numpy()) / 2
    assert one.value == pytest.approx(exact, rel=1e-3)
    whole = it.goal_error(problem, model, it.Goal(x=0.5))
    assert whole.value == pytest.approx(model.at(x=0.5).mean(k), rel=1e-3)


def test_errors_at_points_of_reduced_models() -> None:
    problem = reaction()
    model = it.solve(problem, method="reduced_basis", rank=2).model
    (found,) = it.error_at(problem, model, [[0.5, -4.0]])
    exact = full_value(problem, it.Goal(x=0.5), ["x"], {"k": -4.0})
    assert found.bound is not None
    assert abs(found.corrected - exact) <= found.bound
    assert found.error == pytest.approx(exact - found.value, rel=0.01)


def test_what_reduced_goals_refuse() -> None:
    problem = reaction()
    model = it.solve(problem, method="reduced_basis", rank=2).model
    with pytest.raises(ValueError, match="mesh must be False"):
        it.goal_error(problem, model, it.Goal(), mesh=True)
    with pytest.raises(ValueError, match="function of the merged axes"):
        it.goal_error(problem, model, it.Goal(weight=problem.axes[1]))
    with pytest.raises(ValueError, match="must be given k"):
        reduced_goal(problem, model, it.Goal()).at()
    with pytest.raises(ValueError, match="one that the model is the solution of"):
        it.goal_error(drift(), model, it.Goal())
