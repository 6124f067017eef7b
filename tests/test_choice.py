"""The choice among all routes: what it sees in a problem, what it takes, and what it does when that fails."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sympy import cos, exp, pi, sin

import inntd as it
from inntd import cli
from inntd.models import memory
from inntd.results import readable, save_pictures, summarise
from inntd.solvers import choice, fallback, reduced_basis, routes
from inntd.solvers.affine import affine_problem
from inntd.solvers.choice import choose
from inntd.solvers.cost import reduced_cost
from inntd.solvers.slab_lengths import travels
from inntd.solvers.traits import traits_of


def parameter(name: str, start: float, stop: float, **options: Any) -> it.Axis:
    return it.Axis(name, start, stop, elements=8, kind="parameter", **options)


def block(low: float, high: float, elements: int = 8) -> it.Problem:
    """Two blocks of given conductivities, log-uniform, on a square that is cold on two sides."""
    x, y = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xy")
    z, w = (parameter(name, np.log10(low), np.log10(high)) for name in "zw")
    u, v = it.unknown("u", x, y, z, w), it.test_function()
    k = 10 ** z._sympy_() * it.indicator(x < 0.5) + 10 ** w._sympy_() * it.indicator(x >= 0.5)
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x.start, y.start) == 0])


def wind(eps: float, elements: int = 16) -> it.Problem:
    x, y = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xy")
    m = parameter("m", 0, 1.5)
    u, v = it.unknown("u", x, y, m), it.test_function()
    slope = cos(m._sympy_()) * it.diff(u, x) + sin(m._sympy_()) * it.diff(u, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", it.StabilityWarning)
        return it.Problem(weak=eps * it.dot(it.grad(v), it.grad(u)) + v * slope - v, conditions=[u.on(x, y) == 0])


def moving(radius: float, elements: int = 48, source: Any = None) -> it.Problem:
    """Heat of a source that crosses a rod within the unit of time."""
    x, t = it.Axis("x", -1, 1, elements=120, s=2), it.Axis("t", 0, 1, elements=elements, kind="time", s=2)
    u = it.unknown("u", x, t)
    bump = exp(-((x + 0.6 - 1.2 * t) ** 2) / (2 * radius**2)) if source is None else source(x, t)
    return it.Problem(
        strong=it.dt(u) - 0.02 * it.laplacian(u) - bump,
        conditions=[u.on(x) == 0, u.at(t=0) == 0],
        separation_tolerance=1e-5,
    )


# ------------------------------------------------------------------------------------------------------- what is seen


@pytest.mark.parametrize(("low", "high"), [(1.0, 3.0), (0.1, 10.0)])
def test_contrasts_are_ratios_of_the_coefficients_values(low: float, high: float) -> None:
    contrasts = traits_of(block(low, high)).contrasts
    assert contrasts == pytest.approx({"z": high / low, "w": high / low}, rel=1e-6)


def test_many_parameters_of_small_weight_are_mild() -> None:
    """Each alone moves the coefficient by a tenth, though its own term changes its sign."""
    x = it.Axis("x", 0, 1, elements=8)
    many = [parameter(f"z{i}", -1, 1) for i in range(6)]
    u, v = it.unknown("u", x, *many), it.test_function()
    k = 10 + sum(0.5 * cos(i * pi * x._sympy_()) * z for i, z in enumerate(many))
    traits = traits_of(it.Problem(weak=k * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0]))
    assert 1 < traits.contrast < 1.3
    assert not traits.strong


def test_peclet_numbers_and_the_turn_of_convection() -> None:
    traits = traits_of(wind(0.01))
    assert traits.peclet == pytest.approx(100, rel=1e-2)
    assert traits.mesh_peclet == pytest.approx(100 / 32, rel=1e-2)
    assert traits.turns == ("m",)


def test_a_coefficient_that_changes_its_sign_has_no_finite_contrast() -> None:
    x, k = it.Axis("x", 0, 1, elements=8), parameter("k", -1, 2)
    u, v = it.unknown("u", x, k), it.test_function()
    with pytest.warns(it.StabilityWarning):
        problem = it.Problem(weak=k * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0])
    traits = traits_of(problem)
    assert traits.contrast == np.inf
    assert "change sign or vanish" in str(traits)


def test_the_cost_is_that_of_the_matrices_that_are_made() -> None:
    problem = block(1, 3, 24)
    cost, affine = reduced_cost(problem, [0, 1]), affine_problem(problem, (0, 1), 1e-8)
    assert affine.space.size <= cost.nodes <= 1.2 * affine.space.size
    assert affine.space.nbytes() + affine.space.terms.nbytes <= 1e9 * cost.gigabytes
    assert 1e9 * cost.gigabytes <= 30 * (affine.space.nbytes() + affine.space.terms.nbytes)
    small, large = (reduced_cost(block(1, 3, elements), [0, 1]) for elements in (16, 64))
    assert large.nodes == 65**2
    assert large.seconds > 10 * small.seconds
    assert large.gigabytes > 10 * small.gigabytes


# ------------------------------------------------------------------------------------------------------ what is taken


def test_strong_coupled_parameters_go_to_a_reduced_basis_with_the_same_answer_as_by_hand() -> None:
    problem = block(0.1, 10)
    answer = it.solve(problem, tolerance=1e-4)
    assert answer.route == "reduced_basis"
    assert answer.status == "converged"
    assert "100-fold with 2 coupled parameters (z, w)" in answer.notes[0]
    by_hand = it.solve(problem, tolerance=1e-4, method="reduced_basis")
    points = np.random.default_rng(0).random((50, 4)) * [1, 1, 2, 2] - [0, 0, 1, 1]
    assert torch.equal(answer.model(points), by_hand.model(points))
    assert answer.error_estimate == by_hand.error_estimate


@pytest.mark.parametrize(
    ("problem", "families"),
    [
        (lambda: block(1, 3), ("separated", "reduced_basis")),
        (lambda: block(0.1, 10), ("reduced_basis", "separated")),
        (lambda: wind(0.1), ("separated", "reduced_basis")),
        (lambda: wind(0.005), ("reduced_basis", "separated")),
        (lambda: moving(0.05), ("slabs", "separated")),
        (lambda: moving(0.3), ("separated",)),
    ],
)
def test_routes_by_class(problem: Any, families: tuple[str, ...]) -> None:
    assert choose(problem()).families == families


def test_a_rank_asks_for_a_separated_model_of_so_many_modes() -> None:
    answer = it.solve(block(0.1, 10), rank=3)
    assert isinstance(answer.model, it.CPModel)
    assert "3 modes were asked for" in answer.notes[0]


def test_where_a_reduced_basis_does_not_suit_the_reason_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "FIRST", 0.0)
    found = choose(block(0.1, 10))
    assert found.families == ("separated",)
    assert "would take too much: 81 merged nodes" in found.reason
    x = it.Axis("x", 0, 1, elements=8)
    k, h = parameter("k", 1, 9), parameter("h", 1, 9)
    u, v = it.unknown("u", x, k, h), it.test_function()
    both = k * it.diff(v, x) * it.diff(u, x) + h * it.diff(v, k) * it.diff(u, k) - v
    halves = both + h * it.indicator(x < 0.5) * it.diff(v, x) * it.diff(u, x)
    diffused = choose(it.Problem(weak=halves, conditions=[u.on(x) == 0, u.on(k) == 0]))
    assert diffused.families == ("separated",)
    assert "differentiates or has conditions along k" in diffused.reason


# ---------------------------------------------------------------------------------------------------------- time slabs


def test_only_a_source_that_surely_travels_is_solved_in_slabs() -> None:
    assert travels(moving(0.05)) == pytest.approx(1.2 / 0.05, rel=0.05)
    assert travels(moving(0.3)) is None
    oscillating = moving(1.0, source=lambda x, t: sin(30 * t) * sin(pi * x) + cos(30 * t) * sin(2 * pi * x))
    assert travels(oscillating) is None  # a long path within two functions
    assert travels(moving(0.05, elements=8)) is None  # too few elements for three slabs


def test_slabs_by_choice_agree_with_one_solution() -> None:
    problem = moving(0.05)
    answer = it.solve(problem, tolerance=1e-4)
    assert answer.route == "slabs"
    assert isinstance(answer.model, it.SlabModel)
    assert answer.status == "converged"
    whole = it.solve(problem, tolerance=1e-6, method="direct")
    points = np.random.default_rng(0).random((500, 2)) * [2, 1] - [1, 0]
    expected = whole.model(points).numpy()
    assert np.linalg.norm(answer.model(points).numpy() - expected) < 1e-3 * np.linalg.norm(expected)


def test_a_travelling_source_goes_to_a_core_at_once_within_a_slab() -> None:
    x, y = (it.Axis(name, -1, 1, elements=60, s=2) for name in "xy")
    t = it.Axis("t", 0, 0.6, elements=36, kind="time", s=2)
    u = it.unknown("u", x, y, t)
    source = exp(-((x + 0.3 - t) ** 2 + y**2) / (2 * 0.1**2))
    problem = it.Problem(
        strong=it.dt(u) - 0.02 * it.laplacian(u) - source,
        conditions=[u.on(x, y) == 0, u.at(t=0) == 0],
        separation_tolerance=1e-5,
    )
    auto, tucker = (it.solve(problem, slabs=1, tolerance=1e-3, method=method) for method in ("auto", "tucker"))
    assert any("many functions of time" in note for note in auto.notes)
    points = np.random.default_rng(0).random((100, 3)) * [2, 2, 0.6] - [1, 1, 0]
    assert torch.equal(auto.model(points), tucker.model(points))


# ------------------------------------------------------------------------------------------------------------ fallback


def test_a_failing_route_is_followed_by_another_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few full solutions are allowed: the reduced basis ends at its largest rank, and modes take over."""
    plain = reduced_basis.reduce
    monkeypatch.setattr("inntd.solvers.reduced_route.reduce", lambda a, t, rank, s, w: plain(a, t, 2, s, w))
    answer = it.solve(block(0.2, 1), tolerance=1e-3)
    assert answer.route in ("alternating", "tucker")
    told = next(note for note in answer.notes if note.startswith("tried: "))
    assert "reduced_basis reached" in told
    assert "(max_rank)" in told
    assert f"returned: {answer.route}" in told
    assert answer.status == "converged"


