"""Calibration against closed forms and SciPy's curve fitting: values, covariance, derivatives, kinds of data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.optimize import curve_fit

import inntd as it
from inntd.calibration import Integral, Mean, PointSum, line
from inntd.calibration import compress as compress_module
from inntd.calibration import response as response_module
from inntd.calibration.experiments import make_experiments
from inntd.calibration.losses import LOSSES, rho
from inntd.calibration.response import make_response
from inntd.models.exponential import ExponentialModel

X = it.Axis("x", 0, 1, elements=12)
Y = it.Axis("y", 0, 2, elements=10)
A = it.Axis("a", -2, 2, elements=4, s=1, kind="parameter")
B = it.Axis("b", -3, 3, elements=4, s=1, kind="parameter")
K = it.Axis("k", 1, 3, elements=24, kind="parameter")
T = it.Axis("t", 0, 2, elements=24, kind="time")
RNG = np.random.default_rng


def straight_line() -> it.CPModel:
    """a + b x: exact in the model, linear in both unknowns."""
    one = np.ones(A.size)
    x = np.stack([np.ones(X.size), X.nodes], 1)
    return it.CPModel.from_factors([X, A, B], [x, np.stack([A.nodes, one], 1), np.stack([one, B.nodes], 1)])


def decay() -> it.TuckerModel:
    """P exp(-k t) sin(pi x), nonlinear in k; the interpolation is exact to about 1e-9."""
    pairs = np.exp(-np.outer(K.nodes, T.nodes))
    left, scales, right = np.linalg.svd(pairs)
    r = 12
    core = np.diag(scales[:r])[None, :, :, None]
    p = it.Axis("P", 0.5, 4, elements=4, s=1, kind="parameter")
    factors = [np.sin(np.pi * X.nodes)[:, None], left[:, :r], right[:r].T, p.nodes[:, None]]
    return it.TuckerModel.from_factors([X, K, T, p], core, factors)


def noisy_line(count: int, sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = RNG(seed).uniform(0, 1, count)
    return x, 0.5 - 1.2 * x + sigma * RNG(seed + 1).standard_normal(count)


def test_a_straight_line_is_ordinary_least_squares() -> None:
    x, y = noisy_line(40, 0.1)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"])
    design = np.stack([np.ones(40), x], 1)
    best, squares = np.linalg.lstsq(design, y)[:2]
    variance = float(squares[0]) / 38
    assert [found.values["a"], found.values["b"]] == pytest.approx(best, rel=1e-9)
    assert found.noise == pytest.approx(variance**0.5, rel=1e-9)
    assert found.covariance == pytest.approx(variance * np.linalg.inv(design.T @ design), rel=1e-8)
    reach = scipy.stats.t.ppf(0.975, 38) * found.standard_errors["a"]
    assert found.intervals()["a"] == pytest.approx((best[0] - reach, best[0] + reach), rel=1e-8)
    assert found.intervals(method="profile")["b"] == pytest.approx(found.intervals()["b"], rel=1e-4)
    assert found.status == "converged"
    assert (found.undetermined, found.others) == ((), ())


def test_known_noise_and_covariance_are_generalised_least_squares() -> None:
    x, y = noisy_line(30, 0.1)
    design = np.stack([np.ones(30), x], 1)
    each = RNG(5).uniform(0.05, 0.3, 30)
    full = np.diag(each**2) + 0.01 * np.exp(-np.abs(x[:, None] - x))
    for noise, matrix in ((0.2, 0.04 * np.eye(30)), (each, np.diag(each**2)), (full, full)):
        found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"], noise=noise)
        inverse = np.linalg.inv(matrix)
        covariance = np.linalg.inv(design.T @ inverse @ design)
        best = covariance @ design.T @ inverse @ y
        assert [found.values["a"], found.values["b"]] == pytest.approx(best, rel=1e-8)
        assert found.covariance == pytest.approx(covariance, rel=1e-7)
        residual = y - design @ best
        assert found.misfit == pytest.approx(residual @ inverse @ residual, rel=1e-8)
        assert found.noise is None


def test_a_nonlinear_model_agrees_with_curve_fit() -> None:
    random = RNG(2)
    t, x = random.uniform(0, 2, 60), random.uniform(0.1, 0.9, 60)
    y = 2.0 * np.exp(-1.7 * t) * np.sin(np.pi * x) + 0.02 * random.standard_normal(60)
    expected, covariance = curve_fit(
        lambda points, k, p: p * np.exp(-k * points[0]) * np.sin(np.pi * points[1]), (t, x), y, p0=(2, 1)
    )
    for model in (decay(), decay().to_cp()):
        found = it.calibrate(model, {"t": t, "x": x, "u": y}, free=["k", "P"])
        assert [found.values["k"], found.values["P"]] == pytest.approx(expected, rel=1e-5)
        assert found.covariance == pytest.approx(covariance, rel=1e-3)
        slow = it.calibrate(model, {"t": t, "x": x, "u": y}, free=["k", "P"], optimizer="adam", rate=0.02, steps=800)
        assert [slow.values["k"], slow.values["P"]] == pytest.approx(expected, rel=1e-3)
        assert slow.evaluations > 10 * found.evaluations


def test_the_order_of_free_axes_is_the_users() -> None:
    t = np.linspace(0.1, 1.5, 20)
    y = 3.0 * np.exp(-2.5 * t)
    one = it.calibrate(decay(), {"t": t, "u": y, "x": 0.5}, free=["P", "k"])
    two = it.calibrate(decay(), {"t": t, "u": y, "x": 0.5}, free=["k", "P"])
    assert one.names == ("P", "k")
    assert one.values == pytest.approx({"P": 3.0, "k": 2.5}, rel=1e-6)
    assert two.values == pytest.approx(one.values, rel=1e-8)


def slabs() -> it.SlabModel:
    parts = [T.part(0, 12), T.part(12, 24)]
    k = np.stack([K.nodes, np.ones(K.size)], 1)
    models = [
        it.CPModel.from_factors(
            [X, K, part], [np.stack([X.nodes, X.nodes**2], 1), k, np.stack([np.ones(part.size), part.nodes], 1)]
        )
        for part in parts
    ]
    return it.SlabModel(models, T)  # x k + x² t


def exponential() -> ExponentialModel:
    return ExponentialModel(straight_line())


def reduced() -> Any:
    u, v = it.unknown("u", X, K), it.test_function()
    form = it.diff(v, X) * it.diff(u, X) + K * u * v - v
    return it.solve(it.Problem(weak=form, conditions=[u.on(X) == 0]), method="reduced_basis", tolerance=1e-9).model


MODELS = {
    "cp": (straight_line, {"a": 0.3, "b": -1.1}, ("x",)),
    "tucker": (decay, {"k": 1.7, "P": 2.2}, ("x", "t")),
    "exponential": (exponential, {"a": 0.3, "b": -1.1}, ("x",)),
    "slabs": (slabs, {"k": 1.4}, ("x", "t")),
    "slabs, when": (slabs, {"t": 1.3, "k": 2.1}, ("x",)),
    "reduced": (reduced, {"k": 1.6}, ("x",)),
    "reduced, where": (reduced, {"x": 0.2}, ("k",)),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_form_of_model_has_exact_derivatives_and_is_recovered(name: str) -> None:
    build, truth, known = MODELS[name]
    model = build()
    axes = {axis.name: axis for axis in model.axes}
    random = RNG(3)
    places = {one: random.uniform(*axes[one].domain, 25) for one in known}
    points = np.stack([places.get(one, np.full(25, truth.get(one, 0.0))) for one in axes], 1)
    values = model(points).numpy()
    table = {**places, "value": values}
    experiment = make_experiments(model, table, tuple(truth))[0]
    response = make_response(experiment.model, experiment.seen.all_terms(), experiment.free)
    p, step = np.array(list(truth.values())), 1e-5
    assert experiment.predicted(p) == pytest.approx(values, rel=1e-10, abs=1e-12)
    value, jacobian = response.jacobian(p)
    assert value == pytest.approx(values, rel=1e-10, abs=1e-12)
    for f in range(len(p)):
        ends = np.stack([p - step * np.eye(len(p))[f], p + step * np.eye(len(p))[f]])
        before, after = response.values(ends)
        assert jacobian[:, f] == pytest.approx((after - before) / (2 * step), rel=1e-5, abs=1e-6)
    found = it.calibrate(model, table, free=list(truth), bounds={"x": (0, 0.5)} if "x" in truth else None)
    assert found.values == pytest.approx(truth, rel=1e-6)


def test_a_reduced_model_with_several_known_parameters_is_evaluated_at_points() -> None:
    model = reduced()
    k = np.array([1.0, 1.5, 2.0, 2.5])
    values = model(np.stack([np.full(4, 0.3), k], 1)).numpy()
    found = it.calibrate(model, {"k": k, "u": values}, free="x", bounds={"x": (0, 0.5)})
    assert found.values["x"] == pytest.approx(0.3, rel=1e-8)


def test_functionals_see_what_quadrature_sees() -> None:
    """Means, weighted integrals, differences and lines, against the field's own means and dense sums."""
    u = decay()
    seen = [
        {"x": Mean(), "t": 0.5},
        {"x": 0.3, "t": Integral()},
        {"x": Integral(0.2, 0.7), "t": Mean(0.1, 0.9)},
        {"x": Integral(weight=lambda x: np.exp(-((x - 0.4) ** 2) / 0.02)), "t": 1.0},
        PointSum({"x": [0.2, 0.6], "t": 0.3}, [1, -2]),
        line({"x": 0.1, "t": 0.2}, {"x": 0.9, "t": 1.8}),
    ]
    own = u.at(k=1.7, P=2.2)
    s = (np.arange(20000) + 0.5) / 20000
    xs, ts = 0.2 + 0.5 * s[::40], 0.1 + 0.8 * s[::40] + 0.0
    ray = own(np.stack([0.1 + 0.8 * s, 0.2 + 1.6 * s], 1)).numpy()
    dense = own.grid(x=s, t=[1.0]).numpy()[:, 0]
    expected = [
        own.mean("x").at(t=0.5),
        own.integrate("t").at(x=0.3),
        0.5 * float(own.grid(x=xs, t=ts).mean()),
        float(np.mean(dense * np.exp(-((s - 0.4) ** 2) / 0.02))),
        own.at(x=0.2, t=0.3) - 2 * own.at(x=0.6, t=0.3),
        float(ray.mean()) * np.hypot(0.8, 1.6),
    ]
    terms = it.Observations.functionals(expected, seen).resolve(u.axes, ("k", "P")).all_terms()
    values = make_response(u, terms, ("k", "P")).values(np.array([[1.7, 2.2]]))[0]
    assert values == pytest.approx(expected, rel=3e-3)  # the third: a coarse midpoint sum of my own
    assert np.delete(values, 2) == pytest.approx(np.delete(expected, 2), rel=1e-6)
    found = it.calibrate(u, it.Observations.functionals(values, seen), free=["k", "P"])
    assert found.values == pytest.approx({"k": 1.7, "P": 2.2}, rel=1e-7)


