"""Greedy reduced bases and their models, against dense solutions of the same discrete equations."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import sympy
import torch
from sympy import cos, sin

import inntd as it
from inntd.axes import assembly
from inntd.cli import main
from inntd.models import memory
from inntd.models.field import Field
from inntd.models.reduced import ReducedModel
from inntd.models.reduced_system import Coercivity
from inntd.models.sampling import sobol_points
from inntd.models.successive import SuccessiveConstraints
from inntd.solvers import snapshots
from inntd.solvers.affine import affine_problem
from inntd.solvers.coercivity import energy_norm
from inntd.solvers.factorise import Ordering, SingularError, factorise
from inntd.solvers.merged import SparseSpace
from inntd.solvers.reduced_basis import reduce
from inntd.solvers.reduced_route import _model
from inntd.solvers.successive_constraints import lowest, successive_constraints

Array = np.ndarray[Any, np.dtype[np.float64]]


def axis(name: str, elements: int, **options: Any) -> it.Axis:
    return it.Axis(name, 0, 1, elements=elements, **options)


@functools.lru_cache
def block(elements: int = 8, s: int = 2) -> it.Problem:
    """Three blocks, two with conductivities in [0.1, 10], zero on two sides, a given value on a third."""
    x, y = axis("x", elements, s=s), axis("y", elements, s=s)
    z, w = (it.Axis(name, -1, 1, elements=8, kind="parameter") for name in "zw")
    u, v = it.unknown("u", x, y, z, w), it.test_function()
    left, right, lower, upper = x < 0.5, x >= 0.5, it.indicator(y < 0.5), it.indicator(y >= 0.5)
    k = (10 ** z._sympy_() * it.indicator(left) + 10 ** w._sympy_() * it.indicator(right)) * lower + upper
    conditions = [u.on(x.start) == 0, u.on(y.start) == 0, u.on(x.end) == (1 + z / 2) * y]
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=conditions)


@functools.lru_cache
def wind(elements: int = 16, eps: float = 0.02) -> it.Problem:
    """Convection in all directions of a quarter turn."""
    x, y = axis("x", elements, s=2), axis("y", elements, s=2)
    m = it.Axis("m", 0, np.pi / 2, elements=16, kind="parameter")
    u, v = it.unknown("u", x, y, m), it.test_function()
    slope = cos(m._sympy_()) * it.diff(u, x) + sin(m._sympy_()) * it.diff(u, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", it.StabilityWarning)
        return it.Problem(weak=eps * it.dot(it.grad(v), it.grad(u)) + v * slope - v, conditions=[u.on(x, y) == 0])


@functools.lru_cache
def solved(name: str, rank: int) -> it.Answer[ReducedModel]:
    return it.solve({"block": block, "wind": wind}[name](), method="reduced_basis", rank=rank)


def weighted(axis: it.Axis, weight: Any = None) -> list[Array]:
    """Mass, stiffness and advection matrices by dense quadrature that shares no code with the assembly."""
    points, weights = np.polynomial.legendre.leggauss(12)
    nodes = np.unique(np.concatenate([axis.nodes, [0.5]]))
    half = np.diff(nodes) / 2
    x = (nodes[:-1, None] + half[:, None] * (1 + points)).ravel()
    values = np.outer(half, weights).ravel() * (1.0 if weight is None else weight(x))
    rows = [np.zeros((len(x), axis.size)) for _ in range(2)]
    for order, dense in enumerate(rows):
        index, entries = axis.tabulate(x, order)
        np.put_along_axis(dense, index, entries, axis=1)
    n, g = rows
    return [n.T @ (values[:, None] * n), g.T @ (values[:, None] * g), n.T @ (values[:, None] * g)]


def dense_block(problem: it.Problem, z: float, w: float) -> Array:
    """Nodal values (n_x, n_y) for one pair of conductivities."""
    x, y = problem.axes[:2]
    k = weighted(x, lambda t: np.where(t < 0.5, 10**z, 10**w))
    lower, upper = weighted(y, lambda t: 1.0 * (t < 0.5)), weighted(y, lambda t: 1.0 * (t >= 0.5))
    one, my = weighted(x), weighted(y)[0]
    operator = sum(np.kron(b[1], a[0]) + np.kron(b[0], a[1]) for b, a in ((k, lower), (one, upper)))
    load = np.kron(weighted(x)[0].sum(axis=1), my.sum(axis=1))
    values = np.zeros((x.size, y.size))
    values[-1] = (1 + z / 2) * y.nodes
    free = np.zeros(values.shape, dtype=bool)
    free[1:-1, 1:] = True
    mask = free.ravel()
    right = (load - operator @ values.ravel())[mask]
    values[free] = np.linalg.solve(operator[np.ix_(mask, mask)], right)
    return values


def dense_wind(problem: it.Problem, m: float, eps: float = 0.02) -> Array:
    x, y = problem.axes[:2]
    mass, stiff, slope = (matrix[1:-1, 1:-1] for matrix in weighted(x))
    operator = eps * (np.kron(stiff, mass) + np.kron(mass, stiff))
    operator += np.cos(m) * np.kron(slope, mass) + np.sin(m) * np.kron(mass, slope)
    load = weighted(x)[0].sum(axis=1)[1:-1]
    values = np.zeros((x.size, y.size))
    values[1:-1, 1:-1] = np.linalg.solve(operator, np.kron(load, load)).reshape(x.size - 2, y.size - 2)
    return values


def l2(problem: it.Problem, values: Array) -> float:
    mx, my = (assembly.mass(axis).toarray() for axis in problem.axes[:2])
    return float(np.sqrt(np.sum(values * (mx @ values @ my))))


def errors(name: str, model: Any, points: Sequence[Sequence[float]]) -> list[float]:
    problem = {"block": block, "wind": wind}[name]()
    dense = {"block": dense_block, "wind": dense_wind}[name]
    x, y = problem.axes[:2]
    names = [axis.name for axis in problem.axes[2:]]
    found = []
    for point in points:
        exact = dense(problem, *point)
        values = np.asarray(model.grid(x=x.nodes, y=y.nodes, **dict(zip(names, point, strict=True))))
        found.append(l2(problem, values - exact) / l2(problem, exact))
    return found


def places(name: str, count: int) -> list[list[float]]:
    axes = {"block": block, "wind": wind}[name]().axes[2:]
    unit = np.random.default_rng(3).random((count, len(axes)))
    return [[a.domain[0] + u * (a.domain[1] - a.domain[0]) for a, u in zip(axes, row, strict=True)] for row in unit]


# --------------------------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize(("name", "rank", "limit"), [("block", 20, 1e-7), ("wind", 16, 1e-5)])
def test_it_agrees_with_dense_solutions_at_random_parameters(name: str, rank: int, limit: float) -> None:
    assert max(errors(name, solved(name, rank).model, places(name, 12))) < limit


@pytest.mark.parametrize(("name", "ranks"), [("block", (4, 8, 12)), ("wind", (4, 8, 12))])
def test_the_error_falls_exponentially_and_the_estimate_with_it(name: str, ranks: tuple[int, ...]) -> None:
    worst = [max(errors(name, solved(name, rank).model, places(name, 12))) for rank in ranks]
    assert worst[1] < 0.1 * worst[0]
    assert worst[2] < 0.1 * worst[1]
    for rank, error in zip(ranks[1:], worst[1:], strict=True):
        estimate = solved(name, rank).error_estimate.algebraic
        assert 0.5 * error < estimate < 20 * error


def test_it_stops_at_the_tolerance_and_says_why() -> None:
    answer = it.solve(block(), method="reduced_basis", tolerance=1e-4)
    assert answer.status == "converged"
    assert answer.modes == answer.model.rank == len(answer.history) == len(answer.model.metadata["snapshots"])
    assert max(errors("block", answer.model, places("block", 12))) < 1e-4
    assert [step.modes for step in answer.history] == list(range(1, answer.modes + 1))
    text = str(answer)
    assert "full solutions, picked by the residual" in text
    assert "guaranteed" in text


def test_the_bound_is_never_below_the_error_in_the_energy_norm() -> None:
    problem, model = block(), solved("block", 5).model
    affine = affine_problem(problem, (0, 1), 1e-11)
    for z, w in [*places("block", 20), [-1, 1], [1, 1], [-1, -1]]:
        theta = affine.products.at([z, w])
        q, r = affine.terms, affine.space.load.shape[1]
        exact = affine.space.operator(theta[:q]).solve(affine.space.load @ theta[q : q + r])
        values = np.asarray(model.grid(x=problem.axes[0].nodes, y=problem.axes[1].nodes, z=z, w=w))
        lifted = dense_block(problem, z, w)
        off = (values - lifted).ravel()[affine.free]
        coercivity = model.system.coercivity
        assert coercivity is not None
        weights = np.zeros(q)
        weights[coercivity.terms] = coercivity.reference
        energy = affine.space.energy(weights)
        error, size = (float(np.sqrt(e @ (energy @ e))) for e in (off, exact))
        bound = model.error_bound(z=z, w=w)
        assert error / size <= bound < 100 * error / size or bound < 1e-9  # or interpolation, at a full solution


def test_the_residual_keeps_its_digits() -> None:
    # Expanded into inner products, bounds would end near 1e-8.
    model = solved("block", 25).model
    assert model.error_bound(z=0.3, w=-0.7) < 1e-10


@pytest.mark.parametrize("sign", [1, -1])
def test_a_negative_operator_is_as_good_as_a_positive_one(sign: int) -> None:
    x, k = axis("x", 16), it.Axis("k", 1, 9, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    form = sign * (it.diff(v, x) * it.diff(u, x) + k * u * v - v)
    model = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-9).model
    for value in (1.0, 3.7, 9.0):
        root = value**0.5
        assert abs(model.at(x=0.5, k=value) - (1 - 1 / np.cosh(root / 2)) / value) < 1e-7
        assert model.error_bound(k=value) < 1e-6


def test_an_indefinite_operator_is_solved_by_the_least_residual_without_a_bound() -> None:
    x, k = axis("x", 24), it.Axis("k", 20, 30, elements=8, kind="parameter")  # between the 1st and 2nd eigenvalue
    u, v = it.unknown("u", x, k), it.test_function()
    form = it.diff(v, x) * it.diff(u, x) - k * u * v - v
    answer = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-9)
    assert answer.status == "converged"
    assert answer.model.system.projection == "minimal_residual"
    assert any("no bound of the error" in note for note in answer.notes)
    assert answer.model.error_bound(k=25.0) == np.inf
    root = 25.0**0.5
    exact = (1 / np.cos(root / 2) - 1) / 25  # u = (cos(root (x - 1/2)) / cos(root / 2) - 1) / k
    assert abs(answer.model.at(x=0.5, k=25.0) - exact) < 1e-7


def test_vectors_with_conditions_on_single_components_and_time() -> None:
    c, x, y = it.Axis.discrete("c", 2), axis("x", 5, s=1), axis("y", 5, s=1)
    mu = it.Axis("mu", 0.5, 2, elements=8, kind="parameter")
    d, e = it.unknown("d", c, x, y, mu), it.test_function("e")
    strain = it.sym(it.grad(d))
    stress = it.tr(strain) * it.identity() + 2 * mu * strain
    form = it.inner(it.sym(it.grad(e)), stress) - it.on(x.end, e[0])
    plate = it.Problem(weak=form, conditions=[d[0].on(x.start) == 0, d[1].on(y.start) == 0])
    model = it.solve(plate, method="reduced_basis", tolerance=1e-8).model
    for value in (0.5, 1.3):
        fixed = it.solve(_plate(value), tolerance=1e-10).model
        assert model.at(mu=value).distance(fixed.to_tucker()) < 1e-7 * fixed.norm()


def _plate(mu: float) -> it.Problem:
    c, x, y = it.Axis.discrete("c", 2), axis("x", 5, s=1), axis("y", 5, s=1)
    d, e = it.unknown("d", c, x, y), it.test_function("e")
    strain = it.sym(it.grad(d))
    stress = it.tr(strain) * it.identity() + 2 * mu * strain
    form = it.inner(it.sym(it.grad(e)), stress) - it.on(x.end, e[0])
    return it.Problem(weak=form, conditions=[d[0].on(x.start) == 0, d[1].on(y.start) == 0])


def test_space_and_time_are_merged_together() -> None:
    x, t = axis("x", 12), it.Axis("t", 0, 0.2, elements=12, kind="time")
    k = it.Axis("k", 0.5, 2, elements=8, kind="parameter")
    u = it.unknown("u", x, t, k)
    conditions = [u.on(x) == 0, u.at(t=0) == sin(sympy.pi * x._sympy_())]
    heat = it.Problem(strong=it.dt(u) - k * it.laplacian(u), conditions=conditions)
    model = it.solve(heat, method="reduced_basis", tolerance=1e-8).model
    assert [axis.name for axis in model.merged] == ["x", "t"]
    assert abs(model.at(x=0.5, t=0.1, k=1.5) - np.exp(-(np.pi**2) * 0.15)) < 1e-5


# ------------------------------------------------------------------------------------------------------------- bounds


def reaction(lowest: float = -8.0) -> it.Problem:
    """A reaction whose sign changes over x, and one that changes with a parameter; coercive above about -pi^2."""
    x, k, g = axis("x", 24), it.Axis("k", lowest, 4, elements=8, kind="parameter"), axis("g", 8, kind="parameter")
    u, v = it.unknown("u", x, k, g), it.test_function()
    form = it.diff(v, x) * it.diff(u, x) + (k + 3 * g * cos(sympy.pi * x._sympy_())) * u * v - v
    return it.Problem(weak=form, conditions=[u.on(x) == 0])


def swirl() -> it.Problem:
    """Convection with divergence: its symmetric part has no sign."""
    x, y, m = axis("x", 10, s=2), axis("y", 10, s=2), it.Axis("m", 0, np.pi / 2, elements=16, kind="parameter")
    u, v = it.unknown("u", x, y, m), it.test_function()
    slope = cos(m._sympy_()) * x * it.diff(u, x) - sin(m._sympy_()) * y * it.diff(u, y)
    return it.Problem(weak=it.dot(it.grad(v), it.grad(u)) + 4 * v * slope - v, conditions=[u.on(x, y) == 0])


def dense_errors(problem: it.Problem, model: ReducedModel, point: Sequence[float]) -> dict[str, float]:
    """True relative errors at a parameter in both norms, and the true coercivity constant, by dense matrices."""
    affine = affine_problem(problem, tuple(problem.axes.index(own) for own in model.merged), 1e-11)
    theta, q = affine.products.at(point), affine.terms
    eye = np.eye(affine.space.size)
    operator = sum(factor * affine.space.apply(k, eye) for k, factor in enumerate(theta[:q]))
    exact = np.linalg.solve(operator, affine.space.load @ theta[q : q + affine.space.load.shape[1]])
    fixed = dict(zip((a.name for a in model.parameter_axes), point, strict=True))
    values = np.asarray(model.grid({a.name: a.nodes for a in model.merged} | fixed)).ravel()[affine.free]
    norm, mass = affine.space.norm @ eye, affine.space.mass @ eye
    found = {}
    for name, inner in (("energy", norm), ("L2", mass)):
        off, size = (float(np.sqrt(e @ inner @ e)) for e in (values - exact, exact))
        found[name] = off / size
    found["coercivity"] = float(scipy.linalg.eigh(0.5 * (operator + operator.T), norm, eigvals_only=True)[0])
    return found


@pytest.mark.parametrize("make", [reaction, swirl])
def test_successive_constraints_make_guaranteed_bounds(make: Any) -> None:
    problem = make()
    answer = it.solve(problem, method="reduced_basis", rank=3)
    model = answer.model
    coercivity = model.system.coercivity
    assert isinstance(coercivity, SuccessiveConstraints)
    assert model.system.projection == "galerkin"
    assert any("successive constraints" in note for note in answer.notes)
    unit = np.random.default_rng(1).random((12, len(model.parameter_axes)))
    for row in unit:
        point = [a.domain[0] + u * (a.domain[1] - a.domain[0]) for a, u in zip(model.parameter_axes, row, strict=True)]
        true = dense_errors(problem, model, point)
        theta = model.products.at(point)[None, : len(model.system.operator)]
        assert 0.2 * true["coercivity"] < float(coercivity.bound(theta)[0]) <= true["coercivity"] * (1 + 1e-9)
        for norm in ("energy", "L2"):
            bound = float(model.error_bounds([point], norm=norm)[0])
            assert true[norm] <= bound
            assert bound < 200 * true[norm] + 1e-9


def test_the_linear_program_is_above_the_box_and_below_the_constant() -> None:
    space = affine_problem(reaction(), (0,), 1e-11).space
    rng = np.random.default_rng(0)
    theta = np.stack([np.ones(60), rng.uniform(-8, 4, 60), rng.uniform(0, 3, 60)], axis=1)
    found = successive_constraints(space, theta)
    assert found.constraints is not None
    assert found.bounds is not None
    eye = np.eye(space.size)
    exact = [scipy.linalg.eigh(space.energy(row) @ eye, space.norm @ eye, eigvals_only=True)[0] for row in theta]
    assert (found.bounds <= exact).all()
    assert (found.bounds >= 0.29 * np.array(exact)).all()
    np.testing.assert_array_less(found.bounds - 1e-9, found.constraints.bound(theta))
    box = found.constraints.by_dual(np.zeros(len(found.constraints.alpha)), theta)
    assert (found.bounds >= box).all()
    assert len(found.constraints.alpha) < 12


def test_eigenvalues_are_certain_and_close() -> None:
    space = affine_problem(swirl(), (0, 1), 1e-11).space
    eye = np.eye(space.size)
    for weights in np.random.default_rng(0).uniform(-1, 2, (6, len(space.symmetric))):
        exact = float(scipy.linalg.eigh(space.energy(weights) @ eye, space.norm @ eye, eigvals_only=True)[0])
        bound, quotients = lowest(space, weights)
        assert bound <= exact <= float(weights @ quotients) + 1e-12
        assert exact - bound < 0.05 * max(1.0, abs(exact))


def test_a_negative_operator_has_its_constraints_too() -> None:
    x, k = axis("x", 16), it.Axis("k", -5, 5, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    form = -it.diff(v, x) * it.diff(u, x) + k * u * v - v
    model = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-8).model
    assert isinstance(model.system.coercivity, SuccessiveConstraints)
    assert model.error_bound(k=3.0) < 1e-5
    assert abs(model.at(x=0.5, k=4.0) - (1 - 1 / np.cos(1.0)) / 4) < 1e-6


@pytest.mark.parametrize("rank", [2, 4, 8])
def test_the_bound_in_l2_is_never_below_the_error_in_l2(rank: int) -> None:
    model = solved("block", rank).model
    points = places("block", 8)
    bounds = model.error_bounds(points, norm="L2")
    true = np.array(errors("block", model, points))
    assert (bounds >= true).all()
    small = bounds < 0.5  # larger ones are of no use: the bound comes close to the solution itself
    assert (bounds[small] < 200 * true[small] + 1e-8).all()
    assert small.any() == (rank > 2)
    worst, where = model.worst_error_bound(256, norm="L2")
    sample = model.error_bounds(sobol_points(model.parameter_axes, 256, 0), norm="L2")
    assert worst == max(sample)
    assert model.error_bound(where, norm="L2") == pytest.approx(worst, rel=1e-9)


def test_errors_of_interpolated_coefficients_are_in_the_bound() -> None:
    # Few nodes for 10**z: the discrete problem of the model is another one than that of the user.
    x, z = axis("x", 16), it.Axis("z", -1, 1, elements=4, s=1, kind="parameter")
    u, v = it.unknown("u", x, z), it.test_function()
    form = (10 ** z._sympy_() * it.indicator(x < 0.5) + it.indicator(x >= 0.5)) * it.diff(v, x) * it.diff(u, x) - v
    problem = it.Problem(weak=form, conditions=[u.on(x) == 0])
    answer = it.solve(problem, method="reduced_basis", tolerance=0.5, rank=6)
    rough = affine_problem(problem, (0,), 1.0)  # no finer axes
    found = reduce(rough, None, 6, 0)
    model = _model(rough, found)
    assert model.certainty == answer.model.certainty == "guaranteed"  # it knows 10**z itself
    measured = replace(model.products, functions=None)
    from_file = ReducedModel(model.axes, model.parameter_axes, measured, model.system, model.core, model.factors)
    assert from_file.certainty == "estimate"
    off = 0.0
    for value in (-0.9, -0.6, -0.1, 0.4, 0.85):
        exact = affine_problem(problem, (0,), 1e-11)
        theta = exact.products.at([value])
        true = exact.space.operator(theta[:2]).solve(exact.space.load @ theta[2:3])
        values = np.asarray(model.grid(x=problem.axes[0].nodes, z=value)).ravel()[exact.free]
        inner = exact.space.energy(_weights(model))
        error = float(np.sqrt((values - true) @ (inner @ (values - true)) / (true @ (inner @ true))))
        assert error <= model.error_bound(z=value) <= from_file.error_bound(z=value)
        off = max(off, error)
    assert off > 1e-3  # of the interpolation alone: six functions hold the solutions of two conductivities
    forgetful = replace(model.products, errors=None, functions=None)
    silent = ReducedModel(model.axes, model.parameter_axes, forgetful, model.system, model.core, model.factors)
    assert silent.error_bound(z=-0.9) < 1e-3 * model.error_bound(z=-0.9)


def _weights(model: ReducedModel) -> Array:
    coercivity = model.system.coercivity
    assert isinstance(coercivity, Coercivity)
    weights = np.zeros(len(model.system.operator))
    weights[coercivity.terms] = coercivity.reference
    return weights


def test_bounds_of_slices_and_files_are_those_of_the_model(tmp_path: Path) -> None:
    model = it.solve(reaction(), method="reduced_basis", rank=3).model
    bound = model.error_bound(k=-3.0, g=0.3)
    assert model.at(g=0.3).error_bound(k=-3.0) == pytest.approx(bound, rel=1e-6)
    model.save(tmp_path / "u.inntd")
    again = it.load(tmp_path / "u.inntd")
    assert isinstance(again, ReducedModel)
    assert again.error_bound(k=-3.0, g=0.3) == pytest.approx(bound, rel=1e-9)
    l2 = model.error_bound(k=-3.0, g=0.3, norm="L2")
    assert again.error_bound(k=-3.0, g=0.3, norm="L2") == pytest.approx(l2, rel=1e-9)
    assert again.certainty == model.certainty
    with pytest.raises(ValueError, match="norm must be"):
        model.error_bound(k=0.0, g=0.0, norm="H2")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ the model as a field


def test_it_is_a_field_whose_parts_agree() -> None:
    model = solved("block", 8).model
    assert isinstance(model, Field)
    assert not model.exact_statistics
    points = np.random.default_rng(0).random((40, 4)) * [1, 1, 2, 2] - [0, 0, 1, 1]
    values = model(points).numpy()
    for point, value in zip(points[:5], values, strict=False):
        x, y, z, w = (float(c) for c in point)
        assert model.at(z=z, w=w).at(x=x, y=y) == pytest.approx(value, abs=1e-12)
        assert model.at(x=x, w=w).at(y=y, z=z) == pytest.approx(value, abs=1e-12)
        assert float(model.grid(x=x, y=y, z=z, w=w)) == pytest.approx(value, abs=1e-12)
    table = model.grid(w=[0.1, 0.7], x=[0.2, 0.3, 0.4], z=-0.5, y=[0.6])
    assert table.shape == (3, 1, 2)
    assert float(table[1, 0, 1]) == pytest.approx(float(model(np.array([[0.3, 0.6, -0.5, 0.7]]))), abs=1e-12)


def test_coefficients_of_one_parameter_are_those_of_many() -> None:
    for name in ("block", "wind"):
        model = solved(name, 8).model
        for point in places(name, 5):
            weights = model._weights(torch.tensor([point], dtype=torch.float64))[0].numpy()
            np.testing.assert_allclose(model.coefficients(point), weights[: model.rank], rtol=1e-8, atol=1e-12)


def test_derivatives_agree_with_differences() -> None:
    model = solved("block", 8).model
    points = torch.rand((6, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    value, gradient, second = model.jet(points)
    torch.testing.assert_close(value, model(points))
    for d in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[d] = 1e-4
        ahead, behind = model(points + step), model(points - step)
        torch.testing.assert_close(gradient[:, d], (ahead - behind) / 2e-4, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(second[:, d], (ahead - 2 * value + behind) / 1e-8, rtol=1e-3, atol=1e-3)
    inside = points.clone().requires_grad_()
    assert torch.autograd.gradcheck(model, (inside,), atol=1e-7)
    assert torch.autograd.gradgradcheck(model, (inside[:2],), atol=1e-6)


def test_means_over_space_are_exact_and_those_over_parameters_have_standard_errors() -> None:
    model = solved("block", 8).model
    space = model.mean("x", "y")
    assert space.at(z=0.3, w=-0.2) == pytest.approx(model.at(z=0.3, w=-0.2).mean(), rel=1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    table = model.mean("x", "y").grid(z=nodes, w=nodes).numpy()
    exact = float(weights @ table @ weights) / 4
    assert abs(model.mean() - exact) < 5 * model.standard_error < 1e-2 * abs(exact)
    assert abs(model.integrate() - 4 * exact) < 5 * model.standard_error
    field = model.mean("z", "w")
    assert field.mean() == pytest.approx(exact, rel=1e-3)
    assert model.norm() == pytest.approx(model.to_tucker(tolerance=1e-6).norm(), rel=1e-3)
    with pytest.raises(NotImplementedError, match="hold w still"):
        model.mean("z")


def test_the_explicit_forms_keep_their_tolerance() -> None:
    model = solved("wind", 12).model
    for explicit in (model.to_tucker(tolerance=1e-4), model.to_cp(tolerance=1e-4)):
        assert explicit.metadata["separation_error"] < 2e-4
        worst = max(
            explicit.at(m=m).distance(model.at(m=m)) / model.at(m=m).norm() for (m,) in places("wind", 6)
        ) if isinstance(explicit, it.TuckerModel) else max(errors("wind", explicit, places("wind", 6)))  # fmt: skip
        assert worst < 2e-3


def test_files_hold_everything(tmp_path: Path) -> None:
    for name in ("block", "wind"):
        model = solved(name, 8).model
        model.save(tmp_path / f"{name}.inntd")
        again = it.load(tmp_path / f"{name}.inntd")
        assert isinstance(again, ReducedModel)
        rows = [[0.3, 0.4, *point] for point in places(name, 4)]
        assert torch.equal(again(np.array(rows)), model(np.array(rows)))
        fixed = dict(zip((axis.name for axis in model.parameter_axes), places(name, 1)[0], strict=True))
        assert model.error_bound(fixed) <= again.error_bound(fixed) < 1.01 * model.error_bound(fixed) + 1e-9
        assert again.metadata == model.metadata
        model.at(y=0.5).save(tmp_path / f"{name}-slice.inntd")
        assert it.load(tmp_path / f"{name}-slice.inntd").axes[0].name == "x"


def test_a_file_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    import safetensors.torch

    path = tmp_path / "u.inntd"
    solved("block", 3).model.save(path)
    with safetensors.safe_open(str(path), framework="pt") as file:
        header, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key in ("load", "operator", "core", "index", "columns.0", "factors.1", "residual_load", "coercivity.terms"):
        broken = {**tensors, key: tensors[key][:-1].clone()}
        if key == "index":
            broken[key] = tensors[key] + 100
        safetensors.torch.save_file(broken, str(path), metadata=header)
        with pytest.raises(ValueError, match="no readable model"):
            it.load(path)


# ------------------------------------------------------------------------------------------------------------- faults


def test_a_singular_full_solution_tells_where() -> None:
    x = axis("x", 8)
    stiff, mass = (matrix(x).toarray()[1:-1, 1:-1] for matrix in (assembly.stiffness, assembly.mass))
    first = float(scipy.linalg.eigh(stiff, mass, eigvals_only=True)[0])
    k = it.Axis("k", first - 1, first + 1, elements=4, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    form = it.diff(v, x) * it.diff(u, x) - k * u * v - v
    answer = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-6)
    assert answer.status == "diverged"
    assert f"k = {first:.4g}" in answer.message


def test_a_symmetric_part_that_is_not_definite_is_told_with_the_place() -> None:
    x, k = axis("x", 8), it.Axis("k", -12, 1, elements=4, kind="parameter")  # definite above -pi^2
    u, v = it.unknown("u", x, k), it.test_function()
    form = it.diff(v, x) * it.diff(u, x) + k * u * v - v
    answer = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-6)
    assert answer.status == "converged"
    assert any("not definite at k = -" in note for note in answer.notes)
    assert answer.model.error_bound(k=0.5) == np.inf
    assert answer.model.certainty == "estimate"


def test_stopping_by_hand_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, count = snapshots.Snapshots.add, itertools.count()

    def impatient(self: Any, solution: Array) -> bool:
        if next(count) == 4:
            raise KeyboardInterrupt
        return plain(self, solution)

    monkeypatch.setattr(snapshots.Snapshots, "add", impatient)
    answer = it.solve(block(), method="reduced_basis", tolerance=1e-8)
    assert answer.status == "interrupted"
    assert answer.model.rank == 4
    assert np.isfinite(answer.error_estimate.algebraic)
    assert max(errors("block", answer.model, places("block", 5))) < 1


def test_stopping_before_the_first_full_solution_leaves_the_boundary_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(self: Any, solution: Array) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshots.Snapshots, "add", impatient)
    answer = it.solve(block(), method="reduced_basis", tolerance=1e-8)
    assert (answer.status, answer.model.rank) == ("interrupted", 0)
    assert answer.error_estimate.algebraic == np.inf
    assert answer.model.at(x=1, y=0.5, z=0.4, w=0) == pytest.approx(0.6)


def test_a_solution_that_vanishes() -> None:
    x, k = axis("x", 8), it.Axis("k", 1, 4, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    zero = it.Problem(weak=k * it.diff(v, x) * it.diff(u, x) - 0 * v, conditions=[u.on(x) == 0])
    answer = it.solve(zero, method="reduced_basis", tolerance=1e-6)
    model = answer.model
    assert (answer.status, answer.error_estimate.total) == ("converged", 0)
    values = [model.at(x=0.3, k=2), model.at(k=2).norm(), model.mean(), model.norm(), model.error_bound(k=2)]
    assert [*values, float(model.grid(x=0.1, k=2)), model.to_tucker().norm(), model.coefficients([2]).size] == [0] * 8


def test_too_large_a_basis_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"needs .* GB"):
        it.solve(block(), method="reduced_basis", tolerance=1e-8)


def test_a_tolerance_below_rounding_ends_as_stagnated() -> None:
    answer = it.solve(block(), method="reduced_basis", tolerance=1e-14)
    assert answer.status == "stagnated"
    assert "rounding" in answer.message
    assert answer.error_estimate.algebraic < 1e-9


def test_too_few_full_solutions() -> None:
    answer = it.solve(block(), method="reduced_basis", tolerance=1e-8, rank=3)
    assert answer.status == "max_rank"
    assert "raise rank" in answer.message


@pytest.mark.parametrize(
    ("merge", "error", "message"),
    [
        (("x",), ValueError, "merge must hold 'y'"),
        (("x", "y", "z", "w"), ValueError, "merge must leave at least one axis"),
        (("x", "q"), ValueError, "merge must be one of 'x', 'y', 'z', 'w', got 'q'"),
        (("x", "x"), ValueError, "merge must name each axis once"),
        ("xy", TypeError, "merge must be a sequence"),
    ],
)
def test_what_cannot_be_merged(merge: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        it.solve(block(), method="reduced_basis", tolerance=1e-3, merge=merge)


def test_merge_is_for_reduced_bases_only() -> None:
    with pytest.raises(ValueError, match="merge must be given with method='reduced_basis' only"):
        it.solve(block(), tolerance=1e-3, merge=("x", "y"))  # type: ignore[call-overload]


def test_a_parameter_outside_of_its_axis_is_refused() -> None:
    model = solved("block", 3).model
    for refused in (lambda: model.coefficients([2, 0]), lambda: model.at(z=2), lambda: model(np.array([[0, 0, 2, 0]]))):
        with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
            refused()
    with pytest.raises(ValueError, match="must be 2 numbers"):
        model.coefficients([0.0])


def test_the_command_line_runs_reduced_bases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
        [axes.x]
        domain = [0, 1]
        elements = 12
        [axes.k]
        domain = [1, 4]
        elements = 10
        kind = "parameter"
        [problem]
        strong = "-diff(u, x, 2) + k*u - 1"
        [[conditions]]
        on = "boundary"
        value = 0
        [solve]
        tolerance = 1e-6
        method = "reduced_basis"
    """
    (tmp_path / "bar.toml").write_text(text)
    folder = tmp_path / "bar"
    assert main(["run", str(tmp_path / "bar.toml"), "--output", str(folder)]) == 0
    assert "full solutions" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"solution.inntd", "slice.png"}
    assert main(["info", str(folder / "solution.inntd")]) == 0
    assert "ReducedModel" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------- merged spaces