def test_modes_that_do_not_come_to_an_end_are_followed_by_a_reduced_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_wanted", lambda _: None)
    monkeypatch.setattr(fallback, "GIVE_UP", 8)
    monkeypatch.setattr("inntd.solvers.automatic.COUPLED_AXES", 0)  # no Tucker model in between
    answer = it.solve(block(0.1, 10), tolerance=1e-5)
    assert answer.route == "reduced_basis"
    assert answer.status == "converged"
    told = next(note for note in answer.notes if note.startswith("tried: "))
    assert "a separated form reached" in told
    assert "(max_rank)" in told


def test_the_least_estimate_is_returned_when_nothing_converges(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = reduced_basis.reduce
    monkeypatch.setattr("inntd.solvers.reduced_route.reduce", lambda a, t, rank, s, w: plain(a, t, 2, s, w))
    monkeypatch.setattr("inntd.solvers.options.DEFAULT_LARGEST_RANK", 4)
    answer = it.solve(block(0.1, 10), tolerance=1e-6)
    assert answer.status != "converged"
    separated = it.solve(block(0.1, 10), tolerance=1e-6, rank=4)
    assert answer.error_estimate.total <= separated.error_estimate.total


def test_a_refusal_is_passed_over_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise MemoryError("the matrices of the merged axes needs 7 GB")

    monkeypatch.setattr(routes, "reduced", refused)
    answer = it.solve(block(0.2, 1), tolerance=1e-3)
    assert answer.route != "reduced_basis"
    assert any("reduced_basis refused: the matrices of the merged axes needs 7 GB" in note for note in answer.notes)


# -------------------------------------------------------------------------------------------------------------- Ctrl-C


def stop(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["auto", "reduced_basis"])
@pytest.mark.parametrize(
    "phase",
    [
        "inntd.solvers.affine.transposition",  # assembly of the merged axis
        "inntd.solvers.merged.factorise",  # its first factorisation
        "inntd.solvers.reduced_basis.training_points",
    ],
)
def test_stopping_before_the_first_full_solution(phase: str, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase, stop)
    answer = it.solve(block(0.1, 10), tolerance=1e-4, method=method)
    assert (answer.status, answer.modes) == ("interrupted", 0)
    assert answer.error_estimate.total == np.inf
    assert answer.model.at(x=0.3, y=0.2, z=0.1, w=0) == 0


def test_stopping_a_fallback_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = reduced_basis.reduce
    monkeypatch.setattr("inntd.solvers.reduced_route.reduce", lambda a, t, rank, s, w: plain(a, t, 3, s, w))
    monkeypatch.setattr("inntd.solvers.single.assemble", stop)
    answer = it.solve(block(0.1, 10), tolerance=1e-6)
    assert answer.status == "interrupted"
    assert answer.route == "reduced_basis"
    assert answer.model.rank == 3
    assert np.isfinite(answer.error_estimate.total)
    assert any("stopped by the user" in note for note in answer.notes)


def test_stopping_in_the_first_slab_leaves_the_initial_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inntd.solvers.slabs.solve_single", stop)
    answer = it.solve(moving(0.05), tolerance=1e-4, slabs=3)
    assert answer.status == "interrupted"
    assert isinstance(answer.model, it.SlabModel)
    assert answer.model.at(x=0.2, t=0.9) == 0


def test_stopping_in_a_factorisation_of_a_full_solution_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, count = reduced_basis._full_solution, iter(range(100))
    monkeypatch.setattr(reduced_basis, "_full_solution", lambda *a: stop() if next(count) == 4 else plain(*a))
    answer = it.solve(block(0.1, 10), tolerance=1e-8)
    assert (answer.status, answer.route, answer.model.rank) == ("interrupted", "reduced_basis", 4)
    assert 0 < answer.error_estimate.total < np.inf


# -------------------------------------------------------------------------------------------------------------- faults


def test_memory_is_refused_in_gigabytes_and_no_route_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    monkeypatch.setattr("inntd.solvers.cost.available_bytes", lambda: 1000)
    assert "GB" in choose(block(0.1, 10)).reason
    with pytest.raises(MemoryError, match=r"needs .* GB, available memory allows"):
        it.solve(block(0.1, 10), method="reduced_basis")


# ----------------------------------------------------------------------------------- what follows an automatic answer


@pytest.mark.parametrize("name", ["reduced_basis", "slabs", "alternating"])
def test_report_pictures_and_files_take_what_any_route_gives(name: str, tmp_path: Path) -> None:
    problem = {"reduced_basis": block(0.1, 10), "slabs": moving(0.05), "alternating": block(1, 2)}[name]
    answer = it.solve(problem, tolerance=1e-3)
    assert answer.route == name
    summary = summarise(problem, answer)
    assert json.loads(json.dumps(summary, allow_nan=False))["route"] == name
    assert ("route", name) in readable(summary)
    assert f"route           {name}" in str(answer)
    pictures = [path.name for path in save_pictures(answer.model, tmp_path)]
    assert "slice.png" in pictures
    answer.model.save(tmp_path / "u.inntd")
    again = it.load(tmp_path / "u.inntd")
    assert type(again) is type(answer.model)
    assert again.metadata["solver"]["route"] == name
    assert again.metadata["status"] == "converged"
    assert cli.main(["info", str(tmp_path / "u.inntd")]) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "solve: reduced_basis"),
        ({"rank": 3}, "solve: a separated form"),
        ({"method": "tucker"}, "solve: tucker"),
    ],
)
def test_progress_tells_the_route(options: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    it.solve(block(0.1, 10), progress=True, **({"tolerance": 1e-3} | options))
    assert told in capsys.readouterr().err


FILE = """
[axes.x]
domain = [-1, 1]
elements = 120
s = 2
[axes.t]
domain = [0, 1]
elements = 48
s = 2
kind = "time"
[problem]
strong = "dt(u) - 0.02*laplacian(u) - exp(-((x + 0.6 - 1.2*t)**2)/(2*0.05**2))"
[[conditions]]
on = "x"
value = 0
[[conditions]]
at = {t = 0}
value = 0
[solve]
tolerance = 1e-3
"""


@pytest.mark.parametrize(
    ("table", "options", "route"),
    [
        ("", [], "slabs"),
        ("slabs = 2", [], "slabs"),
        ("slabs = [0.3, 0.6]", ["--slabs", "auto"], "slabs"),
        ("slabs = 2", ["--method", "direct"], "direct"),
        ('method = "direct"', ["--slabs", "0.5"], "slabs"),
    ],
)
def test_the_command_line_takes_slabs_and_methods(
    table: str, options: list[str], route: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rod.toml").write_text(FILE + table)
    assert cli.main(["run", str(tmp_path / "rod.toml"), "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["route"] == route
    assert cli.main(["info", str(tmp_path / "rod" / "solution.inntd")]) == 0


def test_the_command_line_takes_merged_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
        axes = {x = {domain = [0, 1], elements = 12}, k = {domain = [1, 4], elements = 10, kind = "parameter"}}
        problem = {strong = "-diff(u, x, 2) + k*u - 1"}
        conditions = [{on = "x", value = 0}]
        solve = {tolerance = 1e-6, method = "reduced_basis", merge = ["x"]}
    """
    (tmp_path / "bar.toml").write_text(text)
    assert cli.main(["run", str(tmp_path / "bar.toml")]) == 0
    assert "x merged to one axis" in capsys.readouterr().out
    again = ["run", str(tmp_path / "bar.toml"), "--force", "--method", "reduced_basis", "--merge"]
    assert cli.main([*again, "x"]) == 0
    assert cli.main([*again, "k"]) == 2
    assert "merge must hold 'x'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('merge = "x"', "merge must be a list of names of axes"),
        ("slabs = true", "slabs must be a number of slabs"),
        ('slabs = "many"', "slabs must be one of 'auto'"),
        ("slabs = 0", "slabs must be a positive integer"),
        ('merge = ["x"]', "merge must be given with method='reduced_basis' only"),
        ('method = "reduced_basis"\nslabs = 2', "slabs do not go with method='reduced_basis'"),
    ],
)
def test_options_of_files_that_make_no_sense(
    table: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rod.toml").write_text(FILE + table)
    assert cli.main(["run", str(tmp_path / "rod.toml")]) == 2
    assert says in capsys.readouterr().err