def test_integrals_of_models_that_do_not_separate_are_sums_over_points() -> None:
    u = exponential()  # exp(a + b x)
    a, b = 0.4, -1.5
    exact = [np.exp(a) * (np.exp(b * q) - np.exp(b * p)) / b for p, q in ((0, 1), (0, 0.5), (0.25, 1))]
    seen = [{"x": Integral()}, {"x": Integral(0, 0.5)}, {"x": Integral(0.25, 1)}]
    found = it.calibrate(u, it.Observations.functionals(exact, seen), free=["a", "b"], noise=1e-3)
    assert found.values == pytest.approx({"a": a, "b": b}, rel=1e-7)


@pytest.mark.parametrize("form", ["cp", "tucker"])
def test_a_grid_is_compressed_without_loss(form: str) -> None:
    u = decay() if form == "tucker" else decay().to_cp()
    x, t = np.linspace(0, 1, 15), np.linspace(0, 2, 30)
    values = u.grid(x=x, t=t, k=1.7, P=2.2).numpy() + 0.05 * RNG(0).standard_normal((15, 30))
    mesh = np.meshgrid(x, t, indexing="ij")
    grid = it.calibrate(u, it.Observations.grid(values, {"x": x, "t": t}), free=["k", "P"])
    turned = it.calibrate(u, it.Observations.grid(values.T, {"t": t, "x": x}), free=["k", "P"])
    rows = {"x": mesh[0].ravel(), "t": mesh[1].ravel(), "u": values.ravel()}
    table = it.calibrate(u, rows, free=["k", "P"])
    robust = it.calibrate(u, rows, free=["k", "P"], loss="huber")
    for other in (turned, table):
        assert other.values == pytest.approx(grid.values, rel=1e-8)
        assert other.covariance == pytest.approx(grid.covariance, rel=1e-6)
        assert other.noise == pytest.approx(grid.noise, rel=1e-9)
        assert other.misfit == pytest.approx(grid.misfit, rel=1e-9)
    assert len(grid._objective.parts[0].values) <= 12 + 1
    assert len(robust._objective.parts[0].values) == 450
    assert robust.values == pytest.approx(grid.values, rel=1e-2)
    values[3, 4] = np.nan
    with pytest.raises(ValueError, match="1 of 450 with missing"):
        it.calibrate(u, it.Observations.grid(values, {"x": x, "t": t}), free=["k", "P"])
    dropped = it.calibrate(u, it.Observations.grid(values, {"x": x, "t": t}, nan="drop"), free=["k", "P"])
    assert dropped.observations == 449
    assert dropped.notes == ("1 of 450 observations were left out: missing values",)


