"""Time slabs: against exact solutions and one slab, interfaces, statistics, files, faults, interruption."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sympy import Abs, cos, exp, pi, sin

import inntd as it
from inntd.models import Field, memory
from inntd.solvers import slabs as march
from inntd.solvers.coordinates import choose_coordinates
from inntd.solvers.operator import assemble
from inntd.solvers.slab_lengths import source_path, split

TOLERANCE = 1e-8


def axes(elements: int = 32, space: int = 20, s: int = 2) -> tuple[it.Axis, ...]:
    x, y = (it.Axis(name, 0, 1, elements=space, s=s) for name in "xy")
    return x, y, it.Axis("t", 0, 1, elements=elements, kind="time", s=s)


def heat(x: it.Axis, y: it.Axis, t: it.Axis, start: Any = None) -> it.Problem:
    """Heat with an exact solution that two modes hold, and that never settles."""
    u = it.unknown("u", x, y, t)
    exact = sin(pi * x) * sin(pi * y) * cos(3 * t) + t * sin(2 * pi * x) * sin(pi * y)
    return it.Problem(
        strong=it.dt(u) - 0.1 * it.laplacian(u) - (it.dt(exact) - 0.1 * it.laplacian(exact)),
        conditions=[u.on(x, y) == 0, u.at(t=t.domain[0]) == sin(pi * x) * sin(pi * y)],
        exact=exact,
    )


def points(count: int, dimension: int = 3) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(0).random((count, dimension))


def true_error(problem: it.Problem, model: Any) -> float:
    p = points(4000)
    exact = problem.exact_function(p)
    return float(np.linalg.norm(model(p).numpy() - exact) / np.linalg.norm(exact))


@functools.cache
def solved() -> tuple[it.Problem, Any]:
    problem = heat(*axes())
    return problem, it.solve(problem, slabs=4, tolerance=TOLERANCE)


@pytest.mark.parametrize("slabs", [1, 3, [0.3, 0.55], [0.0, 0.5, 1.0]])
@pytest.mark.parametrize("method", ["auto", "tucker"])
def test_slabs_are_as_good_as_one_solution(slabs: Any, method: Any) -> None:
    problem = heat(*axes())
    whole = it.solve(problem, tolerance=TOLERANCE, method=method)
    answer = it.solve(problem, tolerance=TOLERANCE, slabs=slabs, method=method)
    assert answer.status == "converged"
    assert answer.error_estimate.algebraic <= TOLERANCE
    assert true_error(problem, answer.model) <= 1.05 * true_error(problem, whole.model)
    assert len(answer.history) == (slabs if isinstance(slabs, int) else len([p for p in slabs if 0 < p < 1]) + 1)


def test_errors_fall_with_the_order_of_the_basis() -> None:
    errors = []
    for elements in (16, 32):
        problem = heat(*axes(elements, elements, s=1))
        errors.append(true_error(problem, it.solve(problem, slabs=4, tolerance=1e-9).model))
    assert np.log2(errors[0] / errors[1]) > 2.7


def test_boundary_values_that_move_are_met_in_every_slab() -> None:
    x, t = it.Axis("x", 0, 1, elements=24), it.Axis("t", 0, 2, elements=48, kind="time")
    u = it.unknown("u", x, t)
    exact = (1 + x) * sin(t) + cos(2 * t) * exp(x)
    problem = it.Problem(
        strong=it.dt(u) - it.laplacian(u) - (it.dt(exact) - it.laplacian(exact)),
        conditions=[u.on(x) == exact, u.at(t=0) == exp(x)],
        exact=exact,
    )
    model = it.solve(problem, slabs=3, tolerance=1e-8).model
    p = points(2000, 2) * [1, 2]
    assert np.abs(model(p).numpy() - problem.exact_function(p)).max() < 1e-6


def test_systems_go_on_component_by_component() -> None:
    x, t = it.Axis("x", 0, 1, elements=16), it.Axis("t", 0, 2, elements=48, kind="time")
    a, b = it.unknown("a", x, t), it.unknown("b", x, t)  # a' = b, b' = -a: a turning pointer
    problem = it.Problem(strong=[it.dt(a) - b, it.dt(b) + a], conditions=[a.at(t=0) == x, b.at(t=0) == 1])
    answer = it.solve(problem, slabs=4, tolerance=1e-8)
    assert answer.status == "converged"
    for place, time in ((0.2, 0.3), (0.7, 1.2), (1.0, 2.0)):
        assert abs(answer.fields["a"].at(x=place, t=time) - (place * np.cos(time) + np.sin(time))) < 1e-6
        assert abs(answer.fields["b"].at(x=place, t=time) - (np.cos(time) - place * np.sin(time))) < 1e-6


def test_ends_are_handed_over_within_the_stated_rounding() -> None:
    _, answer = solved()
    model = answer.model
    for step, left, right in zip(answer.history, model.slabs, model.slabs[1:], strict=False):
        end, start = left.at(t=step.stop), right.at(t=step.stop)
        assert start.relative_distance(end) <= step.handover * (1 + 1e-6) + 1e-14
        assert model.at(t=step.stop).relative_distance(end) < 1e-14  # the interface belongs to the left
    assert 0 < max(step.handover for step in answer.history) <= TOLERANCE


def test_a_coarse_rounding_is_measured_and_counted() -> None:
    x, y, t = axes()
    u = it.unknown("u", x, y, t)
    source = sum(exp(-20 * ((x - a) ** 2 + (y - a) ** 2)) * (1 + t) for a in (0.2, 0.4, 0.6, 0.8))
    source += exp(-30 * (x - y) ** 2)
    problem = it.Problem(
        strong=it.dt(u) - 0.01 * it.laplacian(u) - source, conditions=[u.on(x, y) == 0, u.at(t=0) == 0]
    )
    fine = it.solve(problem, tolerance=1e-6)
    answer = it.solve(problem, slabs=4, tolerance=3e-2)
    p = points(4000)
    expected = fine.model(p).numpy()
    error = np.linalg.norm(answer.model(p).numpy() - expected) / np.linalg.norm(expected)
    worst = max(step.handover for step in answer.history)
    assert worst > 1e-4
    assert 0.5 * error <= answer.error_estimate.algebraic <= 20 * error
    assert answer.model.metadata["handovers"] == [step.handover for step in answer.history[:-1]]


def test_a_field_of_slabs_is_a_field() -> None:
    problem, answer = solved()
    model = answer.model
    assert isinstance(model, Field)
    assert model.exact_statistics
    p = points(500)
    value, gradient, second = model.jet(p)
    assert torch.allclose(value, model(p), rtol=0, atol=1e-13)
    leaf = torch.tensor(p, requires_grad=True)
    (slope,) = torch.autograd.grad(model(leaf).sum(), leaf)
    assert torch.allclose(slope, gradient, atol=1e-9)
    assert second.shape == (500, 3)
    times = [0.9, 0.25, 0.1, 0.6, 0.5]  # out of order, and at interfaces
    grid = model.grid(x=[0.2, 0.7], y=0.4, t=times)
    listed = [[[x, 0.4, t] for t in times] for x in (0.2, 0.7)]
    assert torch.allclose(grid, model(np.reshape(listed, (-1, 3))).reshape(2, 5), atol=1e-14)
    assert torch.equal(model.grid(x=[0.2, 0.7], y=0.4, t=0.9), model.grid(x=[0.2, 0.7], y=0.4, t=[0.9])[:, 0])
    assert torch.allclose(model.at(x=0.3, y=0.6)(p[:, 2:]), model(np.c_[np.full((500, 2), [0.3, 0.6]), p[:, 2:]]))
    assert model(np.array([[0.5, 0.5, 7.0]]), extrapolate="clamp") == model(np.array([[0.5, 0.5, 1.0]]))
    assert model(np.zeros((0, 3))).shape == (0,)
    assert "4 slabs of t" in repr(model)
    assert problem.axes[2].domain == model.axes[2].domain


def test_statistics_are_those_of_quadrature() -> None:
    model = solved()[1].model
    nodes, weights = np.polynomial.legendre.leggauss(6)
    edges = np.linspace(0, 1, 33)
    x = (edges[:-1, None] + np.diff(edges)[:, None] * (nodes + 1) / 2).reshape(-1)
    w = (np.diff(edges)[:, None] * weights / 2).reshape(-1)
    values = model.grid(x=x, y=x, t=x).numpy()
    assert abs(model.integrate() - np.einsum("ijk,i,j,k", values, w, w, w)) < 1e-10
    assert abs(model.norm() - np.sqrt(np.einsum("ijk,i,j,k", values**2, w, w, w))) < 1e-8
    assert np.abs(model.mean("t").grid(x=x, y=0.5).numpy() - model.grid(x=x, y=0.5, t=x).numpy() @ w).max() < 1e-10
    assert np.abs(model.mean("x", "y").grid(t=x).numpy() - np.einsum("ijk,i,j->k", values, w, w)).max() < 1e-10
    assert abs(model.mean("x").mean("y", "t") - model.mean()) < 1e-14


def test_files_bring_slabs_back_to_the_bit(tmp_path: Path) -> None:
    x, t = it.Axis("x", 0, 1, elements=16), it.Axis("t", nodes=np.linspace(0, 1, 201) ** 1.5, kind="time", s=1)
    parts = [t.part(0, 80), t.part(80, 200)]
    models: list[Any] = [it.CPModel.from_factors([x, p], [np.sin(x.nodes)[:, None], p.nodes[:, None]]) for p in parts]
    model = it.SlabModel([models[0], models[1].to_tucker()], t)
    model.metadata["note"] = "by hand"
    model.save(tmp_path / "slabs.inntd")
    again = it.load(tmp_path / "slabs.inntd")
    assert isinstance(again, it.SlabModel)
    assert again.metadata == {"note": "by hand"}
    p = points(300, 2)
    assert torch.equal(again(p), model(p))
    assert again.axis.key == t.key
    assert again.interfaces == model.interfaces
    assert abs(again.integrate("t").at(x=0.5) - model.integrate("t").at(x=0.5)) < 1e-15


def test_a_source_that_separates_nowhere_is_followed() -> None:
    x, y = (it.Axis(name, -1, 1, elements=80, s=2) for name in "xy")
    t = it.Axis("t", 0, 1.2, elements=96, kind="time", s=2)
    radius = 0.1

    def state(t: it.Axis) -> it.Problem:
        u = it.unknown("u", x, y, t)
        source = exp(-((x + 0.6 - t) ** 2 + y**2) / (2 * radius**2))
        return it.Problem(
            strong=it.dt(u) - 0.02 * it.laplacian(u) - source,
            conditions=[u.on(x, y) == 0, u.at(t=0) == 0],
            separation_tolerance=1e-5,
        )

    whole = state(t)
    _, path = source_path(t, whole)
    assert abs(path[-1] - 1.2 / radius) < 0.02 * 1.2 / radius  # in radii
    assert split(t, "auto", whole)[1] == [0, 48, 96]
    answer = it.solve(state, time=t, slabs=2, tolerance=1e-3, method="tucker")
    assert answer.status == "converged"
    by_problem = it.solve(whole, slabs="auto", tolerance=1e-3, method="tucker")
    ages, weights = np.polynomial.legendre.leggauss(200)
    ages, weights = 0.6 * (ages + 1), 0.6 * weights
    p = np.random.default_rng(0).uniform([-0.7, -0.3], [0.8, 0.3], (500, 2))
    variance = radius**2 + 0.04 * ages  # in free space: the walls are far
    square = (p[:, :1] - 0.6 + ages) ** 2 + p[:, 1:] ** 2
    exact = (radius**2 / variance * np.exp(-square / (2 * variance))) @ weights
    for found in (answer, by_problem):
        values = found.model(np.column_stack([p, np.full(500, 1.2)])).numpy()
        assert np.linalg.norm(values - exact) < 2e-3 * np.linalg.norm(exact)


def test_sources_that_stand_still_make_one_slab() -> None:
    x, y, t = axes()
    u = it.unknown("u", x, y, t)
    problem = it.Problem(
        strong=it.dt(u) - it.laplacian(u) - (1 + t) * sin(pi * x), conditions=[u.on(x, y) == 0, u.at(t=0) == 0]
    )
    assert split(t, "auto", problem)[1] == [0, 32]


@pytest.mark.parametrize(
    ("slabs", "error", "message"),
    [
        (0, ValueError, "slabs must be a positive integer"),
        (True, TypeError, "slabs"),
        (9, ValueError, "at least 4 elements of the axis t each, got 3"),
        ([0.5, 0.3], ValueError, "increasing times, got 0.3 after 0.5"),
        ([0.5, 1.5], ValueError, "times of the axis t, from 0 to 1, got 1.5"),
        ("many", ValueError, "slabs must be"),
        (None.__class__, TypeError, "a number of slabs, a list of times or 'auto'"),
    ],
)
def test_slabs_that_make_no_sense_are_refused(slabs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        it.solve(heat(*axes()), slabs=slabs)


def test_problems_without_a_start_in_time_are_refused() -> None:
    x, y, t = axes()
    u, v = it.unknown("u", x, y), it.test_function()
    still = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])
    with pytest.raises(ValueError, match="the problem has none, only x, y"):
        it.solve(still, slabs=2)
    with pytest.raises(TypeError, match="time must be the time axis"):
        it.solve(lambda t: heat(x, y, t), slabs=2)
    with pytest.raises(ValueError, match="its source is not known for all times"):
        it.solve(lambda t: heat(x, y, t), slabs="auto", time=t)
    with pytest.raises(ValueError, match="time is for problems that are functions"):
        it.solve(heat(x, y, t), slabs=2, time=t)
    with pytest.raises(TypeError, match=r"must return an inntd\.Problem"):
        it.solve(lambda t: 3, slabs=2, time=t)  # type: ignore[arg-type, return-value]


def test_slabs_that_do_not_follow_each_other_are_refused() -> None:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=24, kind="time")
    a, b = (it.CPModel([x, t.part(*ends)], 1) for ends in ((0, 8), (16, 24)))
    with pytest.raises(ValueError, match=r"slabs\[1\] must start where the part before ends, t=0.333333, got 0.666667"):
        it.SlabModel([a, b], t)
    with pytest.raises(ValueError, match="must end with the axis"):
        it.SlabModel([a], t)


def test_memory_is_refused_in_gigabytes_before_anything_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    monkeypatch.setattr(march, "solve_single", lambda *_: pytest.fail("nothing should be solved"))
    with pytest.raises(MemoryError, match=r"a march of 4 slabs with 200 modes each needs .* GB"):
        it.solve(heat(*axes()), slabs=4, tolerance=1e-6)


@pytest.mark.parametrize("how", ["interrupted", "raised", "diverged", "max_rank"])
def test_what_there_is_is_kept(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, count = march.solve_single, 0

    def third_fails(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3 and how == "raised":
            raise KeyboardInterrupt
        found = whole(*arguments)
        if count == 3:
            outcome = march.replace(found.outcome, status=how, message="as told", estimate=1e-3)
            return march.replace(found, outcome=outcome)
        return found

    monkeypatch.setattr(march, "solve_single", third_fails)
    problem = heat(*axes())
    answer = it.solve(problem, slabs=4, tolerance=TOLERANCE)
    kept = 2 if how in ("raised", "diverged") else 3  # the best so far of the slab itself, unless it diverged
    assert answer.status == ("interrupted" if how == "raised" else how)
    assert answer.model.axis.domain == (0.0, kept / 4)
    assert how == "raised" or "from 0.5 to 0.75: as told" in answer.message
    assert f"{kept} of 4 time slabs" in answer.notes[0]
    p = points(200) * [1, 1, 0.5]
    assert np.abs(answer.model(p).numpy() - problem.exact_function(p)).max() < 1e-3


def test_one_seed_gives_the_same_bits() -> None:
    first, second = (it.solve(heat(*axes()), slabs=2, rank=3).model for _ in range(2))
    assert torch.equal(first(points(100)), second(points(100)))


def test_long_axes_keep_the_eigenvectors_that_loads_reach() -> None:
    x, y = (it.Axis(name, -1, 1, elements=400, s=2) for name in "xy")
    t = it.Axis("t", 0, 0.5, elements=16, kind="time", s=2)
    u = it.unknown("u", x, y, t)
    smooth = exp(-80 * (x**2 + y**2)) * (1 + t)
    problem = it.Problem(strong=it.dt(u) - it.laplacian(u) - smooth, conditions=[u.on(x, y) == 0, u.at(t=0) == 0])
    chosen = choose_coordinates(assemble(problem))
    assert len(chosen[0].order) < 100
    kinked = exp(-Abs(x)) * exp(-Abs(y))
    rough = it.Problem(strong=it.dt(u) - it.laplacian(u) - kinked, conditions=[u.on(x, y) == 0, u.at(t=0) == 0])
    assert len(choose_coordinates(assemble(rough))[0].order) > 100
    found = it.solve(problem, tolerance=1e-8, method="alternating")
    dense = it.solve(problem, tolerance=1e-8, method="direct")
    assert found.model.relative_distance(dense.model) < 1e-7


def test_a_narrow_source_far_from_the_origin_does_not_vanish() -> None:
    x, t = it.Axis("x", -1, 1, elements=400, s=2), it.Axis("t", 0, 0.1, elements=16, kind="time", s=2)
    u = it.unknown("u", x, t)
    r = 0.01
    problem = it.Problem(
        strong=it.dt(u) - it.laplacian(u) - exp(-((x + 0.8 - t) ** 2) / (2 * r**2)), conditions=[u.at(t=0) == 0]
    )
    assert problem.load
    # No flux through the walls: the heat is what the source has given.
    heat = it.solve(problem, tolerance=1e-6).model.at(t=0.1).integrate()
    assert abs(heat - 0.1 * r * np.sqrt(2 * np.pi)) < 1e-5 * heat
