"""The solver from problem to model: exact solutions, independent oracles, conditions, statuses and faults."""

from __future__ import annotations

import functools
import signal
import threading
from typing import Any

import numpy as np
import pytest
import sympy
from routes import dense_solution
from sympy import cos, exp, pi, sin

import inntd as it
from inntd.solvers import alternating, automatic, coordinates, direct, minimal_residual


def box(dimension: int, elements: int = 16, stop: float = 1.0, **options: Any) -> tuple[it.Axis, ...]:
    return tuple(it.Axis(f"x[{i}]", 0, stop, elements=elements, **options) for i in range(1, dimension + 1))


def poisson(axes: tuple[it.Axis, ...], exact: sympy.Expr, **options: Any) -> it.Problem:
    """-laplacian(u) = f with Dirichlet values and source from an exact solution."""
    u, v = it.unknown("u", *axes), it.test_function()
    symbols = [sympy.sympify(axis) for axis in axes]
    # Twice the first derivative: sympy's second derivative of a product of 100 factors takes minutes.
    source = -sum(sympy.diff(sympy.diff(exact, s), s) for s in symbols)
    weak = it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on("boundary") == exact], exact=exact, **options)


def sum_of_sines(axes: tuple[it.Axis, ...]) -> sympy.Expr:
    return sum(sin(pi * sympy.sympify(axis) / 2) for axis in axes)


def product_of_sines(axes: tuple[it.Axis, ...]) -> sympy.Expr:
    return sympy.prod(sin(pi * sympy.sympify(axis)) for axis in axes)


def true_error(answer: Any, problem: it.Problem) -> float:
    return float(answer.model.error(problem.exact))


@pytest.mark.parametrize("dimension", [2, 5, 10])
def test_sum_of_sines_with_boundary_values(dimension: int) -> None:
    axes = box(dimension, 31)
    problem = poisson(axes, sum_of_sines(axes))
    answer = it.solve(problem, tolerance=1e-10)
    assert answer.status == "converged"
    assert true_error(answer, problem) < 1e-9
    assert answer.modes <= dimension + 6


@pytest.mark.parametrize(("dimension", "s", "error"), [(2, 3, 1e-9), (10, 3, 2e-9), (10, 4, 1e-11), (60, 3, 1e-8)])
def test_product_of_sines_needs_one_mode(dimension: int, s: int, error: float) -> None:
    axes = box(dimension, 31, s=s)
    problem = poisson(axes, product_of_sines(axes))
    answer = it.solve(problem, tolerance=1e-10)
    assert answer.status == "converged"
    assert answer.modes == 1
    assert true_error(answer, problem) < error


@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_convergence_order_is_at_least_2s_plus_1(s: int) -> None:
    meshes = [10, 14, 20] if s > 2 else [12, 24, 48]
    errors = []
    for elements in meshes:
        axes = box(2, elements, s=s)
        problem = poisson(axes, sin(3 * sympy.sympify(axes[0])) * exp(sympy.sympify(axes[1])))
        errors.append(true_error(it.solve(problem, tolerance=1e-13, rank=12), problem))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(meshes))
    assert slopes[-1] < -(2 * s + 1) + 0.1