def test_many_observations_cost_no_more_than_few() -> None:
    x, y = noisy_line(50_000, 0.1)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"])
    assert len(found._objective.parts[0].values) == 2
    best = np.linalg.lstsq(np.stack([np.ones(50_000), x], 1), y)[0]
    assert [found.values["a"], found.values["b"]] == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize("loss", ["linear", "huber"])
def test_rows_are_made_some_at_a_time(monkeypatch: pytest.MonkeyPatch, loss: Any) -> None:
    random = RNG(2)
    t, x = random.uniform(0, 2, 90), random.uniform(0.1, 0.9, 90)
    each = random.uniform(0.01, 0.03, 90)
    data = {"t": t, "x": x, "u": 2.0 * np.exp(-1.7 * t) * np.sin(np.pi * x) + each * random.standard_normal(90)}
    for model in (decay(), decay().to_cp()):
        whole = it.calibrate(model, data, free=["k", "P"], noise=each, loss=loss)
        with monkeypatch.context() as patched:
            patched.setattr(response_module, "NUMBERS_AT_ONCE", 100)
            patched.setattr(compress_module, "BLOCK", 7)
            parts = it.calibrate(model, data, free=["k", "P"], noise=each, loss=loss)
        assert parts.values == pytest.approx(whole.values, rel=1e-9)
        assert parts.misfit == pytest.approx(whole.misfit, rel=1e-9)
        assert parts.covariance == pytest.approx(whole.covariance, rel=1e-6)


