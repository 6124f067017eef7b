"""Meshes that adapt: the tolerance met by the true error, what must stay stays, and every end is told."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import exp, pi, sin
from test_discretisation import corner, heat, layer, parameter, poisson, sines, singular_sources

import inntd as it
from inntd.axes.remesh import remeshed
from inntd.models import memory
from inntd.models.result import MeshStep
from inntd.results import plot_adaptivity, plot_nodes
from inntd.solvers import adaptivity
from inntd.solvers.discretisation import axis_errors
from inntd.solvers.refinement import part_of_each, refined_axes, refined_axis


def peaks(elements: int) -> it.Problem:
    x, y = (it.Axis(name, 0, 100, elements=elements) for name in "xy")
    places = ((20, 25), (60, 75))
    return poisson(sum(10 * exp(-((x - a) ** 2 + (y - b) ** 2) / 25) for a, b in places), x, y)


CASES = {
    "smooth": lambda: sines(8, None),
    "narrow": lambda: peaks(10),
    "layer": lambda: layer(12, 0.01),
    "singular": lambda: corner(12, 3),
    "time": lambda: heat(8, 3),
    "parameter": lambda: parameter(8, 3),
}


@singular_sources
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("name", CASES)
def test_the_true_error_meets_the_tolerance(name: str, tolerance: float) -> None:
    problem = CASES[name]()
    answer = it.solve(problem, tolerance=tolerance, adapt="mesh")
    error = answer.model.error(problem.exact)
    assert answer.status == "converged", answer.message
    assert error <= tolerance
    assert answer.error_estimate.total <= tolerance
    assert 0.5 * error <= answer.error_estimate.total <= 30 * error


def test_nodes_go_where_the_layer_is() -> None:
    answer = it.solve(layer(12, 0.01), tolerance=1e-5, adapt="mesh")
    along, across = answer.model.axes
    steps = np.diff(along.nodes)
    assert steps.max() > 10 * steps.min()
    assert np.count_nonzero(np.abs(along.nodes - 0.5) > 0.35) > 0.6 * along.size
    assert across.elements <= 16
    uniform = it.solve(layer(along.elements, 0.01), tolerance=1e-5).error_estimate
    assert uniform.total > 5 * answer.error_estimate.total


def test_the_history_tells_of_every_mesh() -> None:
    answer = it.solve(layer(12, 0.03), tolerance=1e-5, adapt="mesh")
    steps = answer.history
    assert len(steps) > 1
    assert all(isinstance(step, MeshStep) for step in steps)
    assert steps[0].nodes == {"x": 13, "y": 13}
    assert steps[-1].nodes == {axis.name: axis.size for axis in answer.model.axes}
    assert steps[-1].total == pytest.approx(answer.error_estimate.total)
    assert steps[-1].discretisation < 0.01 * steps[0].discretisation
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(steps))
    figure = plot_adaptivity(answer, tolerance=1e-5)
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    assert list(drawn["total"]) == pytest.approx([step.total for step in steps])
    assert [panel.get_xlabel() for panel in plot_nodes(answer).axes] == ["x", "y"]
    with pytest.raises(ValueError, match="history of meshes"):
        plot_adaptivity(it.solve(sines(8, 2), rank=2))


def test_discrete_systems_are_not_solved_further_than_their_mesh_deserves(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    problem, tolerance = peaks(10), 1e-6

    def solve(moved: it.Problem, *, tolerance: float, slabs: Any) -> Any:
        asked.append(tolerance)
        return it.solve(moved, tolerance=tolerance)

    adaptivity.solve_adaptive(problem, tolerance, "mesh", None, solve)
    assert asked[0] == adaptivity.FIRST
    assert asked == sorted(asked, reverse=True)
    assert min(asked) >= adaptivity.ALGEBRAIC * tolerance


def test_given_nodes_and_breaks_and_bases_stay() -> None:
    given = [0, 0.1, 0.3, 0.35, 0.6, 0.65, 0.9, 1.0]
    x, y = it.Axis("x", nodes=given, s=2), it.Axis("y", 0, 1, elements=8, breaks=[0.5], s=1)
    problem = poisson(sin(3 * pi * x) * sin(pi * y), x, y)
    answer = it.solve(problem, tolerance=1e-4, adapt="mesh")
    assert answer.status == "converged"
    assert set(given) <= set(answer.model.axes[0].nodes.tolist())
    assert answer.model.axes[1].breaks == (0.5,)
    assert [axis.basis.s for axis in answer.model.axes] == [2, 1]  # type: ignore[union-attr]
    assert answer.model.error(problem.exact) <= 1e-4


def test_coefficients_that_jump_keep_their_break() -> None:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    u, v = it.unknown("u", x, y), it.test_function()
    k = 1 + 9 * it.indicator(x >= 0.3)
    form = k * it.dot(it.grad(v), it.grad(u)) - v * exp(3 * x) * sin(pi * y)
    problem = it.Problem(weak=form, conditions=[u.on("boundary") == 0])
    answer = it.solve(problem, tolerance=1e-5, adapt="mesh")
    assert answer.status == "converged"
    assert answer.model.axes[0].breaks == pytest.approx((0.3,))
    fine = it.solve(problem.on_axes(it.Axis("x", 0, 1, elements=80), it.Axis("y", 0, 1, elements=60)), tolerance=1e-8)
    assert fine.model.distance(answer.model) <= 1e-5 * fine.model.norm()
    # Few nodes between an end and a break leave room for small patches only: that is seen, too.
    coarse = it.solve(problem, tolerance=1e-6)
    error = fine.model.distance(coarse.model) / fine.model.norm()
    assert coarse.error_estimate.discretisation is not None
    assert 0.5 * error < coarse.error_estimate.discretisation < 20 * error


def test_periodic_axes_stay_so() -> None:
    x, y = it.Axis("x", 0, 1, elements=12, periodic=True), it.Axis("y", 0, 1, elements=8)
    exact = exp(3 * sin(2 * pi * x)) * sin(pi * y)
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), conditions=[u.on(y) == 0], exact=exact)
    answer = it.solve(problem, tolerance=1e-5, adapt="mesh", method="tucker")
    assert answer.status == "converged"
    assert answer.model.axes[0].periodic
    assert answer.model.error(exact=problem.exact) <= 1e-5


def test_smooth_functions_get_larger_patches_and_rough_ones_do_not() -> None:
    x = it.Axis("x", 0, 1, elements=20)
    smooth = it.CPModel.from_factors([x], [np.sin(9 * x.nodes)[:, None]])
    rough = it.CPModel.from_factors([x], [np.sqrt(np.abs(x.nodes - 0.512))[:, None]])
    (fine,), (coarse,) = (axis_errors(model, by_element=True) for model in (smooth, rough))
    assert refined_axis(fine, 1e-9).basis.s > 3  # type: ignore[union-attr]
    assert refined_axis(coarse, 1e-3).basis.s == 3  # type: ignore[union-attr]
    near = np.abs(refined_axis(coarse, 1e-3).nodes - 0.512) < 0.2
    assert np.count_nonzero(near) > 0.5 * near.size


def test_axes_that_are_good_enough_keep_their_mesh() -> None:
    x, y = it.Axis("x", 0, 1, elements=10), it.Axis("y", 0, 1, elements=10, s=1)
    model = it.CPModel.from_factors([x, y], [np.sin(x.nodes)[:, None], np.sin(5 * y.nodes)[:, None]])
    errors = axis_errors(model, by_element=True)
    assert [axis.name for axis in refined_axes(errors, 1e-4)] == ["y"]
    assert part_of_each(errors, 1e-4) == pytest.approx(1e-4, rel=1e-3)
    assert refined_axes(errors, 1.0) == []


def test_neighbouring_elements_differ_little_and_ends_stay() -> None:
    x = it.Axis("x", -1, 3, elements=20)
    lengths = np.where(np.arange(20) == 13, 0.01, 0.2)
    nodes = remeshed(x, lengths).nodes
    steps = np.diff(nodes)
    assert (nodes[0], nodes[-1]) == (-1.0, 3.0)
    assert steps.min() < 0.015
    ratio = steps[1:] / steps[:-1]
    assert np.maximum(ratio, 1 / ratio).max() < 1.7


def test_slabs_meet_at_the_same_times() -> None:
    problem = heat(24, 3)
    answer = it.solve(problem, tolerance=1e-5, adapt="mesh", slabs=3)
    assert answer.status == "converged"
    assert answer.model.interfaces == pytest.approx((1 / 3, 2 / 3))
    points = np.random.default_rng(0).random((2000, 2))
    values = problem.exact_function(points)  # type: ignore[misc]
    assert np.linalg.norm(answer.model(points).numpy() - values) <= 1e-5 * np.linalg.norm(values)


def test_reduced_models_adapt_too() -> None:
    x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 10, elements=8, kind="parameter")
    u = it.unknown("u", x, k)
    form = -k * it.laplacian(u) - 9 * pi**2 * sin(3 * pi * x)
    problem = it.Problem(strong=form, conditions=[u.on(x) == 0])
    answer = it.solve(problem, tolerance=1e-5, adapt="mesh", method="reduced_basis")
    points = np.random.default_rng(0).uniform([0, 1], [1, 10], (2000, 2))
    values = np.sin(3 * np.pi * points[:, 0]) / points[:, 1]
    assert answer.status == "converged"
    assert answer.history[-1].nodes["k"] == 9  # type: ignore[attr-defined]
    assert np.linalg.norm(answer.model(points).numpy() - values) <= 1e-5 * np.linalg.norm(values)


# ------------------------------------------------------------------------------------------------------ other axes


def test_a_problem_on_other_axes_is_the_problem_stated_there() -> None:
    def stated(elements: int, s: int) -> it.Problem:
        x, y = it.Axis("x", 0, 1, elements=elements, s=s), it.Axis("y", 0, 1, elements=9)
        u = it.unknown("u", x, y)
        form = -it.laplacian(u) + it.indicator(x >= 0.4) * u - 1 / (1 + x + y)
        return it.Problem(strong=form, conditions=[u.on("boundary") == x * y])

    moved, there = stated(10, 3).on_axes(it.Axis("x", 0, 1, elements=14, s=2)), stated(14, 2)
    assert [axis.key for axis in moved.axes] == [axis.key for axis in there.axes]
    first, second = (it.solve(problem, tolerance=1e-9).model for problem in (moved, there))
    assert first.distance(second) < 1e-7 * second.norm()
    assert [axis.key for axis in moved.refined(1e-11).axes] == [axis.key for axis in there.axes]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (it.Axis("q", 0, 1, elements=8), "must be those of the problem"),
        (it.Axis("x", 0, 2, elements=8), "must keep its interval"),
        (it.Axis("x", 0, 1, elements=8, kind="parameter"), "must keep its kind"),
        (it.Axis("x", 0, 1, elements=8, periodic=True), "must keep its periodic"),
    ],
)
def test_axes_that_are_no_other_mesh_are_refused(axis: it.Axis, message: str) -> None:
    x = it.Axis("x", 0, 1, elements=8)
    u = it.unknown("u", x)
    with pytest.raises(ValueError, match=message):
        it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(x) == 0]).on_axes(axis)


# ------------------------------------------------------------------------------------------------------------ faults


def test_adapt_needs_a_tolerance_and_a_known_word() -> None:
    with pytest.raises(ValueError, match="needs a tolerance"):
        it.solve(sines(8, 2), adapt="mesh")
    with pytest.raises(ValueError, match="adapt must be"):
        it.solve(sines(8, 2), tolerance=1e-3, adapt="meshes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"needs an inntd\.Problem"):
        it.solve(lambda t: heat(8, 2), tolerance=1e-3, adapt="mesh", slabs=2)


@singular_sources
def test_a_mesh_beyond_the_memory_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 300_000)
    problem = corner(12, 3)
    answer = it.solve(problem, tolerance=1e-7, adapt="mesh")
    assert answer.status == "stagnated"
    assert "nodes needs" in answer.message
    assert "GB" in answer.message
    assert "tolerance 1.0e-07" in answer.message
    assert 0.5 * answer.model.error(problem.exact) <= answer.error_estimate.total


def test_a_tolerance_below_round_off_ends_and_says_where_it_stands() -> None:
    problem = sines(8, None, 2)
    answer = it.solve(problem, tolerance=1e-15, adapt="mesh")
    assert answer.status != "converged"
    assert "tolerance 1.0e-15" in answer.message
    assert len(answer.history) <= adaptivity.MOST_MESHES
    assert answer.model.error(problem.exact) < 1e-9


def test_too_few_modes_are_not_the_fault_of_the_mesh() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=8) for name in "xyz")
    u = it.unknown("u", x, y, z)
    problem = it.Problem(strong=-it.laplacian(u) - exp(x * y * z), conditions=[u.on("boundary") == 0])
    answer = it.solve(problem, tolerance=1e-5, rank=2, adapt="mesh", method="alternating")
    assert answer.status == "max_rank"
    assert "raise rank" in answer.message


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_keeps_the_best_mesh(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)
    original = adaptivity.axis_errors

    def interrupting(*arguments: Any, **options: Any) -> Any:
        if next(calls) == at:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(adaptivity, "axis_errors", interrupting)
    if at == 1:
        with pytest.raises(KeyboardInterrupt):
            it.solve(layer(12, 0.01), tolerance=1e-6, adapt="mesh")
        return
    answer = it.solve(layer(12, 0.01), tolerance=1e-6, adapt="mesh")
    assert answer.status == "interrupted"
    assert len(answer.history) == at - 1
    assert np.isfinite(answer.error_estimate.total)


def test_slabs_that_the_solver_chose_by_itself_meet_at_the_same_times_on_all_meshes() -> None:
    x, y, z = (it.Axis(name, -10, 10, elements=24) for name in "xyz")
    t = it.Axis("t", 0, 0.1, elements=24, kind="time")
    u = it.unknown("u", x, y, z, t)
    exact = (1 - sympy.exp(-15 * t)) * sympy.exp(-(y**2) - (x - 100 * t + 5) ** 2)
    travelling = it.Problem(
        strong=it.dt(u) - it.laplacian(u) - (it.dt(exact) - it.laplacian(exact)),
        conditions=[u.on(x, y) == 0, u.at(t=0) == 0],
    )
    answer = it.solve(travelling, tolerance=1e-2, adapt="mesh", progress=False)
    assert answer.status == "converged"
    assert answer.error_estimate.total <= 1e-2
    assert len(answer.history) > 1
    assert isinstance(answer.model, it.SlabModel)
