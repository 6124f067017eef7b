"""Pictures show what the model is: curves, contours and labels are compared with evaluations of the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy
from matplotlib.axes import Axes

import inntd as it
from inntd.models.result import ErrorEstimate
from inntd.results import error_against_exact, plot_factors, plot_slice, readable, save_pictures, summarise


def separated(*functions: tuple[it.Axis, list[object]]) -> it.CPModel:
    """Return the model whose factor on each axis interpolates the functions given for it, one for each mode."""
    axes = [axis for axis, _ in functions]
    return it.CPModel.from_factors(
        axes, [np.stack([axis.interpolate(f) for f in columns], 1) for axis, columns in functions]
    )


@pytest.fixture
def model() -> it.CPModel:
    """Return x² y + 10 y x k on a small box; the second mode is the larger."""
    x, y, k = (
        it.Axis("x", 0, 1, elements=9),
        it.Axis("y", -1, 2, elements=7),
        it.Axis("k", 1, 3, elements=8, kind="parameter"),
    )
    one = np.ones_like
    return separated((x, [np.square, lambda t: 10 * t]), (y, [lambda t: t, lambda t: t]), (k, [one, lambda t: t]))


def test_factors_show_the_largest_mode_first(model: it.CPModel) -> None:
    figure = plot_factors(model, modes=1)
    assert [panel.get_xlabel() for panel in figure.axes] == ["x", "y", "k"]
    [line] = figure.axes[0].get_lines()
    # The larger mode is 10 x: scaled, a straight line from 0 to 1.
    np.testing.assert_allclose(line.get_ydata(), line.get_xdata(), atol=1e-12)
    assert "mode 2" in figure.legends[0].get_texts()[0].get_text()
    assert "1 leading of 2 modes" in figure.get_suptitle()


def test_factors_are_curves_of_the_basis_not_only_nodes(model: it.CPModel) -> None:
    lines = plot_factors(model).axes[0].get_lines()
    assert len(lines) == 2
    points = lines[1].get_xdata()
    assert len(points) > 2 * len(model.axes[0].nodes)
    np.testing.assert_allclose(lines[1].get_ydata(), points**2, atol=1e-12)


def test_factors_of_many_axes_and_of_a_zero_model() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(1, 21)]
    zero = it.CPModel.from_factors(axes, [np.zeros((9, 1)) for _ in axes])
    figure = plot_factors(zero)
    assert len(figure.axes) == 12
    assert "first 12 of 20 axes" in figure.get_suptitle()
    assert not np.isnan(figure.axes[0].get_lines()[0].get_ydata()).any()


def test_factors_rank_modes_without_overflow() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(50)]
    factors = [np.concatenate([np.full((9, 1), 1e-12), np.full((9, 1), 1e12)], axis=1) for _ in axes]
    figure = plot_factors(it.CPModel.from_factors(axes, factors), modes=1)
    assert "mode 2 (1)" in figure.legends[0].get_texts()[0].get_text()


@pytest.mark.parametrize("modes", [0, -1, 1.5])
def test_factors_refuse_a_wrong_number_of_modes(model: it.CPModel, modes: object) -> None:
    with pytest.raises((ValueError, TypeError), match="modes must be a positive integer"):
        plot_factors(model, modes=modes)


@pytest.mark.parametrize(("names", "at"), [(("x",), {"y": 2.0, "k": 1.5}), (("k",), {"x": 0.5}), (("y",), None)])
def test_a_slice_along_one_axis_is_the_model(model: it.CPModel, names: tuple[str], at: dict[str, float] | None) -> None:
    figure = plot_slice(model, *names, at=at)
    [line] = figure.axes[0].get_lines()
    where = {"x": 0.5, "y": 0.5, "k": 2.0} | (at or {}) | {names[0]: line.get_xdata()}
    exact = where["x"] ** 2 * where["y"] + 10 * where["x"] * where["y"] * where["k"]
    np.testing.assert_allclose(line.get_ydata(), exact, atol=1e-10)


@pytest.mark.parametrize("names", [("x", "k"), ("k", "x"), ("y", "x"), ()])
def test_a_slice_along_two_axes_has_the_right_way_up(
    model: it.CPModel, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    original = Axes.contourf

    def spy(panel: object, across: np.ndarray, up: np.ndarray, values: np.ndarray, **options: object) -> object:
        drawn.update(across=across, up=up, values=values)
        return original(panel, across, up, values, **options)

    monkeypatch.setattr(Axes, "contourf", spy)
    panel = plot_slice(model, *names).axes[0]
    first, second = names or ("x", "y")
    assert (panel.get_xlabel(), panel.get_ylabel()) == (first, second)
    where = {"x": 0.5, "y": 0.5, "k": 2.0} | {first: drawn["across"][None, :], second: drawn["up"][:, None]}
    exact = where["x"] ** 2 * where["y"] + 10 * where["x"] * where["y"] * where["k"]
    np.testing.assert_allclose(drawn["values"], exact, atol=1e-10)


def test_a_slice_prefers_space_and_holds_components_at_their_first_entry() -> None:
    t = it.Axis("t", 0, 1, elements=8, kind="time", unit="s")
    c = it.Axis.discrete("c", 2)
    x = it.Axis("x", 0, 1, elements=8, unit="m")
    u = separated((t, [np.square]), (c, [lambda i: i + 3]), (x, [np.ones_like]))
    panel = plot_slice(u).axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("x [m]", "t [s]")
    assert panel.get_title() == "c = 0"
    assert plot_slice(u, "t", at={"c": 1}).axes[0].get_lines()[0].get_ydata()[-1] == pytest.approx(4)


@pytest.mark.parametrize(
    ("names", "at", "says"),
    [
        (("x", "x"), {}, "two different"),
        (("x", "y", "k"), {}, "one axis or two"),
        (("q",), {}, "'q'"),
        (("x",), {"x": 0.5}, "'x'"),
        (("x",), {"q": 0.5}, "'q'"),
        (("x",), {"y": 7.0}, "y"),
    ],
)
def test_a_slice_refuses_wrong_names(
    model: it.CPModel, names: tuple[str, ...], at: dict[str, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        plot_slice(model, *names, at=at)


def test_pictures_are_written_aside_and_renamed(
    model: it.CPModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [path.name for path in save_pictures(model, tmp_path)] == ["factors.png", "slice.png"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["factors.png", "slice.png"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_pictures(2 * model, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.fixture
def parabola() -> it.Problem:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    u = it.unknown("u", x, y)
    return it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0], exact=x * (1 - x), title="parabola")


def test_a_summary_is_json_and_a_table(parabola: it.Problem) -> None:
    answer = it.solve(parabola, tolerance=1e-8)
    summary = summarise(parabola, answer)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["title"], summary["axes"], summary["parameters"]) == ("parabola", 2, 18 * answer.model.rank)
    assert summary["error"] < 1e-12
    rows = dict(readable(summary))
    assert "by quadrature" in rows["error against exact"]
    assert rows["status"].startswith("converged: ")


def test_a_summary_has_none_for_what_is_not_finite(parabola: it.Problem) -> None:
    answer = it.solve(parabola, tolerance=1e-8)
    answer = replace(answer, status="diverged", error_estimate=ErrorEstimate(float("inf")), notes=("one", "two"))
    summary = summarise(parabola, answer)
    assert summary["error_estimate"] == {"algebraic": None, "discretisation": None, "total": None}
    rows = readable(summary)
    assert ("error estimate", "not finite") in rows
    assert [value for name, value in rows if name == "note"] == ["one", "two"]


def test_the_error_of_an_exact_solution_that_does_not_factor_is_sampled() -> None:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    u = it.unknown("u", x, y)
    problem = it.Problem(strong=-it.laplacian(u), conditions=[u.on("boundary") == 1], exact=1 + sympy.sin(x * y) / 100)
    error, how = error_against_exact(problem, it.solve(problem).model)
    points = np.random.default_rng(7).uniform(size=(100_000, 2)).prod(axis=1)
    exact = 1 + np.sin(points) / 100
    assert error == pytest.approx(np.sqrt(np.mean((exact - 1) ** 2) / np.mean(exact**2)), rel=0.03)
    assert how == "10,000 random points"


def test_no_error_against_zero() -> None:
    x = it.Axis("x", 0, 1, elements=8)
    u = it.unknown("u", x)
    problem = it.Problem(strong=-it.laplacian(u), conditions=[u.on(x) == 0], exact=0)
    assert error_against_exact(problem, it.CPModel([x], rank=1)) == (None, "the exact solution is zero")


def test_a_model_of_components_alone_has_no_slice(tmp_path: Path) -> None:
    c = it.Axis.discrete("c", 3)
    u = separated((c, [np.ones_like]))
    assert [path.name for path in save_pictures(u, tmp_path)] == ["factors.png"]
    with pytest.raises(ValueError, match="not discrete"):
        plot_slice(u)


def test_a_tucker_solution_is_summarised_and_drawn(tmp_path: Path) -> None:
    axes = [it.Axis(name, 0, 1, elements=6, s=1) for name in "xyz"]
    u = it.unknown("u", *axes)
    problem = it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(*axes) == 0])
    answer = it.solve(problem, method="direct", tolerance=1e-2)
    summary = summarise(problem, answer)
    assert summary["rank"] == list(answer.model.rank)
    assert dict(readable(summary))["modes"] == "Tucker ranks " + " x ".join(str(rank) for rank in answer.model.rank)
    assert [path.name for path in save_pictures(answer.model, tmp_path)] == ["factors.png", "slice.png"]