def test_experiments_share_some_unknowns() -> None:
    """Two decays of one rate with amplitudes of their own, one of them seen at another place."""
    t = np.linspace(0, 2, 25)
    random = RNG(7)
    noise = 0.01
    first = 3.0 * np.exp(-1.5 * t) + noise * random.standard_normal(25)
    second = 1.0 * np.exp(-1.5 * t) * np.sin(0.25 * np.pi) + noise * random.standard_normal(25)
    seen = {"mon": it.Observations.table({"t": t, "u": first}, x=0.5),
            "tue": it.Observations.table({"t": t, "u": second}, x=0.25)}  # fmt: skip
    found = it.calibrate(decay(), seen, free=["k", "P"], separate=["P"], noise=noise)
    assert found.names == ("k", "P[mon]", "P[tue]")

    def model(_: Any, k: float, p: float, q: float) -> Any:
        return np.concatenate([p * np.exp(-k * t), q * np.exp(-k * t) * np.sin(0.25 * np.pi)])

    expected, covariance = curve_fit(model, None, np.concatenate([first, second]), p0=(2, 1, 1),
                                     sigma=np.full(50, noise), absolute_sigma=True)  # fmt: skip
    assert list(found.values.values()) == pytest.approx(expected, rel=1e-5)
    assert found.covariance == pytest.approx(covariance, rel=1e-3)
    assert found.predict({"t": [0.0]}, experiment="tue").values == pytest.approx(
        [expected[2] * np.sin(np.pi / 4)], rel=1e-5
    )
    shared = it.calibrate(decay(), list(seen.values()), free=["k", "P"], noise=noise)
    assert shared.names == ("k", "P")
    assert shared.chi_square > 100
    assert "times the given noise" in shared.notes[0]


def test_priors_are_more_observations() -> None:
    x, y = noisy_line(10, 0.2)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"], noise=0.2, prior={"b": (-2.0, 0.1)})
    design = np.vstack([np.stack([np.ones(10), x], 1) / 0.2, [0, 10]])
    best = np.linalg.lstsq(design, np.append(y / 0.2, -20))[0]
    assert [found.values["a"], found.values["b"]] == pytest.approx(best, rel=1e-8)
    assert found.covariance == pytest.approx(np.linalg.inv(design.T @ design), rel=1e-8)
    frozen = it.calibrate(
        straight_line(), {"x": x, "y": y}, free=["a", "b"], noise=0.2, prior=[None, scipy.stats.norm(-2, 0.1)]
    )
    assert frozen.values == pytest.approx(found.values, rel=1e-6)
    assert frozen.covariance == pytest.approx(found.covariance, rel=1e-4)


