"""Pictures on axes that are given or made: what they show is compared with the model, and wrong wishes are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance_models import random_cp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import inntd as it
from inntd import results
from inntd.models.result import SlabStep, Step
from inntd.results.modes import singular_values


def separated(*functions: tuple[it.Axis, list[object]]) -> it.CPModel:
    """Return the model whose factor on each axis interpolates the functions given for it, one for each mode."""
    return it.CPModel.from_factors(
        [axis for axis, _ in functions],
        [np.stack([axis.interpolate(f) for f in columns], 1) for axis, columns in functions],
    )


@pytest.fixture
def model() -> it.CPModel:
    """Return x² y + 10 y x k."""
    x, y = it.Axis("x", 0, 1, elements=9, unit="m"), it.Axis("y", -1, 2, elements=7)
    k = it.Axis("k", 1, 3, elements=8, kind="parameter")
    one = np.ones_like
    return separated((x, [np.square, lambda t: 10 * t]), (y, [lambda t: t, lambda t: t]), (k, [one, lambda t: t]))


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def test_every_picture_draws_on_the_axes_given(model: it.CPModel, ax: Axes) -> None:
    figure = ax.figure
    panels = figure.subplots(2, 4).ravel()
    y = np.linspace(0, 1, 9)
    drawn = [
        model.plot("x", at={"y": 1, "k": 2}, ax=panels[0]),
        model.plot("x", "y", at={"k": 2}, ax=panels[1]),
        results.plot_modes(model, "y", ax=panels[2]),
        results.plot_amplitudes(model, ax=panels[3]),
        results.plot_convergence([Step(1, 0.1, 1, 0.1)], ax=panels[4]),
        results.plot_residuals({"test": (y, y)}, ax=panels[5]),
        results.plot_sobol(model.sobol_indices(), ax=panels[6]),
        results.plot_refinement(model, "x", ax=panels[7]),
    ]
    assert [panel is own for panel, own in zip(drawn, panels, strict=True)] == [True] * 8
    assert model.plot("x", at={"y": 1, "k": 2}).figure is not figure


def test_a_curve_is_the_field_with_its_nodes(model: it.CPModel) -> None:
    panel = model.plot("x", at={"y": 2.0, "k": 1.5})
    curve, nodes = panel.get_lines()
    np.testing.assert_allclose(curve.get_ydata(), 2 * curve.get_xdata() ** 2 + 30 * curve.get_xdata(), atol=1e-10)
    np.testing.assert_allclose(nodes.get_xdata(), model.axes[0].nodes)
    assert (panel.get_xlabel(), panel.get_ylabel(), panel.get_title()) == ("x [m]", "u", "y = 2, k = 1.5")
    assert len(model.plot("x", at={"y": 2.0, "k": 1.5}, mesh=False).get_lines()) == 1


@pytest.mark.parametrize("names", [("x", "k"), ("k", "x")])
def test_contours_have_the_right_way_up_and_show_the_mesh(
    model: it.CPModel, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    original = Axes.contourf

    def spy(panel: object, across: np.ndarray, up: np.ndarray, values: np.ndarray, **options: object) -> object:
        drawn.update(across=across, up=up, values=values)
        return original(panel, across, up, values, **options)

    monkeypatch.setattr(Axes, "contourf", spy)
    panel = model.plot(*names, at={"y": 2})
    where = {names[0]: drawn["across"][None, :], names[1]: drawn["up"][:, None]}
    exact = 2 * where["x"] ** 2 + 20 * where["x"] * where["k"]
    np.testing.assert_allclose(drawn["values"], exact, atol=1e-10)
    lines = {len(own.get_segments()) for own in panel.collections if hasattr(own, "get_segments")}
    assert {10, 9} <= lines  # nodes of x and of k


def test_discrete_axes_are_drawn_as_points() -> None:
    c, x = it.Axis.discrete("c", 3), it.Axis("x", 0, 1, elements=8)
    u = separated((c, [lambda i: i + 1]), (x, [np.ones_like]))
    [line] = u.plot("c", at={"x": 0.5}).get_lines()
    np.testing.assert_allclose(line.get_ydata(), [1, 2, 3], rtol=1e-12)
    assert line.get_linestyle() == "None"
    with pytest.raises(ValueError, match="not discrete, got c: hold it still"):
        u.plot("c", "x")


def test_a_picture_of_many_axes_says_what_is_missing() -> None:
    u = random_cp([it.Axis(name, 0, 1, elements=4) for name in "abcdefg"])
    with pytest.raises(ValueError, match="has 7, a, b, c, d, e, f, g: name those to draw along"):
        u.plot()
    with pytest.raises(ValueError, match=r"along a, b needs coordinates of c, e, f, g: give at=\{'c': 0.5, 'e'"):
        u.plot("a", "b", at={"d": 0.1})
    assert "5 held still" in u.plot("a", "b", at=dict.fromkeys("cdefg", 0.3)).get_title()


@pytest.mark.parametrize(
    ("names", "at", "says"),
    [
        (("x", "x"), {}, "one or two of x, y, k, got x, x"),
        (("x", "y", "k"), {}, "one or two of"),
        (("q",), {}, "got q"),
        (("x",), {"x": 0.5}, "held still, y, k, got 'x'"),
        (("x",), {"y": 7.0, "k": 2}, "y must lie in"),
    ],
)
def test_wrong_names_are_refused(model: it.CPModel, names: tuple[str, ...], at: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.plot(*names, at=at)


def test_a_constant_is_drawn_and_nan_is_refused(model: it.CPModel) -> None:
    x, y = model.axes[:2]
    flat = separated((x, [np.ones_like]), (y, [np.ones_like]))
    [filled] = [own for own in flat.plot(mesh=False).collections if hasattr(own, "levels")]
    np.testing.assert_allclose(filled.levels, [0.9, 1.1])  # not the rounding errors
    with torch.no_grad():
        flat.factors[0][3] = np.nan
    with pytest.raises(ValueError, match="finite values to be drawn, got NaN"):
        flat.plot()
    with pytest.raises(ValueError, match="'x' must be finite, got NaN"):
        flat.plot("x", at={"y": 1})


def test_statistics_and_sampled_fields_are_drawn(model: it.CPModel) -> None:
    panel = model.variance("k").plot("x", at={"y": 1})
    curve = panel.get_lines()[0]
    np.testing.assert_allclose(curve.get_ydata(), 100 * curve.get_xdata() ** 2 / 3, rtol=1e-9, atol=1e-12)
    assert panel.get_ylabel() == "variance"
    assert model.sobol_indices("k", "y").total["k"].plot().get_ylabel() == "share of the variance"


def test_modes_are_functions_of_the_axis_in_the_order_of_their_size(model: it.CPModel) -> None:
    panel = results.plot_modes(model, "x")
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    assert names == ["mode 2", "mode 1"]
    curve = panel.get_lines()[2]  # after the first one's nodes
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata() ** 2, atol=1e-12)
    tucker = results.plot_modes(model.to_tucker(), model.axes[0], modes=1)
    assert tucker.get_legend().get_texts()[0].get_text() == "function 1"
    with pytest.raises(TypeError, match="which have modes, got float"):
        results.plot_modes(3.0, "x")


def test_amplitudes_are_norms_of_modes_and_singular_values() -> None:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    u = separated((x, [np.ones_like, lambda t: 1e-3 * (t - 0.5)]), (y, [np.ones_like, lambda t: t - 0.5]))
    expected = [1, 1e-3 / 12]
    [line] = results.plot_amplitudes(u).get_lines()
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-10)
    tucker = u.to_tucker()
    for values in singular_values(tucker._form()):
        np.testing.assert_allclose(values, expected, rtol=1e-10)
    assert len(results.plot_amplitudes(tucker).get_lines()) == 2


def test_the_history_of_a_run() -> None:
    x = it.Axis("x", 0, 1, elements=16)
    y = it.Axis("y", 0, 1, elements=16)
    u = it.unknown("u", x, y)
    answer = it.solve(it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(x, y) == 0]), rank=4)
    [line] = results.plot_convergence(answer).get_lines()
    np.testing.assert_allclose(line.get_xdata(), [step.modes for step in answer.history])
    slabs = [SlabStep(3, 1e-4, 2, 0.1, start=0.0, stop=0.5, status="converged")]
    assert results.plot_convergence(slabs).get_xlabel() == "end of the slab"
    losses = results.plot_convergence([{"loss": 1.0}, {"other": 1}, {"loss": 0.1}]).get_lines()[0]
    np.testing.assert_allclose(losses.get_ydata(), [1.0, 0.1])
    with pytest.raises(ValueError, match="got none: this route keeps none"):
        results.plot_convergence([])
    with pytest.raises(TypeError, match="list of steps, got float"):
        results.plot_convergence(3.0)


def test_residuals_are_differences() -> None:
    given = np.linspace(0, 1, 9)
    panel = results.plot_residuals({"test": (given, given + given**2)}, "flow")
    line = panel.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), given**2)
    assert panel.get_xlabel() == "flow, predicted"
    with pytest.raises(ValueError, match=r"test: values must be two arrays \(K,\)"):
        results.plot_residuals({"test": (given, given[:3])})


def test_sobol_bars_are_the_indices_largest_first(model: it.CPModel) -> None:
    indices = model.sobol_indices()
    panel = results.plot_sobol(indices)
    names = [text.get_text() for text in panel.get_yticklabels()]
    assert names == sorted(indices.names, key=lambda name: -indices.total[name])
    widths = [bar.get_width() for bar in panel.patches]
    np.testing.assert_allclose(widths[:3], [indices.first[name] for name in names])
    np.testing.assert_allclose(widths[3:], [indices.total[name] for name in names])
    assert "the 2 largest of 3" in results.plot_sobol(indices, most=2).get_title()
    with pytest.raises(ValueError, match="got functions of other axes"):
        results.plot_sobol(model.sobol_indices("k"))


def test_shares_of_the_axes_in_an_error_estimate() -> None:
    estimate = it.ErrorEstimate(1e-6, 1e-3, by_axis={"t": 1e-5, "x": 1e-3})
    panel = results.plot_axis_errors(estimate)
    assert [text.get_text() for text in panel.get_yticklabels()] == ["x", "t"]
    with pytest.raises(ValueError, match="got none: this route does not compute them"):
        results.plot_axis_errors(it.ErrorEstimate(1e-6))


@pytest.mark.parametrize("basis", [it.CHiDeNNBasis(s=3), it.CHiDeNNBasis(s=1), it.LinearBasis()], ids=["3", "1", "0"])
def test_the_mesh_is_to_be_refined_where_the_model_is_steep(basis: object) -> None:
    x, y = it.Axis("x", 0, 1, elements=40, basis=basis), it.Axis("y", 0, 1, elements=8)
    step = lambda t: np.tanh((t - 0.52) / 0.02)  # noqa: E731
    u = separated((x, [step, np.ones_like]), (y, [lambda t: 1 + t, np.ones_like]))
    found = results.refinement_indicators(u, "x")
    assert abs(np.argmax(found) / 40 - 0.52) < 0.08
    assert found[:10].max() < 1e-3 * found.max()
    np.testing.assert_allclose(results.refinement_indicators(u.to_tucker(), "x"), found, rtol=1e-6, atol=1e-12)


def test_indicators_fall_with_the_mesh_at_the_order_of_the_shorter_patches() -> None:
    def size(elements: int) -> float:
        x = it.Axis("x", 0, 1, elements=elements, s=2)
        u = separated((x, [lambda t: np.sin(6 * t)]))
        return float(np.linalg.norm(results.refinement_indicators(u, "x")))

    slope = np.log2(size(20) / size(40))
    assert 2.7 < slope < 4.5  # patches of s = 1 reproduce parabolas


def test_refinement_is_refused_where_there_is_none() -> None:
    c, x = it.Axis.discrete("c", 3), it.Axis("x", 0, 1, elements=8)
    u = separated((c, [np.ones_like]), (x, [np.ones_like]))
    with pytest.raises(ValueError, match="discrete: it has no elements"):
        results.plot_refinement(u, "c")
    with pytest.raises(ValueError, match="must not be zero"):
        results.plot_refinement(0 * u, "x")