def test_bilinear_elements_agree_with_scikit_fem() -> None:
    """Linear bases on a tensor mesh span the bilinear elements: nodal values agree to the solver's tolerance."""
    skfem = pytest.importorskip("skfem")
    from skfem.models.poisson import laplace

    nodes_x, nodes_y = np.linspace(0, 1, 14) ** 1.3, np.linspace(0, 2, 11)
    x, y = it.Axis("x", nodes=nodes_x, basis=it.LinearBasis()), it.Axis("y", nodes=nodes_y, basis=it.LinearBasis())
    u, v = it.unknown("u", x, y), it.test_function()
    problem = it.Problem(
        weak=it.dot(it.grad(v), it.grad(u)) - v * (1 + x * y),
        conditions=[u.on(x.start, y.end) == 1 + sympy.sympify(x) * (2 - sympy.sympify(y))],
    )
    values = it.solve(problem, tolerance=1e-11).model.grid(x=nodes_x, y=nodes_y)

    basis = skfem.Basis(skfem.MeshQuad.init_tensor(nodes_x, nodes_y), skfem.ElementQuad1(), intorder=6)
    load = skfem.LinearForm(lambda w_test, w: (1 + w.x[0] * w.x[1]) * w_test).assemble(basis)
    px, py = basis.doflocs
    fixed = np.flatnonzero((px == 0.0) | (py == 2.0))
    expected = skfem.solve(*skfem.condense(laplace.assemble(basis), load, D=fixed, x=1 + px * (2 - py)))
    ours = np.asarray(values)[np.searchsorted(nodes_x, px), np.searchsorted(nodes_y, py)]
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_natural_boundaries_beside_dirichlet_faces() -> None:
    x, y = it.Axis("x", 0, 1, elements=20), it.Axis("y", 0, 1, elements=20)
    exact = sympy.sympify(x) ** 2 * cos(pi * sympy.sympify(y))
    u = it.unknown("u", x, y)
    source = -sympy.diff(exact, x._sympy_(), 2) - sympy.diff(exact, y._sympy_(), 2)
    problem = it.Problem(
        strong=-it.laplacian(u) - source,
        conditions=[u.on(x.start) == 0, u.on(x.end) == cos(pi * y._sympy_())],
        exact=exact,
    )
    answer = it.solve(problem, tolerance=1e-9)
    assert true_error(answer, problem) < 1e-8


def test_three_conditions_that_meet_at_edges() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=8) for name in "xyz")
    a, b, c = (sympy.sympify(axis) for axis in (x, y, z))
    exact = (1 + a) * (2 - b) + c**2 * a
    u, v = it.unknown("u", x, y, z), it.test_function()
    source = -sum(sympy.diff(exact, s, 2) for s in (a, b, c))
    faces = [u.on(x) == exact, u.on(y.start) == exact.subs(b, 0), u.on(y.end, z) == exact]
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=faces, exact=exact)
    assert true_error(it.solve(problem, tolerance=1e-11), problem) < 1e-10


def test_boundary_values_hold_at_every_boundary_node() -> None:
    axes = box(3, 10)
    exact = sum_of_sines(axes)
    model = it.solve(poisson(axes, exact), tolerance=1e-4).model
    rng = np.random.default_rng(0)
    points = rng.choice(axes[0].nodes, size=(200, 3))
    points[np.arange(200), rng.integers(0, 3, 200)] = rng.integers(0, 2, 200)
    np.testing.assert_allclose(np.asarray(model(points)), np.sin(np.pi * points / 2).sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("elements", [24, 200])
def test_periodic_axis(elements: int) -> None:
    """Short periodic axes are diagonalised, long ones folded into a plain band."""
    x = it.Axis("x", 0, 1, elements=elements, periodic=True)
    y = it.Axis("y", 0, 1, elements=20)
    exact = exp(sin(2 * pi * x._sympy_())) * sin(pi * y._sympy_())
    u, v = it.unknown("u", x, y), it.test_function()
    source = -sympy.diff(exact, x._sympy_(), 2) - sympy.diff(exact, y._sympy_(), 2)
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=[u.on(y) == 0], exact=exact)
    assert true_error(it.solve(problem, tolerance=1e-9), problem) < 1e-5


def test_all_periodic_is_fixed_by_a_zero_mean() -> None:
    x, y = (it.Axis(name, 0, 1, elements=24, periodic=True) for name in "xy")
    exact = cos(2 * pi * x._sympy_()) * sin(4 * pi * y._sympy_()) + sin(2 * pi * x._sympy_())
    u, v = it.unknown("u", x, y), it.test_function()
    source = -sympy.diff(exact, x._sympy_(), 2) - sympy.diff(exact, y._sympy_(), 2)
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=[], exact=exact)
    answer = it.solve(problem, tolerance=1e-9)
    assert any("zero mean" in note for note in answer.notes)
    assert abs(float(answer.model.mean("x", "y"))) < 1e-12
    assert true_error(answer, problem) < 1e-5


def test_a_source_without_balance_is_refused() -> None:
    x, y = (it.Axis(name, 0, 1, elements=8) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * (1 + x), conditions=[])
    with pytest.raises(ValueError, match="zero mean"):
        it.solve(problem)


