"""What couples several axes is separated numerically: its values, its rank, its error, and solutions with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.problems.canonical import canonical
from inntd.problems.canonical import full as product
from inntd.problems.cross import Cross
from inntd.problems.separate import SeparatedFunction
from inntd.problems.tabulated import Grid, Tabulated

AXES = tuple(it.Axis(name, 0, 1, elements=20) for name in "xyzw")
X, Y, Z, W = (axis._sympy_() for axis in AXES)

Array = np.ndarray


def load_of(expression: sympy.Expr, dimensions: int, **options: float) -> tuple[it.Problem, SeparatedFunction]:
    """Return a problem with a source, and the source as the solver gets it."""
    u, v = it.unknown("u", *AXES[:dimensions]), it.test_function()
    problem = it.Problem(weak=u * v - expression * v, **options)  # type: ignore[arg-type]
    terms = tuple((term.coefficient, tuple(form.weight for form in term.forms)) for term in problem.load)
    return problem, SeparatedFunction(problem.axes, terms)


FUNCTIONS: dict[str, tuple[sympy.Expr, Callable[..., Array], int]] = {
    "fraction": (1 / (1 + X + Y), lambda x, y: 1 / (1 + x + y), 8),
    "product": (sympy.exp(X * Y), lambda x, y: np.exp(x * y), 8),
    "ridge": (sympy.exp(-30 * (X - Y) ** 2), lambda x, y: np.exp(-30 * (x - y) ** 2), 24),
    "corner": (1 / (sympy.Rational(1, 100) + X + Y), lambda x, y: 1 / (0.01 + x + y), 20),
    "inner kink": (
        sympy.sqrt(1 + sympy.Abs(X - sympy.Rational(1, 3)) * Y),
        lambda x, y: np.sqrt(1 + abs(x - 1 / 3) * y),
        8,
    ),
    "three": (1 / (1 + X + Y + Z), lambda x, y, z: 1 / (1 + x + y + z), 20),
    "root of squares": (sympy.sqrt(1 + X**2 + Y**2 + Z**2), lambda x, y, z: np.sqrt(1 + x**2 + y**2 + z**2), 16),
    "four": (1 / (1 + X + Y + Z + W), lambda x, y, z, w: 1 / (1 + x + y + z + w), 40),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_values_ranks_and_errors(name: str, tolerance: float) -> None:
    expression, function, most = FUNCTIONS[name]
    dimensions = len(expression.free_symbols)
    problem, found = load_of(expression, dimensions, separation_tolerance=tolerance)
    p = np.random.default_rng(11).random((4000, dimensions))
    expected = function(*p.T)
    error = np.linalg.norm(found(p) - expected) / np.linalg.norm(expected)
    (separation,) = problem.separations
    assert error < 2 * tolerance
    assert separation.error <= tolerance
    assert error < 10 * separation.error + 1e-14  # the error reported is the error
    assert separation.rank == found.rank <= most


def test_only_the_smallest_factor_is_separated() -> None:
    problem, found = load_of(sympy.exp(X * Y + Z) * sympy.sin(Z) / (1 + W) + X * W, 4)
    (separation,) = problem.separations
    assert separation.expression == sympy.exp(X * Y)
    assert separation.axes == ("x", "y")
    assert found.rank == separation.rank + 1
    p = np.random.default_rng(1).random((100, 4))
    x, y, z, w = p.T
    np.testing.assert_allclose(found(p), np.exp(x * y + z) * np.sin(z) / (1 + w) + x * w, rtol=1e-7)


def test_factors_of_different_axes_are_separated_apart_and_sums_together() -> None:
    problem, _ = load_of(sympy.exp(X * Y) / (1 + Z + W), 4, separation_tolerance=1e-5)
    assert {separation.axes for separation in problem.separations} == {("x", "y"), ("z", "w")}
    problem, found = load_of(sympy.exp(X * Y) * X + sympy.exp(X * Y) * Y**2 + sympy.log(1 + X * Y), 2)
    assert len(problem.separations) == 1
    assert found.rank < 12


def test_a_jump_across_a_plane_inside_of_a_coupled_factor_is_resolved() -> None:
    wall = it.indicator(sympy.Rational(7, 19) < X)  # inside of an element
    _, found = load_of(sympy.exp(Y * X * wall), 2)
    p = np.random.default_rng(1).random((2000, 2))
    np.testing.assert_allclose(found(p), np.exp(p[:, 1] * p[:, 0] * (p[:, 0] > 7 / 19)), rtol=1e-6)


def test_a_product_that_cancels_is_exact() -> None:
    u, v = it.unknown("u", *AXES[:2]), it.test_function()
    k = sympy.exp(X * Y)
    problem = it.Problem(weak=it.dot(k * it.grad(u), it.grad(v) / k) - v)
    assert problem.separations == ()
    assert len(problem.operator) == 2


@pytest.mark.parametrize("form", ["weak", "strong", "expanded"])
def test_a_manufactured_solution_with_a_coupled_coefficient(form: str) -> None:
    x, y = AXES[:2]
    u, v = it.unknown("u", x, y), it.test_function()
    k, exact = 1 / (1 + X + Y), sympy.sin(sympy.pi * X) * sympy.exp(Y) * Y * (1 - Y)
    source = -it.div(k * it.grad(exact))
    stated = {
        "weak": {"weak": k * it.dot(it.grad(u), it.grad(v)) - source * v},
        "strong": {"strong": -it.div(k * it.grad(u)) - source},
        "expanded": {"strong": -it.diff(k * it.diff(u, x), x) - it.diff(k * it.diff(u, y), y) - source},
    }[form]
    problem = it.Problem(**stated, conditions=[u.on("boundary") == 0], exact=exact)
    answer = it.solve(problem, tolerance=1e-7)
    assert problem.exact is not None
    assert answer.status == "converged"
    assert answer.model.error(problem.exact) < 1e-7
    assert any("separated numerically" in note for note in answer.notes)


def test_a_coupled_coefficient_against_dense_two_dimensional_quadrature() -> None:
    x, y = (it.Axis(name, 0, 1, elements=6, s=1) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    problem = it.Problem(weak=sympy.exp(2 * X * Y) * it.dot(it.grad(u), it.grad(v)) + sympy.cos(X * Y) * u * v)
    dense = np.zeros((49, 49))
    for term in problem.operator:
        forms = [
            it.axes.matrix(a, f.trial, f.test, f.weight).toarray() for a, f in zip((x, y), term.forms, strict=True)
        ]
        dense += term.coefficient * np.kron(*forms)
    points, weights = it.axes.quadrature_points(x, 40)
    rows = np.zeros((2, points.size, x.size))
    for order in (0, 1):
        index, values = x.tabulate(points, order)
        np.put_along_axis(rows[order], index, values, axis=1)
    k = np.exp(2 * np.outer(points, points)) * np.outer(weights, weights)
    c = np.cos(np.outer(points, points)) * np.outer(weights, weights)
    expected = np.zeros((7, 7, 7, 7))
    for coefficient, a, b in ((k, rows[1], rows[0]), (k, rows[0], rows[1]), (c, rows[0], rows[0])):
        expected += np.einsum("pq,pi,pj,qk,ql->ikjl", coefficient, a, a, b, b, optimize=True)
    np.testing.assert_allclose(dense, expected.reshape(49, 49), atol=1e-7 * np.abs(expected).max())


def test_a_coefficient_that_couples_space_with_a_parameter() -> None:
    x, t = AXES[0], it.Axis("t", 0, 1, elements=12, kind="time")
    p = it.Axis("p", 0, 2, elements=12, kind="parameter")
    u, v = it.unknown("u", x, t, p), it.test_function()
    k = 1 / (1 + p * X**2)
    exact = t * (1 + p * X**2) * X * (1 - X)
    source = sympy.diff(exact, t._sympy_()) - sympy.diff(k * sympy.diff(exact, X), X)
    weak = v * it.dt(u) + k * it.dot(it.grad(u), it.grad(v)) - source * v
    problem = it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0], exact=exact)
    assert {separation.axes for separation in problem.separations} == {("x", "p")}
    answer = it.solve(problem, tolerance=1e-8)
    assert problem.exact is not None
    assert answer.model.error(problem.exact) < 1e-7


@pytest.mark.parametrize("dimensions", [5, 6])
def test_functions_of_many_axes(dimensions: int) -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(dimensions)]
    u, v = it.unknown("u", *axes), it.test_function()
    problem = it.Problem(weak=u * v - sympy.sqrt(1 + sum(axes)) * v, separation_tolerance=1e-5)
    terms = tuple((term.coefficient, tuple(form.weight for form in term.forms)) for term in problem.load)
    p = np.random.default_rng(1).random((1000, dimensions))
    np.testing.assert_allclose(SeparatedFunction(problem.axes, terms)(p), np.sqrt(1 + p.sum(axis=1)), rtol=1e-4)
    assert problem.separations[0].rank < 20


def test_boundary_values_that_couple_axes_on_a_face() -> None:
    axes = AXES[:3]
    u, exact = it.unknown("u", *axes), sympy.exp(X * Y * Z)
    problem = it.Problem(
        strong=it.laplacian(u) - it.laplacian(exact), conditions=[u.on("boundary") == exact], exact=exact
    )
    assert {separation.axes for separation in problem.separations} >= {("y", "z"), ("x", "z"), ("x", "y")}
    answer = it.solve(problem, tolerance=1e-6)
    p = np.random.default_rng(0).random((500, 3))
    np.testing.assert_allclose(answer.model(p).numpy(), np.exp(p.prod(axis=1)), atol=1e-6)


def test_a_tighter_tolerance_separates_again() -> None:
    problem, _ = load_of(1 / (1 + X + Y), 2, separation_tolerance=1e-3)
    assert problem.refined(1e-2) is problem
    tighter = problem.refined(1e-10)
    assert tighter.separations[0].error <= 1e-10 < problem.separations[0].error
    exact = load_of(1 / (1 + X + Y), 2, separation_tolerance=1e-13)[1]
    answer = it.solve(problem, tolerance=1e-9)  # the solution is the interpolant of the source
    p = np.random.default_rng(0).random((500, 2))
    np.testing.assert_allclose(answer.model(p).numpy(), exact(p), atol=1e-8)


def test_a_doubt_is_told_once() -> None:
    x, y = AXES[:2]
    u, v = it.unknown("u", x, y), it.test_function()
    k = sympy.exp(X * Y) - sympy.Rational(3, 2)  # negative where x y is small
    weak = k * it.dot(it.grad(u), it.grad(v)) - v
    with pytest.warns(UserWarning, match="coercivity") as said:
        problem = it.Problem(weak=weak, conditions=[u.on("boundary") == 0], separation_tolerance=1e-3)
    tighter = problem.refined(1e-8)  # a warning here would be an error
    assert len(said) == 1
    assert tighter.separations[0].error <= 1e-8


def test_a_face_integral_fixes_a_coordinate_of_a_coupled_factor() -> None:
    x, y = AXES[:2]
    u, v = it.unknown("u", x, y), it.test_function()
    problem = it.Problem(weak=it.dot(it.grad(u), it.grad(v)) - it.on(x.end, sympy.exp(X * Y) * v))
    (term,) = problem.load
    assert problem.separations == ()
    assert term.forms[0].place == "end"
    weight = term.forms[1].weight
    assert weight is not None
    np.testing.assert_allclose(term.coefficient * weight(np.array([0.0, 0.5])), np.exp([0.0, 0.5]), rtol=1e-14)


def test_too_many_terms_are_refused_and_may_be_allowed() -> None:
    ridge = sympy.exp(-300 * (X - Y) ** 2)
    with pytest.raises(ValueError, match=r"16 products, the most allowed, leave a relative error of .*separation_rank"):
        load_of(ridge, 2, separation_rank=16)
    problem, _ = load_of(ridge, 2, separation_rank=100)
    assert 16 < problem.separations[0].rank <= 100
    with pytest.raises(ValueError, match="separation_tolerance must be"):
        load_of(ridge, 2, separation_tolerance=0.0)


def test_a_discrete_axis_takes_part() -> None:
    x, c = AXES[0], it.Axis.discrete("n", 5, kind="parameter")
    u, v = it.unknown("u", x, c), it.test_function()
    n = c._sympy_()
    problem = it.Problem(weak=u * v - v * sympy.exp(-X * n**2))
    terms = tuple((term.coefficient, tuple(form.weight for form in term.forms)) for term in problem.load)
    points = np.stack([np.random.default_rng(0).random(50), np.arange(50) % 5], axis=1)
    found = SeparatedFunction(problem.axes, terms)(points)
    np.testing.assert_allclose(found, np.exp(-points[:, 0] * points[:, 1] ** 2), atol=1e-7)


@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 1000))
def test_arrays_of_low_rank_are_found(dimensions: int, rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    core = product([random.standard_normal((5, rank)) for _ in range(dimensions)])
    factors, limited = canonical(core, 1e-9, 40)
    np.testing.assert_allclose(product(factors), core, atol=1e-8 * np.abs(core).max())
    assert not limited
    assert factors[0].shape[1] <= 5 ** (dimensions - 1)


def test_the_limit_of_terms_is_kept() -> None:
    core = np.random.default_rng(0).standard_normal((6, 6, 6))
    factors, limited = canonical(core, 1e-9, 3)
    assert limited
    assert factors[0].shape == (6, 3)


@given(st.integers(1, 30), st.lists(st.floats(0.01, 0.99), max_size=3))
def test_a_tabulated_polynomial_of_degree_five_is_exact(elements: int, splits: list[float]) -> None:
    grid = Grid.of(it.Axis("x", 0, 1, elements=elements, grading=1.5), splits)
    f = Tabulated(grid, np.polyval([3, -1, 2, 0.5, -1, 1], grid.points))
    x = np.concatenate([np.random.default_rng(0).random(50), [0.0, 1.0], grid.edges])
    np.testing.assert_allclose(f(x), np.polyval([3, -1, 2, 0.5, -1, 1], x), rtol=0, atol=1e-12)
    assert np.isclose(grid.weights.sum(), 1.0)


def test_no_more_values_are_taken_than_needed() -> None:
    """Work is counted, not timed: a smooth function of two long axes takes few of its values."""
    taken = 0

    def counted(points: Array) -> Array:
        nonlocal taken
        taken += len(points)
        return 1 / (1 + points.sum(axis=1))

    grids = [Grid.of(it.Axis(name, 0, 1, elements=1000)) for name in "xy"]
    begin = time.process_time()
    found = Cross(counted, grids, 1e-8, 64).run()
    assert found.error < 1e-8
    assert taken < 0.06 * grids[0].points.size ** 2
    assert time.process_time() - begin < 30  # seconds: 0.1 here
