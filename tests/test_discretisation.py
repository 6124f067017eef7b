"""The mesh's part of the error, by axis, against exact solutions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from sympy import Rational, cos, exp, pi, sin

import inntd as it
from inntd.solvers import differences, discretisation
from inntd.solvers.discretisation import axis_errors, total

POWER = Rational(3, 5)


def poisson(exact: Any, *axes: it.Axis) -> it.Problem:
    u = it.unknown("u", *axes)
    source = -it.laplacian(u) + it.laplacian(exact)
    return it.Problem(strong=source, conditions=[u.on("boundary") == exact], exact=exact)


def sines(elements: int, s: int | None, count: int = 3) -> it.Problem:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=elements, s=s) for i in range(1, count + 1)]
    return poisson(sum(sin(pi / 2 * x) for x in axes), *axes)


def layer(elements: int, width: float) -> it.Problem:
    x, y = (it.Axis(name, 0, 1, elements=elements) for name in "xy")
    u = it.unknown("u", x, y)
    exact = (1 + exp(-1 / width) - exp(-x / width) - exp((x - 1) / width)) * sin(pi * y)
    form = width**2 * (it.laplacian(exact) - it.laplacian(u)) + u - exact
    return it.Problem(strong=form, conditions=[u.on(x, y) == 0], exact=exact)


def corner(elements: int, s: int, power: Any = POWER) -> it.Problem:
    x, y = it.Axis("x", 0, 1, elements=elements, s=s), it.Axis("y", 0, 1, elements=elements, s=s)
    u, v = it.unknown("u", x, y), it.test_function()
    along, slope = x**power - x, power * x ** (power - 1) - 1
    form = it.dot(it.grad(v), it.grad(u)) - it.diff(v, x) * slope * sin(pi * y)
    form -= it.diff(v, y) * along * pi * cos(pi * y)
    return it.Problem(weak=form, conditions=[u.on("boundary") == 0], exact=along * sin(pi * y))


def heat(elements: int, s: int) -> it.Problem:
    x, t = it.Axis("x", 0, 1, elements=16), it.Axis("t", 0, 1, elements=elements, kind="time", s=s)
    u = it.unknown("u", x, t)
    exact = sin(pi * x) * (1 - exp(-8 * t))
    form = it.dt(u) - it.laplacian(u) - (it.dt(exact) - it.laplacian(exact))
    return it.Problem(strong=form, conditions=[u.on(x) == 0, u.at(t=0) == 0], exact=exact)


def parameter(elements: int, s: int) -> it.Problem:
    x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 0.1, 4, elements=elements, kind="parameter", s=s)
    u = it.unknown("u", x, k)
    form = -k * it.laplacian(u) - 2
    return it.Problem(strong=form, conditions=[u.on(x) == 0], exact=x * (1 - x) / k)


CASES = {
    "smooth, s=1": lambda: sines(8, 1),
    "smooth, s=2": lambda: sines(12, 2),
    "smooth, s=3": lambda: sines(10, 3),
    "patches that cannot grow": lambda: sines(8, 4),
    "layer, unresolved": lambda: layer(16, 0.01),
    "layer, resolved": lambda: layer(32, 0.1),
    "singular, s=1": lambda: corner(16, 1),
    "singular, s=3": lambda: corner(32, 3),
    "time, coarse": lambda: heat(8, 2),
    "time, fine": lambda: heat(24, 3),
    "parameter, coarse": lambda: parameter(8, 2),
    "parameter, fine": lambda: parameter(32, 3),
}


#: x^-0.4 at the corner is integrated as well as it can be.
singular_sources = pytest.mark.filterwarnings("ignore::inntd.axes.QuadratureWarning")


@singular_sources
@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_of_the_size_of_the_error(name: str) -> None:
    problem = CASES[name]()
    answer = it.solve(problem, tolerance=1e-10)
    error = answer.model.error(problem.exact)
    assert answer.error_estimate.discretisation is not None
    assert 0.5 * error <= answer.error_estimate.discretisation <= 20 * error


def test_estimates_fall_with_the_order_of_the_basis() -> None:
    found = [it.solve(sines(n, 2), tolerance=1e-11).error_estimate.discretisation for n in (8, 16)]
    assert found[0] is not None
    assert found[1] is not None
    assert 4.5 < np.log2(found[0] / found[1]) < 6.5


@pytest.mark.parametrize("route", ["alternating", "tucker"])
def test_the_error_lies_with_the_axis_of_the_coarse_mesh(route: Any) -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=n) for name, n in (("x", 24), ("y", 8), ("z", 24)))
    exact = sin(2 * pi * x) * sin(2 * pi * y) * sin(2 * pi * z)
    answer = it.solve(poisson(exact, x, y, z), tolerance=1e-8, method=route)
    shares = answer.error_estimate.by_axis
    assert shares["y"] > 100 * max(shares["x"], shares["z"])
    assert answer.error_estimate.discretisation == pytest.approx(np.linalg.norm(list(shares.values())))


def test_modes_that_cancel_count_as_their_sum() -> None:
    x, y = it.Axis("x", 0, 1, elements=10, s=1), it.Axis("y", 0, 1, elements=10, s=1)
    wave, rest = np.sin(3 * x.nodes), np.cos(y.nodes)
    one = it.CPModel.from_factors([x, y], [wave[:, None], rest[:, None]])
    big = 1e5 * np.sin(9 * x.nodes)
    columns = np.stack([wave + big, big], axis=1)
    many = it.CPModel.from_factors([x, y], [columns, np.stack([rest, -rest], axis=1)])
    for first, second in zip(axis_errors(one), axis_errors(many), strict=True):
        assert second.error == pytest.approx(first.error, rel=1e-6)


def test_elements_hold_the_error_of_their_axis_where_the_solution_is_sharp() -> None:
    answer = it.solve(layer(32, 0.02), tolerance=1e-8)
    along, _ = axis_errors(answer.model, by_element=True)
    assert np.linalg.norm(along.elements) == pytest.approx(along.error)
    assert np.linalg.norm(along.elements[6:-6]) < 0.3 * along.error


def test_polynomials_of_the_space_have_no_error_and_discrete_axes_none_either() -> None:
    c = it.Axis.discrete("c", 3, kind="parameter")
    x = it.Axis("x", 0, 2, elements=9, s=2)
    model = it.CPModel.from_factors([c, x], [np.array([[1.0], [5.0], [2.0]]), x.nodes[:, None] ** 4])
    found = axis_errors(model)
    assert found[0].error == 0.0
    assert found[1].error < 1e-14


def test_a_hundred_axes_neither_overflow_nor_lose_their_estimate() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(1, 101)]
    factors = [1e9 * np.sin(2 + axis.nodes)[:, None] for axis in axes]
    found = axis_errors(it.CPModel.from_factors(axes, factors))
    single = axis_errors(it.CPModel.from_factors(axes[:1], factors[:1]))
    assert total(found) == pytest.approx(10 * total(single), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_sizes_at_the_ends_of_float64_and_empty_modes_change_nothing(scale: float) -> None:
    x, y = (it.Axis(name, 0, 1, elements=10, s=1) for name in "xy")
    wave, rest = np.sin(3 * x.nodes)[:, None], np.cos(y.nodes)[:, None]
    zero, big = np.zeros((11, 1)), np.full((11, 1), 1e250)
    plain = axis_errors(it.CPModel.from_factors([x, y], [wave, rest]), by_element=True)
    odd = it.CPModel.from_factors([x, y], [np.hstack([scale * wave, zero]), np.hstack([rest, big])])
    for first, second in zip(plain, axis_errors(odd, by_element=True), strict=True):
        assert second.error == pytest.approx(first.error, rel=1e-6)
        assert second.elements == pytest.approx(first.elements, rel=1e-6)


def test_long_axes_are_looked_at_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    x = it.Axis("x", 0, 1, elements=301, s=2)
    model = it.CPModel.from_factors([x], [np.sin(60 * x.nodes)[:, None]])
    (whole,) = axis_errors(model, by_element=True)
    monkeypatch.setattr(differences, "NUMBERS_AT_ONCE", 1000)
    (pieces,) = axis_errors(model, by_element=True)
    assert pieces.error == pytest.approx(whole.error, rel=1e-9)
    assert pieces.elements == pytest.approx(whole.elements, rel=1e-6)


def test_reduced_models_and_slabs_are_estimated_too() -> None:
    x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 10, elements=8, kind="parameter")
    u = it.unknown("u", x, k)
    exact = sin(3 * pi * x) / k
    form = -k * it.laplacian(u) - 9 * pi**2 * sin(3 * pi * x)
    problem = it.Problem(strong=form, conditions=[u.on(x) == 0], exact=exact)
    answer = it.solve(problem, tolerance=1e-6, method="reduced_basis")
    points = np.random.default_rng(0).uniform([0, 1], [1, 10], (4000, 2))
    values = problem.exact_function(points)  # type: ignore[misc]
    error = np.linalg.norm(answer.model(points).numpy() - values) / np.linalg.norm(values)
    assert answer.error_estimate.by_axis["k"] == 0.0
    assert answer.error_estimate.discretisation is not None
    assert 0.5 * error < answer.error_estimate.discretisation < 20 * error

    slabs = it.solve(heat(24, 3), tolerance=1e-8, slabs=2)
    whole = it.solve(heat(24, 3), tolerance=1e-8)
    assert slabs.error_estimate.by_axis["x"] == pytest.approx(whole.error_estimate.by_axis["x"], rel=0.1)


def test_without_adapt_the_status_is_about_the_discrete_system_and_the_mesh_is_told() -> None:
    answer = it.solve(layer(16, 0.01), tolerance=1e-6)
    assert answer.status == "converged"
    assert "but the mesh leaves an error of about" in answer.message
    assert any("adapt='mesh'" in note for note in answer.notes)
    fine = it.solve(sines(16, 3), tolerance=1e-6)
    assert "mesh" not in fine.message
    assert not any("adapt" in note for note in fine.notes)


def test_quick_sums_are_left_where_modes_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (it.Axis(name, 0, 1, elements=12, s=1) for name in "xy")
    random = np.random.default_rng(0)
    models = [it.CPModel.from_factors([x, y], [random.random((13, 4)) for _ in "xy"])]
    big = random.random(13)
    near = np.stack([np.sin(x.nodes) + 1e7 * big, 1e7 * big], axis=1)
    models.append(it.CPModel.from_factors([x, y], [near, np.ones((13, 2)) * [1, -1]]))
    quick = [axis_errors(model, by_element=True) for model in models]
    monkeypatch.setattr(discretisation, "_quick", lambda *_: None)
    careful = [axis_errors(model, by_element=True) for model in models]
    for first, second in zip(itertools.chain(*quick), itertools.chain(*careful), strict=True):
        assert first.error == pytest.approx(second.error, rel=1e-4, abs=1e-13)
        assert first.elements == pytest.approx(second.elements, rel=1e-3, abs=1e-13)


def test_rank_only_solves_do_not_pay_for_it() -> None:
    answer = it.solve(sines(8, 2), rank=3)
    assert answer.error_estimate.discretisation is None
    assert answer.error_estimate.by_axis == {}