def test_an_undetermined_axis_is_refused() -> None:
    x, y = (it.Axis(name, 0, 1, elements=8) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    with pytest.raises(ValueError, match="undetermined: every term differentiates along 'x'"):
        it.Problem(weak=it.diff(v, x) * it.diff(u, x) - v * cos(pi * x._sympy_()))


@pytest.mark.parametrize("largest", [0, 1000])
def test_banded_and_diagonal_axes_give_the_same_answer(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinates, "LARGEST_DENSE_AXIS", largest)
    axes = box(3, 31)
    problem = poisson(axes, sum_of_sines(axes))
    answer = it.solve(problem, tolerance=1e-10)
    assert answer.status == "converged"
    assert true_error(answer, problem) < 1e-9


def test_advection_agrees_with_a_dense_solve() -> None:
    """First-order terms make an axis nonsymmetric: the block-banded path, against Kronecker products by hand."""
    n = 9
    h = 1 / (n + 1)
    ones = np.ones(n - 1)
    mass = h / 6 * (4 * np.eye(n) + np.diag(ones, 1) + np.diag(ones, -1))
    stiffness = (2 * np.eye(n) - np.diag(ones, 1) - np.diag(ones, -1)) / h
    advection = 0.5 * (np.diag(ones, 1) - np.diag(ones, -1))
    dense = np.kron(stiffness, mass) + np.kron(mass, stiffness) + 4 * np.kron(advection, mass)
    expected = np.linalg.solve(dense, np.full(n * n, h * h)).reshape(n, n)
    x, y = (it.Axis(name, 0, 1, elements=n + 1, basis=it.LinearBasis()) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) + 4 * v * it.diff(u, x) - v
    answer = it.solve(it.Problem(weak=weak, conditions=[u.on(x, y) == 0]), tolerance=1e-11)
    values = np.asarray(answer.model.grid(x=x.nodes[1:-1], y=y.nodes[1:-1]))
    np.testing.assert_allclose(values, expected, atol=1e-9 * np.abs(expected).max())


def test_reaction_and_weights_agree_with_a_dense_solve() -> None:
    """Three matrices on one axis, with a variable coefficient."""
    x, y = (it.Axis(name, 0, 1, elements=12, s=2) for name in "xy")
    a, b = x._sympy_(), y._sympy_()
    exact = sin(pi * a) * b * (1 - b) * exp(a)
    coefficient = (1 + a) * (2 + sin(b))
    u, v = it.unknown("u", x, y), it.test_function()
    source = -sum(sympy.diff(coefficient * sympy.diff(exact, s), s) for s in (a, b)) + 5 * a * exact
    weak = coefficient * it.dot(it.grad(v), it.grad(u)) + 5 * x * u * v - v * source
    errors = []
    for elements in (10, 20):
        x, y = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xy")
        u, v = it.unknown("u", x, y), it.test_function()
        weak = coefficient * it.dot(it.grad(v), it.grad(u)) + 5 * x * u * v - v * source
        problem = it.Problem(weak=weak, conditions=[u.on(x, y) == 0], exact=exact)
        errors.append(true_error(it.solve(problem, tolerance=1e-11), problem))
    assert errors[1] < 1e-6
    assert np.log2(errors[0] / errors[1]) > 4.5


def test_greedy_alone_stagnates_where_updates_converge() -> None:
    axes = box(6, 12)
    problem = poisson(axes, sum_of_sines(axes))
    greedy = it.solve(problem, rank=10, method="greedy")
    updated = it.solve(problem, rank=10)
    assert true_error(greedy, problem) > 1e-4
    assert true_error(updated, problem) < 1e-6


def test_the_estimate_is_about_the_error() -> None:
    """The change of the last growth estimates the error before it: conservative, but within reason."""
    axes = box(6, 16)
    problem = poisson(axes, sum_of_sines(axes))
    reference = it.solve(problem, tolerance=1e-12, rank=14).model
    for rank in (4, 6):
        answer = it.solve(problem, rank=rank)
        algebraic = float(answer.model.relative_distance(reference))
        assert 0.3 * algebraic < answer.error_estimate.algebraic < 300 * algebraic


def test_one_seed_gives_the_same_bits() -> None:
    axes = box(4, 10)
    problem = poisson(axes, sum_of_sines(axes))
    first, again, other = (it.solve(problem, tolerance=1e-6, seed=seed).model for seed in (3, 3, 4))
    for a, b in zip(first.factors, again.factors, strict=True):
        assert bool((a == b).all())
    assert any(
        a.shape != b.shape or not bool((a == b).all()) for a, b in zip(first.factors, other.factors, strict=True)
    )


def test_too_few_modes_is_a_status_with_a_remedy() -> None:
    axes = box(5, 10)
    answer = it.solve(poisson(axes, sum_of_sines(axes)), rank=2, tolerance=1e-9)
    assert answer.status == "max_rank"
    assert "raise rank" in answer.message
    assert not answer.converged
    assert answer.modes == 2


def test_an_impossible_tolerance_stagnates() -> None:
    axes = box(3, 10)
    answer = it.solve(poisson(axes, sum_of_sines(axes)), tolerance=1e-17)
    assert answer.status == "stagnated"
    assert "loosen tolerance" in answer.message


def test_interrupting_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = box(5, 10)
    problem = poisson(axes, sum_of_sines(axes))
    original = alternating.grow
    calls = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(alternating, "grow", interrupted)
    answer = it.solve(problem, tolerance=1e-9)
    assert answer.status == "interrupted"
    assert answer.modes > 0
    assert 1e-12 < true_error(answer, problem) < 0.5


@pytest.mark.parametrize(
    ("name", "function"),
    [("direct", "direct_route"), ("minimal_residual", "_state"), ("auto", "direct_route")],
)
def test_interrupting_before_there_are_modes_leaves_the_boundary_values(
    monkeypatch: pytest.MonkeyPatch, name: Any, function: str
) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    module = {"direct": direct, "minimal_residual": minimal_residual, "auto": automatic}[name]
    monkeypatch.setattr(module, function, stopped)
    axes = box(2, 10)
    answer = it.solve(poisson(axes, sum_of_sines(axes)), method=name)
    assert answer.status == "interrupted"
    assert answer.modes == 0
    assert answer.model.at(**{"x[1]": 0.0, "x[2]": 1.0}) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["alternating", "minimal_residual"])