def laplacian(n: int, shift: float = 0.0) -> Any:
    one = scipy.sparse.diags_array([-1.0, 2.0 + shift, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()
    eye = scipy.sparse.eye_array(n).tocsr()
    return (scipy.sparse.kron(one, eye) + scipy.sparse.kron(eye, one)).tocsr()


def test_matrices_of_any_mesh_make_a_space() -> None:
    random = np.random.default_rng(0)
    order = random.permutation(100)  # as an unstructured mesh numbers its nodes
    stiff = laplacian(10)[order][:, order]
    turn = scipy.sparse.csr_array(scipy.sparse.triu(stiff, 1) - scipy.sparse.tril(stiff, -1))
    mass = scipy.sparse.eye_array(100).tocsr()
    space = SparseSpace.of([stiff, turn, -mass], random.random((100, 1)), mass, stiff + mass)
    assert [space.definiteness(q) for q in range(3)] == ["positive", "zero", "negative"]
    assert space.symmetric == (True, False, True)
    assert space.ordering.half_bandwidth < 25
    weights, right = np.array([1.3, 0.4, -0.2]), random.random((100, 3))
    dense = 1.3 * stiff.toarray() + 0.4 * turn.toarray() + 0.2 * np.eye(100)
    np.testing.assert_allclose(space.operator(weights).solve(right), np.linalg.solve(dense, right), rtol=1e-10)
    np.testing.assert_allclose(space.apply(1, right), turn @ right, atol=1e-14)
    np.testing.assert_allclose(space.apply_transposed(1, right), turn.T @ right, atol=1e-14)
    norm = energy_norm(space, np.array([[1.0, 0.3, -0.1], [2.0, -0.5, -0.4]]))
    assert norm.coercivity is not None
    assert norm.coercivity.terms.tolist() == [0, 2]


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("widest", [0, 2500])
def test_factorisations_agree_and_refuse_singular_matrices(
    definite: bool, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inntd.solvers.factorise.WIDEST", widest)
    matrix, right = laplacian(12), np.random.default_rng(0).random((144, 2))
    matrix.sort_indices()
    ordering = Ordering(matrix)
    found = factorise(matrix, ordering, definite=definite)
    np.testing.assert_allclose(found.solve(right), np.linalg.solve(matrix.toarray(), right), rtol=1e-10)
    np.testing.assert_allclose(found.solve(right[:, 0]), found.solve(right)[:, 0], rtol=1e-12)


@pytest.mark.parametrize("widest", [0, 2500])
def test_a_singular_matrix_is_refused(widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inntd.solvers.factorise.WIDEST", widest)
    matrix = laplacian(12)
    shift = float(np.linalg.eigvalsh(matrix.toarray())[0])
    eye = scipy.sparse.eye_array(144).tocsr()
    space = SparseSpace.of([matrix - shift * eye, 0 * matrix], np.ones((144, 1)), eye, matrix)
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        with pytest.raises(SingularError):
            space.operator(np.array(weights)).solve(np.ones(144))


def test_an_indefinite_matrix_is_not_definite() -> None:
    matrix = laplacian(8, shift=-1.0)
    matrix.sort_indices()
    with pytest.raises(SingularError, match="not positive definite"):
        factorise(matrix, Ordering(matrix), definite=True)