def test_an_unknown_noise_counts_what_a_prior_pays_for() -> None:
    """The noise, the values and the degrees of freedom agree with each other at the end."""
    x, y = noisy_line(12, 0.2, seed=4)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"], prior={"b": (-2.0, 0.3)})
    design, known = np.stack([np.ones(12), x], 1), np.diag([0, 1 / 0.3**2])
    variance = found.noise**2
    best = np.linalg.solve(design.T @ design / variance + known, design.T @ y / variance + known @ [0, -2.0])
    paid = np.trace(np.linalg.inv(design.T @ design / variance + known) @ design.T @ design / variance)
    assert 1 < paid < 2
    assert [found.values["a"], found.values["b"]] == pytest.approx(best, rel=1e-3)
    assert variance == pytest.approx(((y - design @ best) ** 2).sum() / (12 - paid), rel=1e-3)


def test_a_prior_that_is_not_normal_gives_the_posterior_mode() -> None:
    x, y = noisy_line(10, 0.2)
    y = y + 2
    prior = scipy.stats.gamma(3, scale=0.2)
    found = (
        it.calibrate(
            straight_line(), {"x": x, "y": y}, free=["a"], bounds={"a": (0.01, 2)}, noise=0.2, prior={"a": prior}
        )
        if False
        else it.calibrate(
            straight_line(), it.Observations.table({"x": x, "y": y}, b=-1.2), free=["a"], noise=0.2, prior={"a": prior}
        )
    )
    a = np.linspace(0.01, 2, 400_001)
    log_posterior = prior.logpdf(a) - 0.5 * (((a[:, None] - 1.2 * x) - y) ** 2).sum(1) / 0.04
    assert found.values["a"] == pytest.approx(a[np.argmax(log_posterior)], abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_robust_losses_set_outliers_aside(loss: str) -> None:
    x, y = noisy_line(200, 0.05, seed=11)
    y[::10] += 3.0
    plain = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"])
    robust = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"], loss=loss)
    truth = np.array([0.5, -1.2])
    off = {found: np.abs([found.values["a"] - 0.5, found.values["b"] + 1.2]).max() for found in (plain, robust)}
    assert off[robust] < 0.05 < 0.2 < off[plain]
    low, high = np.array(list(robust.intervals(0.999).values())).T
    assert ((low < truth) & (truth < high)).all()
    assert robust.noise == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_have_these_derivatives(loss: Any) -> None:
    z = np.array([0.1, 0.5, 2.0, 30.0])
    step = 1e-5 * z
    _, first, second = rho(loss, z)
    after, before = rho(loss, z + step), rho(loss, z - step)
    assert first == pytest.approx((after[0] - before[0]) / (2 * step), rel=1e-6)
    assert second == pytest.approx((after[1] - before[1]) / (2 * step), rel=1e-6, abs=1e-12)
    assert rho(loss, np.array([1e-8]))[0] == pytest.approx([1e-8], rel=1e-4)


def test_predictions_have_the_bands_of_linear_regression() -> None:
    x, y = noisy_line(30, 0.1)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"])
    new = np.array([0.0, 0.5, 1.0])
    band, wide = found.predict({"x": new}, level=0.9), found.predict({"x": new}, level=0.9, noise=True)
    design, at = np.stack([np.ones(30), x], 1), np.stack([np.ones(3), new], 1)
    spread = np.einsum("kp,pq,kq->k", at, np.linalg.inv(design.T @ design), at)
    reach = scipy.stats.t.ppf(0.95, 28) * found.noise
    assert (band.high - band.low) / 2 == pytest.approx(reach * np.sqrt(spread), rel=1e-8)
    assert (wide.high - wide.low) / 2 == pytest.approx(reach * np.sqrt(1 + spread), rel=1e-8)
    assert band.values == pytest.approx(at @ [found.values["a"], found.values["b"]], rel=1e-9)


def test_residuals_are_those_of_the_observations() -> None:
    x, y = noisy_line(300, 0.1)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"], noise=0.1)
    own = found.residuals["1"]
    assert own.observed == pytest.approx(y)
    assert own.predicted == pytest.approx(found.values["a"] + found.values["b"] * x, rel=1e-9)
    assert own.standardised == pytest.approx((own.predicted - y) / 0.1)
    assert found.misfit == pytest.approx(own.standardised @ own.standardised, rel=1e-9)


def test_units_and_tables_of_every_kind() -> None:
    pandas = pytest.importorskip("pandas")
    z = it.Axis("z", 0, 1, elements=12, unit="m")
    u = straight_line()
    model = it.CPModel.from_factors([z, A, B], list(u.factors))
    x, y = noisy_line(20, 0.1)
    reference = it.calibrate(model, {"z": x, "y": y}, free=["a", "b"]).values
    structured = np.array(list(zip(x, y, strict=True)), dtype=[("z", float), ("y", float)])
    for data in (
        {"z [mm]": 1000 * x, "y": y},
        it.Observations.table({"z": 1000 * x, "y": y}, units={"z": "mm"}),
        it.Observations.table({"z": x / 0.0254, "y": y}, units={"z": 0.0254}),
        pandas.DataFrame({"z": x, "y": y}),
        it.Observations.table(np.stack([y, x], 1), names=["y", "z"]),
        it.Observations.table(structured),
        it.Observations.table({"z": x, "y": y, "other": y}, value="y"),
    ):
        assert it.calibrate(model, data, free=["a", "b"]).values == pytest.approx(reference, rel=1e-9)
    with pytest.raises(ValueError, match=r"axis 'z' has the unit 'm', the observations 's'"):
        it.calibrate(model, {"z [s]": x, "y": y}, free=["a", "b"])


def test_the_report_is_saved_and_read_by_people(tmp_path: Path) -> None:
    x, y = noisy_line(20, 0.1)
    found = it.calibrate(straight_line(), {"x": x, "y": y}, free=["a", "b"])
    found.save(tmp_path / "found.json")
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["parameters"]["a"]["value"] == found.values["a"]
    assert told["parameters"]["a"]["determined"] is True
    with pytest.raises(FileExistsError):
        found.save(tmp_path / "found.json")
    text = str(found)
    for word in ("converged", f"{found.values['a']:.8g}", "95 % in", "singular value", "estimated as"):
        assert word in text


def test_float32_models_and_vector_fields() -> None:
    component = it.Axis.discrete("c", 2)
    base = straight_line()
    factors = [base.factors[0], torch.tensor([[1.0, 1.0], [2.0, -1.0]], dtype=torch.float64), *list(base.factors)[1:]]
    model = it.CPModel.from_factors([X, component, A, B], factors, dtype=torch.float32)
    x = np.linspace(0, 1, 10)
    c = np.arange(10) % 2
    y = np.where(c == 0, 0.5 - 1.2 * x, 1.0 + 1.2 * x)
    found = it.calibrate(model, {"x": x, "c": c, "y": y}, free=["a", "b"])
    assert found.values == pytest.approx({"a": 0.5, "b": -1.2}, rel=1e-5)


def test_estimators_are_unwrapped() -> None:
    pytest.importorskip("sklearn")
    points = RNG(0).uniform(0, 1, (200, 2))
    fitted = it.INNRegressor().fit(points, 1 + points[:, 0] * (1 + points[:, 1]))
    x = np.linspace(0.1, 0.9, 9)
    found = it.calibrate(fitted, {"x0": x, "y": 1 + x * 1.4}, free="x1")
    assert found.values["x1"] == pytest.approx(0.4, abs=1e-4)


def test_the_guide_is_true() -> None:
    guide = (Path(__file__).resolve().parent.parent / "docs" / "calibration.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL):
        exec(compile(block, "calibration.md", "exec"), names)
    found = names["found"]
    for name, truth in {"k": 1.2, "q": 3.0}.items():
        low, high = found.intervals(0.999)[name]
        assert low < truth < high
    seen = names["it"].calibrate(names["model"], names["seen"], free=["k", "q"])
    assert seen.values == pytest.approx({"k": 1.2, "q": 3.0}, rel=0.15)
    assert seen.chi_square < 10 or not np.isfinite(seen.chi_square)
    early = names["it"].calibrate(names["model"], names["early"], free=["k", "q"], noise=0.001)
    assert early.undetermined == ("k",)
