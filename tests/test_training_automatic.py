"""Automatic fits: the steps against finite differences and dense algebra, what is recovered, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

import inntd as it
from inntd import axes
from inntd.models import Field
from inntd.models.exponential import ExponentialModel
from inntd.training.automatic import fit_automatic
from inntd.training.budget import Budget
from inntd.training.contenders import least_mean
from inntd.training.coordinates import curvature_coordinates, polynomial_coordinates
from inntd.training.growth import Growth, Settings, resize
from inntd.training.penalty import Penalty
from inntd.training.product_kernel import _Likelihood, fit_kernel
from inntd.training.separated_fit import Samples, SeparatedFit
from inntd.training.spans import Span

Array = np.ndarray[Any, np.dtype[np.float64]]


def some_fit(seed: int = 0, count: int = 60, modes: int = 2) -> tuple[SeparatedFit, Samples]:
    """Return a function with random coefficients, and noisy samples."""
    random = np.random.default_rng(seed)
    rows = [polynomial_coordinates("x", 0, 1, 4).rows(random.random(count)) for _ in range(3)]
    fit = SeparatedFit.empty([2, 0, 3], [3, 4, 2], 0.3)
    fit.linear = random.standard_normal(len(fit.linear))
    fit.factors = [random.standard_normal((len(factor), modes)) for factor in fit.factors]
    fit.penalty.factors = [np.append(1.0, random.random(len(f) - 1)) for f in fit.factors]
    return fit, Samples(rows, random.standard_normal(count), 0.5 + random.random(count))


def relative_error(model: Any, function: Any, dimension: int, low: float = 0.02, high: float = 0.98) -> float:
    points = low + (high - low) * np.random.default_rng(99).random((2000, dimension))
    exact = function(*points.T)
    return float(np.linalg.norm(model(points).numpy() - exact) / np.linalg.norm(exact - exact.mean()))


# ------------------------------------------------------------------------------------------------------- coordinates


@pytest.mark.parametrize(
    "axis",
    [
        it.Axis("x", 1, 4, elements=9, s=3),
        it.Axis("x", -1, 1, elements=8, s=1),
        it.Axis("x", 0, 2, elements=12, s=2, periodic=True),
        it.Axis("x", 0, 1, elements=6, basis=it.LinearBasis()),
    ],
    ids=repr,
)
def test_coordinates_are_orthonormal_and_diagonal_in_curvature(axis: it.Axis) -> None:
    found = curvature_coordinates(axis)
    length = axis.domain[1] - axis.domain[0]
    order = 1 if isinstance(axis.basis, it.LinearBasis) else 2
    gram = found.nodal.T @ axes.mass(axis).toarray() @ found.nodal / length
    rough = found.nodal.T @ axes.matrix(axis, order, order).toarray() @ found.nodal
    np.testing.assert_allclose(gram, np.eye(axis.size), atol=1e-10)
    np.testing.assert_allclose(rough, np.diag(np.diag(rough)), atol=1e-9 * np.abs(rough).max())
    np.testing.assert_allclose(found.nodal[:, 0], 1.0, rtol=1e-12)
    assert (np.diff(found.roughness) >= 0).all()
    assert found.roughness[0] == 0


@pytest.mark.parametrize("degree", [0, 1, 5, 16, 24])
def test_an_axis_spans_the_polynomials_of_its_degree(degree: int) -> None:
    found = polynomial_coordinates("x", -2.0, 3.0, degree)
    x = np.linspace(-2, 3, 101)
    expected = np.polynomial.legendre.legvander((x + 2) / 2.5 - 1, degree) * np.sqrt(2 * np.arange(degree + 1) + 1)
    np.testing.assert_allclose(found.rows(x), expected, atol=1e-11)


# ------------------------------------------------------------------------------------------------ steps and penalties


def test_the_jacobian_and_the_penalty_are_those_of_finite_differences() -> None:
    fit, samples = some_fit()
    start, step = fit.coefficients(), 1e-6
    jacobian, strengths = fit.jacobian(samples.rows), fit.penalty.diagonal(fit.factors)
    assert jacobian.shape == (len(samples.y), fit.parameters)
    for place in range(fit.parameters):
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            linear, factors = fit.parts(moved)
            sides.append((fit.values(samples.rows, linear, factors), fit.penalty.value(linear, factors)))
        np.testing.assert_allclose(jacobian[:, place], (sides[0][0] - sides[1][0]) / (2 * step), atol=1e-7)
        slope = (sides[0][1] - sides[1][1]) / (2 * step)
        assert 2 * strengths[place] * start[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_steps_lower_the_goal_and_end_where_its_gradient_vanishes() -> None:
    fit, samples = some_fit()
    fit._learn = lambda *arguments: None  # type: ignore[method-assign]  # with strengths that stand still
    assert samples.weights is not None
    goals = []
    for _ in range(200):
        fit.step(samples)
        goals.append(fit.loss + fit.penalty.variance * fit.penalty.value(fit.linear, fit.factors))
    assert (np.diff(goals) <= 1e-12 * goals[0]).all()
    residual = samples.weights * (samples.y - fit.values(samples.rows))
    pull = fit.penalty.variance * fit.penalty.diagonal(fit.factors) * fit.coefficients()
    gradient = fit.jacobian(samples.rows).T @ residual - pull
    assert np.abs(gradient).max() < 1e-4 * np.abs(pull).max()


def test_leave_one_out_is_that_of_refits_where_the_fit_is_linear() -> None:
    random = np.random.default_rng(1)
    fit, samples = some_fit(modes=0)
    fit.penalty.linear = 0.1 + random.random(len(fit.linear))
    design, weights = fit.design(samples.rows), samples.weights
    assert weights is not None
    ridge = np.diag(fit.penalty.variance * fit.penalty.linear)

    def solved(keep: Array) -> Array:
        part = design * (weights * keep)[:, None]
        found: Array = np.linalg.solve(part.T @ design + ridge, part.T @ samples.y)
        return found

    fit.linear = solved(np.ones(len(samples.y)))
    refits = [samples.y[k] - design[k] @ solved(1.0 - np.eye(len(samples.y))[k]) for k in range(len(samples.y))]
    np.testing.assert_allclose(fit.leave_one_out(samples), refits, rtol=1e-6, atol=1e-9)


def test_the_strengths_find_the_noise_and_the_size_of_coefficients() -> None:
    random = np.random.default_rng(2)
    count, functions, noise, size = 2000, 60, 0.3, 0.5
    design = np.column_stack([np.ones(count), random.standard_normal((count, functions))])
    fit = SeparatedFit.empty([functions], [1], 1.0)
    samples = Samples([design], design[:, 1:] @ (size * random.standard_normal(functions)), None)
    samples = Samples([design], samples.y + noise * random.standard_normal(count), None)
    for _ in range(20):
        fit.step(samples)
    assert np.sqrt(fit.penalty.variance) == pytest.approx(noise, rel=0.06)  # four standard errors
    assert isinstance(fit.penalty, Penalty)
    assert 1 / np.sqrt(np.median(fit.penalty.linear[1:])) == pytest.approx(size, rel=0.5)


def test_more_functions_do_not_change_the_function() -> None:
    fit, samples = some_fit()
    before = fit.values(samples.rows)
    resize(fit, [4, 1, 3], [5, 5, 4])
    np.testing.assert_allclose(fit.values(samples.rows), before, rtol=1e-12, atol=1e-12)
    assert [len(tau) for tau in fit.penalty.factors] == [5, 5, 4]
    assert len(fit.penalty.linear) == len(fit.linear) == 9


def test_growth_gives_functions_to_the_axes_that_ask_for_them() -> None:
    random = np.random.default_rng(0)
    x = random.random((300, 3))
    rows = [polynomial_coordinates("x", 0, 1, 16).rows(column) for column in x.T]
    growth = Growth(Samples(rows, np.sin(9 * x[:, 0]) + x[:, 1]), Settings(), Budget(60.0))
    growth.run(40)
    wiggly, straight, idle = growth.best.terms
    assert wiggly >= 10
    assert max(straight, idle) < wiggly
    assert growth.score < 1e-6


# ---------------------------------------------------------------------------------------- products of all functions


def kernel_samples(count: int, seed: int = 0, weighted: bool = True) -> Samples:
    random = np.random.default_rng(seed)
    x = random.random((count, 3))
    rows = [polynomial_coordinates("x", 0, 1, 6).rows(column) for column in x.T]
    y = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] + 0.05 * random.standard_normal(count)
    return Samples(rows, y, 0.5 + random.random(count) if weighted else None)


@pytest.mark.parametrize("count", [30, 150])  # a part of a block, several blocks
def test_the_slopes_of_the_likelihood_are_those_of_finite_differences(count: int) -> None:
    likelihood = _Likelihood(kernel_samples(count), [np.arange(6.0)] * 3, Budget(1.0))
    start = np.random.default_rng(1).standard_normal(8) - 1
    _, slope = likelihood(start)
    for place, unit in enumerate(np.eye(8)):
        sides = [likelihood(start + sign * 1e-5 * unit)[0] for sign in (1, -1)]
        assert slope[place] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5, abs=1e-6)


def test_the_likelihood_is_that_of_a_dense_gaussian_process() -> None:
    samples = kernel_samples(40)
    assert samples.weights is not None
    parameters = np.array([-1.0, 0.5, -2.0, -0.5, -3.0, 0.2, 0.3, -4.0])
    likelihood = _Likelihood(samples, [np.arange(6.0)] * 3, Budget(1.0))
    value, _ = likelihood(parameters)
    kernel = np.full((40, 40), np.exp(0.3))
    for d, rows in enumerate(samples.rows):
        spectrum = np.exp(parameters[2 * d]) / (1 + np.exp(-parameters[2 * d + 1])) ** np.arange(6)
        kernel *= 1 + (rows[:, 1:] * spectrum) @ rows[:, 1:].T
    kernel += np.diag(np.exp(0.3 - 4.0) / samples.weights)
    density = scipy.stats.multivariate_normal(np.zeros(40), kernel).logpdf(samples.y)
    away = (parameters[:6].reshape(3, 2) - [-3.0, -1.0]) / [4.0, 3.0]
    assert value == pytest.approx(-density - 20 * np.log(2 * np.pi) + 0.5 * (away**2).sum(), rel=1e-9)
    others = np.arange(40) != 7
    refit = kernel[7, others] @ np.linalg.solve(kernel[np.ix_(others, others)], samples.y[others])
    assert likelihood.errors[7] == pytest.approx(samples.y[7] - refit, rel=1e-7)


def test_widened_products_are_the_same_fit_on_the_same_samples() -> None:
    samples = kernel_samples(80)
    budget = Budget(1.0)
    found = fit_kernel(samples, [np.arange(6.0)] * 3, np.random.default_rng(0), budget)
    again = found.widened(samples, budget)
    tables = [polynomial_coordinates("x", 0, 1, 6).nodal] * 3
    first, second = (np.prod([f[2] for f in fit.nodal_factors(tables)], axis=0).sum() for fit in (found, again))
    assert second == pytest.approx(first, rel=1e-6)
    np.testing.assert_allclose(again.errors, found.errors, rtol=1e-4, atol=1e-6)


def test_products_of_all_functions_find_the_noise() -> None:
    samples = kernel_samples(400, weighted=False)
    found = fit_kernel(samples, [np.arange(6.0)] * 3, np.random.default_rng(0), Budget(10.0))
    assert np.sqrt(found.noise) == pytest.approx(0.05, rel=0.15)
    assert np.sqrt(np.mean(found.errors**2)) == pytest.approx(0.05, rel=0.25)


# ---------------------------------------------------------------------------------------------------- automatic fits


def test_an_additive_function_is_recovered() -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.sin(3 * x[0]) + x[1] ** 3 - 2 * x[2])

    x = np.random.default_rng(0).random((200, 4))
    found = fit_automatic(x, function(*x.T), max_seconds=10)
    assert isinstance(found.model, Field)
    assert relative_error(found.model, function, 4) < 1e-7
    assert found.choices["inactive"] == ["x4"] or found.choices["score"] < 1e-9


def test_a_product_is_recovered() -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.exp(x[0]) * np.cos(2 * x[1]) * (x[2] - 0.4))

    x = np.random.default_rng(0).random((300, 3))
    found = fit_automatic(x, function(*x.T), names=["a", "b", "c"], max_seconds=10)
    assert relative_error(found.model, function, 3) < 1e-6
    assert [axis.name for axis in found.model.axes] == ["a", "b", "c"]


def test_a_growth_of_powers_is_fitted_in_logarithms(tmp_path: Path) -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.exp(6 * np.sin(x[0] + 1) * x[1] + 5 * x[2] ** 2))

    x = np.random.default_rng(0).random((150, 3))
    found = fit_automatic(x, function(*x.T), max_seconds=10)
    assert found.choices["form"].endswith("of log(y)")
    assert isinstance(found.model, ExponentialModel)
    assert relative_error(found.model, function, 3) < 1e-4
    found.model.save(tmp_path / "u.inntd", metadata={"source": "test"})
    loaded = it.load(tmp_path / "u.inntd")
    assert torch.equal(loaded(x), found.model(x))
    assert loaded.metadata == {"source": "test"}


def test_noise_is_found_and_not_fitted() -> None:
    def function(*x: Array) -> Array:
        return np.asarray(x[0] * x[1] + np.sin(3 * x[2]))

    random = np.random.default_rng(0)
    x = random.random((400, 4))
    y = function(*x.T)
    noise = 0.1 * float(y.std())
    found = fit_automatic(x, y + noise * random.standard_normal(400), max_seconds=5)
    assert relative_error(found.model, function, 4) < 0.05
    assert found.choices["noise"] == pytest.approx(noise, rel=0.2)


def test_of_many_samples_some_decide_and_all_train() -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.cos(2 * x[0]) * x[1])

    random = np.random.default_rng(0)
    x = random.random((5000, 2))
    y = function(*x.T)
    found = fit_automatic(x, y + 0.1 * y.std() * random.standard_normal(5000), max_seconds=8)
    assert relative_error(found.model, function, 2) < 0.01
    assert found.choices["noise"] == pytest.approx(0.1 * y.std(), rel=0.05)


def test_weights_of_zero_leave_samples_out() -> None:
    random = np.random.default_rng(0)
    x = random.random((150, 2))
    y = x[:, 0] * x[:, 1]
    spoiled = np.arange(150) % 10 == 0
    found = fit_automatic(x, np.where(spoiled, 50.0, y), weights=1.0 - spoiled, max_seconds=10)
    assert relative_error(found.model, lambda a, b: a * b, 2) < 1e-3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_samples_give_a_finite_model(count: int) -> None:
    x = np.random.default_rng(0).random((count, 3))
    found = fit_automatic(x, x.sum(axis=1) + 1, max_seconds=5)
    assert torch.isfinite(found.model(x)).all()


def test_constants_are_fitted_exactly() -> None:
    x = np.random.default_rng(0).random((50, 3))
    x[:, 1] = 7.0
    found = fit_automatic(x, np.full(50, 3.5), max_seconds=5)
    np.testing.assert_allclose(found.model(x).numpy(), 3.5, rtol=1e-10)


def test_levels_bound_the_degree_and_ends_stay_where_they_repeat() -> None:
    assert Span.of("x", np.repeat([0.0, 0.5, 2.0], 5)) == Span("x", 0.0, 2.0, 2)
    values = np.random.default_rng(0).random(1000)
    wide = Span.of("x", values)
    assert values.min() - 0.01 < wide.start < values.min()
    assert values.max() < wide.stop < values.max() + 0.01


def test_categories_are_discrete_axes() -> None:
    random = np.random.default_rng(0)
    x = np.column_stack([random.integers(0, 4, 300), random.integers(0, 5, 300) / 4, random.random(300)]).astype(float)
    y = np.array([0.0, 5.0, -1.0, 2.0])[x[:, 0].astype(int)] * x[:, 2] + x[:, 1]
    model = fit_automatic(x, y, categorical=[0], names=["kind", "level", "z"], max_seconds=10).model
    assert model.axes[0].discrete
    assert model.axes[1].elements <= 4
    np.testing.assert_allclose(model(x).numpy(), y, atol=1e-5)


def test_one_seed_gives_the_same_bits_and_an_interrupt_keeps_the_best() -> None:
    x = np.random.default_rng(0).random((60, 2))
    y = np.sin(2 * x[:, 0] * x[:, 1]) - x[:, 1]
    first, second = (fit_automatic(x, y, seed=3, max_seconds=60).model for _ in range(2))
    assert torch.equal(first(x), second(x))

    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 3:
            raise KeyboardInterrupt

    found = fit_automatic(x, y, callback=stop)
    assert found.status == "interrupted"
    assert len(found.history) == 3
    assert float(np.std(found.model(x).numpy() - y)) < 0.5 * float(y.std())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(5)}, r"x must have shape \(K, D\)"),
        ({"y": np.zeros(4)}, r"y must have shape \(5,\)"),
        ({"x": np.full((5, 2), np.nan)}, "column .x1. of x must be finite, got 5 NaN"),
        ({"weights": -np.ones(5)}, "weights must be 5 non-negative"),
        ({"names": ["a"]}, "names must be 2 names"),
        ({"max_seconds": 0}, "max_seconds must be a positive"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"x": np.random.default_rng(0).random((5, 2)), "y": np.arange(5.0)} | change
    with pytest.raises(ValueError, match=message):
        fit_automatic(arguments.pop("x"), arguments.pop("y"), **arguments)


def test_the_mean_of_errors_that_cancel_is_found() -> None:
    errors = np.random.default_rng(0).standard_normal((50, 3))
    weights = least_mean(errors)
    assert weights.sum() == pytest.approx(1)
    best = np.linalg.norm(errors @ weights)
    for other in np.random.default_rng(1).dirichlet(np.ones(3), 200):
        assert best <= np.linalg.norm(errors @ other) * (1 + 1e-6)


def test_kinks_are_fitted_on_hats() -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.abs(x[0] - 0.37) * (1 + x[1]) + np.abs(x[1] - 0.6))

    x = np.random.default_rng(0).random((400, 2))
    found = fit_automatic(x, function(*x.T), max_seconds=10)
    assert "hats" in found.choices["form"]
    assert relative_error(found.model, function, 2) < 0.5 * found.choices["compared"]["products of all functions"]
    assert all(isinstance(axis.basis, it.LinearBasis) for axis in found.model.axes)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_many_samples_are_as_good_as_few(noise: float) -> None:
    def function(*x: Array) -> Array:
        return np.asarray(np.sin(4 * x[0] * x[1] + x[2] ** 2) / (0.3 + x[2] * x[0]))

    random = np.random.default_rng(0)
    x = random.random((3000, 3))
    y = function(*x.T)
    y = y + noise * y.std() * random.standard_normal(3000)
    few, many = (fit_automatic(x[:count], y[:count], max_seconds=4) for count in (500, 3000))
    assert relative_error(many.model, function, 3) < relative_error(few.model, function, 3)


def test_an_interrupt_among_many_samples_keeps_what_the_race_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inntd.training.race.Race._more", stop)
    x = np.random.default_rng(0).random((2100, 2))
    found = fit_automatic(x, np.sin(3 * x[:, 0]) * x[:, 1], max_seconds=1)
    assert found.status == "interrupted"
    assert relative_error(found.model, lambda a, b: np.sin(3 * a) * b, 2) < 1e-3
