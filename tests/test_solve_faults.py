"""What a solver says when something cannot be had: tolerances below rounding, lost coercivity, too little memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sympy import exp, pi, sin

import inntd as it
from inntd.models import memory
from inntd.solvers import automatic, direct, slabs, tucker_galerkin
from inntd.solvers.lost import indefinite_at


def square(elements: int = 12) -> it.Problem:
    x, y = (it.Axis(name, 0, 1, elements=elements) for name in "xy")
    u, v = it.unknown("u", x, y), it.test_function()
    source = exp(x * y) * sin(pi * x)
    return it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=[u.on(x, y) == 0])


def cube() -> it.Problem:
    x, y, z = (it.Axis(name, 0, 1, elements=8) for name in "xyz")
    u, v = it.unknown("u", x, y, z), it.test_function()
    return it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y, z) == 0])


def bar(low: float, high: float, sign: int = 1) -> it.Problem:
    """-u'' - k u = 1: coercive for k below the square of pi."""
    x, k = it.Axis("x", 0, 1, elements=24), it.Axis("k", low, high, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    form = sign * (it.diff(v, x) * it.diff(u, x) - k * u * v - v)
    return it.Problem(weak=form, conditions=[u.on(x) == 0])


# --------------------------------------------------------------------------------------------------------- the floor


@pytest.mark.parametrize("method", ["auto", "alternating", "direct", "tucker", "minimal_residual"])
def test_below_rounding_the_floor_is_a_figure_and_nothing_counts_as_converged(method: Any) -> None:
    answer = it.solve(square(), tolerance=1e-15, method=method)
    assert answer.status == "stagnated"
    told = re.search(r"the floor here is about (\S+), by rounding, above the tolerance 1e-15", answer.message)
    assert told is not None
    assert float(told[1]) == pytest.approx(answer.error_estimate.total, rel=0.5)
    assert 1e-13 < answer.error_estimate.total < 1e-9
    # The floor is one: what it says can be had, and what is there is no better than round-off.
    again = it.solve(square(), tolerance=10 * float(told[1]), method=method)
    assert again.status == "converged"
    assert answer.model.relative_distance(again.model) < 100 * float(told[1])


def test_a_reduced_basis_tells_its_floor_and_no_other_route_is_tried() -> None:
    x, k, h = it.Axis("x", 0, 1, elements=16), *(it.Axis(n, 1, 9, elements=8, kind="parameter") for n in "kh")
    u, v = it.unknown("u", x, k, h), it.test_function()
    form = (k * it.indicator(x < 0.5) + h * it.indicator(x >= 0.5)) * it.diff(v, x) * it.diff(u, x) - v
    answer = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), tolerance=1e-15)
    assert (answer.status, answer.route) == ("stagnated", "reduced_basis")
    assert "the floor here is about 1e-12" in answer.message
    assert not any(note.startswith("tried") for note in answer.notes)


def test_where_the_tolerance_is_met_there_is_no_floor() -> None:
    answer = it.solve(square(), tolerance=1e-9)
    assert answer.status == "converged"
    assert "floor" not in answer.message


# ------------------------------------------------------------------------------------------------------- coercivity


@pytest.mark.parametrize("sign", [1, -1])
def test_the_place_where_coercivity_is_lost_is_the_first_eigenvalue(sign: int) -> None:
    answer = it.solve(bar(2, 30, sign), method="reduced_basis", tolerance=1e-6)
    note = next(note for note in answer.notes if "not coercive" in note)
    places = re.search(r"k = (\S+), and at (\d+)% of", note)
    assert places is not None
    share = (30 - np.pi**2) / 28  # if it is the smaller part of the box that is told, the sign is turned
    first, told = float(places[1].rstrip(",")), int(places[2]) / 100
    assert min(abs(told - share), abs(told - (1 - share))) < 0.02
    assert abs(first - np.pi**2) < 0.2 or first == 2.0


def test_a_coercive_box_is_not_complained_of() -> None:
    answer = it.solve(bar(2, 9), method="reduced_basis", tolerance=1e-6)
    assert not any("not coercive" in note for note in answer.notes)


def test_matrices_of_both_signs_are_found_where_they_are() -> None:
    random = np.random.default_rng(0)
    a, b = (part @ part.T for part in random.standard_normal((2, 5, 5)))
    operator = np.stack([a, b, np.triu(np.ones((5, 5)), 1) - np.tril(np.ones((5, 5)), -1)])
    theta = random.uniform([0, -0.8, -1], [2, 1.2, 1], (200, 3))
    values = [np.linalg.eigvalsh(t[0] * a + t[1] * b) for t in theta]
    assert indefinite_at(operator, theta).tolist() == [bool(value[0] < 0) for value in values]


# ------------------------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    ("method", "module", "what"),
    [
        ("direct", direct, "a direct solution of all coefficients"),
        ("tucker", tucker_galerkin, "the bases of a Tucker model"),
    ],
)
def test_memory_is_refused_in_gigabytes(method: Any, module: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    monkeypatch.setattr(module, "load_tensor", lambda *_: pytest.fail("nothing should be allocated"))
    with pytest.raises(MemoryError, match=rf"{what} needs .* GB, available memory allows 9e-07 GB: use fewer"):
        it.solve(cube() if method == "tucker" else square(), method=method)


def test_auto_goes_round_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = it.solve(square(), tolerance=1e-10)
    assert roomy.route == "direct"
    monkeypatch.setattr(automatic, "available_bytes", lambda: 1000)
    answer = it.solve(square(), tolerance=1e-10)
    assert answer.route == "alternating"
    assert answer.model.relative_distance(roomy.model) < 1e-8


# ------------------------------------------------------------------------------------------------------- time slabs


@pytest.mark.parametrize("failure", [np.linalg.LinAlgError("singular"), MemoryError("needs 7 GB")])
def test_a_slab_that_fails_keeps_those_before_it(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    x, t = it.Axis("x", 0, 1, elements=12), it.Axis("t", 0, 1, elements=32, kind="time", s=2)
    u = it.unknown("u", x, t)
    heat = it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=[u.on(x) == 0, u.at(t=0) == 0])
    plain, count = slabs.solve_single, iter(range(9))

    def third_fails(*arguments: Any) -> Any:
        if next(count) == 2:
            raise failure
        return plain(*arguments)

    monkeypatch.setattr(slabs, "solve_single", third_fails)
    answer = it.solve(heat, slabs=4, tolerance=1e-6)
    assert answer.status == "diverged"
    assert answer.model.axis.domain == (0.0, 0.5)
    assert f"the slab of t from 0.5 to 0.75: {failure}" in answer.message


def test_a_first_slab_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    x, t = it.Axis("x", 0, 1, elements=12), it.Axis("t", 0, 1, elements=32, kind="time", s=2)
    u = it.unknown("u", x, t)
    heat = it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=[u.on(x) == 0, u.at(t=0) == 0])

    def fails(*_: Any) -> Any:
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr(slabs, "solve_single", fails)
    with pytest.raises(np.linalg.LinAlgError):
        it.solve(heat, slabs=4, tolerance=1e-6)