def test_interrupting_the_estimate_keeps_the_modes(monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(automatic, "_checked", stopped)
    monkeypatch.setattr(minimal_residual, "_judged", stopped)
    axes = box(2, 10)
    problem = poisson(axes, sum_of_sines(axes))
    answer = it.solve(problem, tolerance=1e-9, method=name)
    assert answer.status == "interrupted"
    assert true_error(answer, problem) < 1e-6


def test_errors_are_relative_to_models_and_separated_functions() -> None:
    axes = box(2, 10)
    problem = poisson(axes, sum_of_sines(axes))
    model = it.solve(problem).model
    for wrong in (None, sum_of_sines(axes), lambda x: x):
        with pytest.raises(TypeError, match=r"exact must be a model or a sum of products .* such as problem\.exact"):
            model.error(wrong)


def test_indefinite_helmholtz_is_never_silently_wrong() -> None:
    """k^2 above the first eigenvalue: either the error is small or the status or the notes say so."""
    x, y = (it.Axis(name, -1, 1, elements=60, s=4) for name in "xy")
    exact = sin(pi * x._sympy_()) * sin(4 * pi * y._sympy_())
    k2 = 50
    u, v = it.unknown("u", x, y), it.test_function()
    source = sum(sympy.diff(exact, s._sympy_(), 2) for s in (x, y)) + k2 * exact
    weak = -it.dot(it.grad(v), it.grad(u)) + k2 * v * u - v * source
    problem = it.Problem(weak=weak, conditions=[u.on(x, y) == 0], exact=exact)
    answer = it.solve(problem, tolerance=1e-7)
    assert true_error(answer, problem) < 1e-6 or answer.status != "converged"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rank": 0}, ValueError, "rank must be a positive integer, got 0"),
        ({"rank": 2.5}, TypeError, "rank must be a positive integer, got 2.5"),
        ({"tolerance": -1e-3}, ValueError, "tolerance must be a positive finite number"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be a positive finite number"),
        ({"tolerance": 5}, ValueError, "tolerance is a relative error and must be less than 1, such as 1e-6, got 5"),
        ({"method": "magic"}, ValueError, "method must be one of 'auto', 'alternating', .*got 'magic'"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0, got -1"),
        ({"threads": 0}, ValueError, "threads must be a positive integer, got 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    axes = box(2, 8)
    with pytest.raises(error, match=message):
        it.solve(poisson(axes, product_of_sines(axes)), **options)


def test_a_problem_is_required() -> None:
    with pytest.raises(TypeError, match=r"problem must be an inntd\.Problem, got str"):
        it.solve("poisson.toml")  # type: ignore[arg-type]


def test_many_coupled_axes_do_not_overflow() -> None:
    axes = box(100, 8)
    u, exact = it.unknown("u", *axes), product_of_sines(axes)
    # SymPy alone would take minutes for the second derivatives of a hundred factors.
    problem = it.Problem(strong=it.laplacian(u) - it.laplacian(exact), conditions=[u.on("boundary") == 0])
    answer = it.solve(problem, tolerance=1e-9)
    assert answer.status == "converged"
    assert np.isfinite(functools.reduce(max, (float(f.abs().max()) for f in answer.model.factors)))


def test_a_saved_solution_tells_where_it_came_from(tmp_path: Any) -> None:
    axes = box(2, 8)
    answer = it.solve(poisson(axes, product_of_sines(axes)), tolerance=1e-6, seed=5)
    answer.model.save(tmp_path / "u.inntd")
    metadata = it.load(tmp_path / "u.inntd").metadata
    assert metadata["status"] == "converged"
    assert metadata["solver"]["seed"] == 5
    assert metadata["error_estimate"] == answer.error_estimate.total


def test_ctrl_c_ends_a_long_sweep() -> None:
    """The signal arrives while the compiled core works; it is looked for between axes."""
    axes = box(4, 300, s=4)
    a, b, c, d = (sympy.sympify(axis) for axis in axes)
    u = it.unknown("u", *axes)
    problem = it.Problem(
        strong=-it.div((1 + a * b + b * c + c * d) * it.grad(u)) - exp(a) * sin(9 * b) * c - 1,
        conditions=[u.on("boundary") == 0],
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    timer = threading.Timer(5.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        answer = it.solve(problem, rank=150)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert answer.status == "interrupted"
    assert answer.modes < 150  # none yet on a busy machine
    assert answer.seconds < 60


@pytest.mark.parametrize(("start", "length"), [(0.0, 1e-6), (0.0, 1e8), (1e3, 1.0)])
def test_the_unit_of_length_does_not_matter(start: float, length: float) -> None:
    axes = tuple(it.Axis(f"x[{i}]", start, start + length, elements=24) for i in range(1, 4))
    a, b, c = ((sympy.sympify(axis) - start) / length for axis in axes)
    problem = poisson(axes, sin(pi * a) * b + sin(2 * b) * c + 1)
    assert true_error(it.solve(problem, tolerance=1e-9), problem) < 1e-8


def test_no_source_and_no_boundary_values_give_zero() -> None:
    axes = box(3, 6)
    u = it.unknown("u", *axes)
    answer = it.solve(it.Problem(strong=-it.laplacian(u), conditions=[u.on("boundary") == 0]))
    assert answer.status == "converged"
    assert float(answer.model.norm()) == 0.0


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_near_the_ends_of_float64(scale: float) -> None:
    axes = box(2, 16)
    problem = poisson(axes, scale * sin(axes[0]._sympy_()) * cos(axes[1]._sympy_()))
    assert true_error(it.solve(problem, tolerance=1e-9), problem) < 1e-8


def test_one_axis() -> None:
    axes = box(1, 16)
    problem = poisson(axes, sin(axes[0]._sympy_()))
    answer = it.solve(problem, tolerance=1e-9)
    assert true_error(answer, problem) < 1e-9


@pytest.mark.parametrize("method", ["auto", "alternating", "greedy", "direct", "tucker", "minimal_residual"])
def test_everything_fixed_gives_the_boundary_values(method: Any) -> None:
    x, y = it.Axis("x", 0, 1, elements=1), it.Axis("y", 0, 1, elements=5)
    u = it.unknown("u", x, y)
    exact = 1 + x._sympy_() * 2
    answer = it.solve(it.Problem(strong=-it.laplacian(u), conditions=[u.on("boundary") == exact]), method=method)
    assert answer.status == "converged"
    assert answer.message == "the conditions fix every node: nothing to solve"
    assert answer.modes == 0
    np.testing.assert_allclose(np.asarray(answer.model.grid(x=[0, 0.5, 1], y=[0.3])), [[1], [2], [3]], atol=1e-12)


def test_boundary_values_that_vanish_only_up_to_round_off() -> None:
    """sin(pi) is 1.2e-16 in float64: that contradicts no zero on the face beside it."""
    x, y = it.Axis("x", 0, 1, elements=20), it.Axis("y", 0, 1, elements=20)
    a, b = x._sympy_(), y._sympy_()
    exact = sin(pi * a) * sympy.sinh(pi * b)
    u = it.unknown("u", x, y)
    conditions = [u.on(x, y.start) == 0, u.on(y.end) == sin(pi * a) * sympy.sinh(pi)]
    problem = it.Problem(strong=-it.laplacian(u), conditions=conditions, exact=exact)
    assert true_error(it.solve(problem, tolerance=1e-8), problem) < 1e-7


def test_advection_without_any_prescribed_value_is_refused() -> None:
    x, y = (it.Axis(name, 0, 1, elements=8, periodic=name == "y") for name in "xy")
    u = it.unknown("u", x, y)
    with pytest.raises(ValueError, match="first-order terms along 'x'"):
        it.Problem(strong=-it.laplacian(u) + it.diff(u, x) - cos(pi * x._sympy_()), conditions=[])


@pytest.mark.parametrize("elements", [10, 20])
def test_resonance_is_reported(elements: int) -> None:
    """2 pi^2 is an eigenvalue of the Laplacian on the unit square: there is no solution to converge to."""
    x, y = (it.Axis(name, 0, 1, elements=elements) for name in "xy")
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=-it.laplacian(u) - 2 * pi**2 * u - 1, conditions=[u.on(x, y) == 0])
    answer = it.solve(problem)
    assert answer.status == "diverged"
    assert "singular" in answer.message


def sine_sum(dimension: int, stop: float = 1.0) -> it.Problem:
    """Boundary values on all sides: a few modes of like size, and then none."""
    axes = [it.Axis(f"x{i}", 0, stop, elements=8, s=2) for i in range(dimension)]
    u = it.unknown("u", *axes)
    exact = sum(sin(pi / 2 * axis) for axis in axes)
    return it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), conditions=[u.on("boundary") == exact])


def reacting() -> it.Problem:
    """Reaction in one half only, of any strength, and three sources: modes come slowly."""
    x, y = (it.Axis(name, 0, 1, elements=8, s=1) for name in "xy")
    k = it.Axis("k", 0, 200, elements=8, kind="parameter", s=1)
    u, v = it.unknown("u", x, y, k), it.test_function()
    source = sum(exp(-50 * ((x - a) ** 2 + (y - b) ** 2)) for a, b in ((0.25, 0.5), (0.5, 0.25), (0.75, 0.75)))
    weak = it.dot(it.grad(v), it.grad(u)) + k * it.indicator(x < 0.5) * v * u - v * source
    return it.Problem(weak=weak, conditions=[u.on(x, y) == 0])


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("name", ["two", "three", "long", "slow"])
def test_the_estimate_is_the_true_error_within_a_small_factor(name: str, tolerance: float) -> None:
    problem, truth = estimated(name)
    answer = it.solve(problem, tolerance=tolerance, method="alternating")
    free = tuple(slice(1, -1) if axis.kind == "space" else slice(None) for axis in problem.axes)
    found = np.asarray(answer.model.grid({axis.name: axis.nodes for axis in problem.axes}))
    off = np.zeros_like(found)
    off[free] = (found - truth)[free]  # the boundary values are the same
    true = float(np.linalg.norm(off) / np.linalg.norm(found))
    assert answer.status == "converged"
    assert true <= tolerance
    assert 0.3 < answer.error_estimate.algebraic / max(true, 1e-12) < 20


@functools.cache
def estimated(name: str) -> tuple[it.Problem, Any]:
    problem = {
        "two": lambda: sine_sum(2),
        "three": lambda: sine_sum(3),
        "long": lambda: sine_sum(3, 8.0),
        "slow": reacting,
    }[name]()
    return problem, dense_solution(problem)


def test_few_modes_of_a_slow_decay_do_not_hide_the_rest() -> None:
    """The change by one more mode is several times smaller than the error that all of them leave."""
    problem, truth = estimated("slow")
    for rank in (4, 6, 8):
        answer = it.solve(problem, rank=rank, method="alternating")
        true = float(np.linalg.norm(np.asarray(answer.model.grid({a.name: a.nodes for a in problem.axes})) - truth))
        assert 0.5 < answer.error_estimate.algebraic * np.linalg.norm(truth) / true < 20
