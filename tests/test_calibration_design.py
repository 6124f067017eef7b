"""Intervals that cover, samples, where to measure: properties by simulation and by brute force."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import scipy.stats

import inntd as it
from inntd.results.calibration import plot_residuals

X = it.Axis("x", 0, 1, elements=12)
K = it.Axis("k", 0.2, 8, elements=40, kind="parameter")
P = it.Axis("P", 0, 4, elements=4, s=1, kind="parameter")


def decay() -> it.CPModel:
    """P exp(-k x)."""
    left, scales, right = np.linalg.svd(np.exp(-np.outer(X.nodes, K.nodes)))
    r = 10
    return it.CPModel.from_factors(
        [X, K, P], [left[:, :r] * scales[:r], right[:r].T, np.repeat(P.nodes[:, None], r, axis=1)]
    )


MODEL = decay()
PLACES = np.linspace(0, 1, 12)


@pytest.mark.parametrize("known", [True, False])
def test_intervals_cover_the_truth_as_often_as_they_say(known: bool) -> None:
    random, repeats, sigma = np.random.default_rng(0), 120, 0.03
    inside = np.zeros(2)
    for _ in range(repeats):
        k, p = random.uniform((1, 1), (4, 3))
        y = p * np.exp(-k * PLACES) + sigma * random.standard_normal(12)
        found = it.calibrate(MODEL, {"x": PLACES, "y": y}, free=["k", "P"], noise=sigma if known else None, starts=4)
        for i, (name, truth) in enumerate({"k": k, "P": p}.items()):
            low, high = found.intervals()[name]
            inside[i] += low <= truth <= high
    # 3.5 standard deviations of the binomial distribution of 120 repeats, and the curvature's own error.
    assert inside / repeats == pytest.approx(0.95, abs=0.07), inside / repeats


def test_profile_intervals_are_where_the_misfit_has_risen() -> None:
    y = 2 * np.exp(-3 * PLACES) + 0.15 * np.random.default_rng(3).standard_normal(12)
    found = it.calibrate(MODEL, {"x": PLACES, "y": y}, free=["k", "P"], noise=0.15)
    low, high = found.intervals(method="profile")["k"]
    rise = scipy.stats.chi2.ppf(0.95, 1)
    for k in (low, high):
        design = np.exp(-k * PLACES)
        p = design @ y / (design @ design)
        squares = (((y - p * design) / 0.15) ** 2).sum()
        assert squares - found.misfit == pytest.approx(rise, rel=2e-3)
    assert high - found.values["k"] > found.values["k"] - low  # the model bends


def test_a_profile_ends_at_the_bound_where_nothing_rises() -> None:
    y = 2 * np.exp(-3 * PLACES)
    found = it.calibrate(MODEL, {"x": PLACES, "y": y}, free=["k", "P"], noise=5.0)
    assert found.intervals(method="profile")["k"] == (0.2, 8.0)


@pytest.mark.parametrize("known", [True, False])
def test_samples_agree_with_the_posterior_on_a_grid(known: bool) -> None:
    pytest.importorskip("emcee")
    y = 2 * np.exp(-3 * PLACES) + 0.1 * np.random.default_rng(3).standard_normal(12)
    found = it.calibrate(MODEL, {"x": PLACES, "y": y}, free=["k", "P"], noise=0.1 if known else None)
    samples = found.sample(1500, seed=1)
    again = found.sample(1500, seed=1)
    assert (samples.values == again.values).all()
    assert samples.effective > 500
    assert 0.2 < samples.acceptance < 0.9
    k, p = np.meshgrid(np.linspace(0.2, 8, 400), np.linspace(0, 4, 400), indexing="ij")
    squares = sum((p * np.exp(-k * x) - value) ** 2 for x, value in zip(PLACES, y, strict=True))
    logarithm = -0.5 * squares / 0.01 if known else -6.0 * np.log(squares)
    density = np.exp(logarithm - logarithm.max())
    marginal = np.cumsum(density.sum(axis=1))
    expected = np.interp([0.025, 0.975], marginal / marginal[-1], k[:, 0])
    width = expected[1] - expected[0]
    assert samples.intervals()["k"] == pytest.approx(expected, abs=0.06 * width)


def test_sampling_without_emcee_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "emcee", None)
    found = it.calibrate(MODEL, {"x": PLACES, "y": 2 * np.exp(-3 * PLACES)}, free=["k", "P"], noise=0.1)
    with pytest.raises(ImportError, match=r"pip install 'inntd\[sampling\]'"):
        found.sample()


def information(indices: tuple[int, ...], x: np.ndarray, k: float, p: float, noise: float) -> float:
    """Return the determinant of the information in the unit box, from the explicit derivatives."""
    rows = np.stack([-p * x * np.exp(-k * x) * 7.8, np.exp(-k * x) * 4.0], 1) / noise
    chosen = rows[list(indices)]
    return float(np.linalg.det(chosen.T @ chosen + 12 * np.eye(2)))


def test_sensors_are_as_good_as_the_best_of_all_pairs() -> None:
    x = np.linspace(0, 1, 21)
    found = it.place_sensors(MODEL, {"x": x}, 2, free=["k", "P"], noise=0.01, at={"k": 3, "P": 2})
    pairs = itertools.combinations(range(21), 2)
    best = max(pairs, key=lambda pair: information(pair, x, 3, 2, 0.01))
    # The decay's classical design: one place at the start, one at 1/k.
    assert sorted(found.indices) == sorted(best) or information(
        tuple(found.indices), x, 3, 2, 0.01
    ) > 0.6 * information(best, x, 3, 2, 0.01)
    first = max(range(21), key=lambda i: information((i,), x, 3, 2, 0.01))
    assert found.indices[0] == first
    assert found.gains[0] == pytest.approx(np.log(information((first,), x, 3, 2, 0.01) / 144), rel=1e-6)


def test_expected_errors_are_those_that_a_calibration_then_has() -> None:
    x = np.linspace(0, 1, 21)
    found = it.place_sensors(MODEL, {"x": x}, 4, free=["k", "P"], noise=0.001, at={"k": 3, "P": 2}, repeat=True)
    places = found.places["x"]
    seen = it.calibrate(MODEL, {"x": places, "y": 2 * np.exp(-3 * places)}, free=["k", "P"], noise=0.001)
    for name, error in seen.standard_errors.items():
        assert found.expected_errors[name][-1] == pytest.approx(error, rel=1e-3)
        assert (np.diff(found.expected_errors[name]) <= 0).all()
    assert (np.diff(found.gains) <= 1e-12).all()


def test_sensors_that_record_over_time_and_priors() -> None:
    t = it.Axis("t", 0, 1, elements=12, kind="time")
    u = it.CPModel.from_factors(
        [X, t, P], [np.sin(np.pi * X.nodes)[:, None], t.nodes[:, None], P.nodes[:, None]]
    )  # P t sin(pi x): the middle is best
    found = it.place_sensors(u, {"x": np.linspace(0, 1, 11)}, 3, free="P", noise=0.1, record={"t": [0.5, 1.0]})
    assert found.places["x"][0] == pytest.approx(0.5)
    assert sorted(found.places["x"]) == pytest.approx([0.4, 0.5, 0.6])
    known = (1 + 0.25) * np.sin(np.pi * found.places["x"]) ** 2 / 0.01
    assert found.expected_errors["P"] == pytest.approx((12 / 16 + np.cumsum(known)) ** -0.5, rel=1e-6)
    sure = it.place_sensors(u, {"x": [0.5]}, 1, free="P", noise=0.1, record={"t": [0.5, 1.0]}, prior={"P": (2.0, 0.01)})
    assert sure.expected_errors["P"] == pytest.approx([(12 / 16 + 1e4 + known[0]) ** -0.5], rel=1e-6)


def test_the_next_sensors_go_on_from_a_calibration() -> None:
    y = 2 * np.exp(-3 * PLACES)
    found = it.calibrate(MODEL, {"x": PLACES, "y": y}, free=["k", "P"], noise=0.02)
    more = it.place_sensors(MODEL, {"x": np.linspace(0, 1, 21)}, 3, free=["P", "k"], noise=0.02, after=found)
    x = np.append(PLACES, more.places["x"])
    then = it.calibrate(MODEL, {"x": x, "y": 2 * np.exp(-3 * x)}, free=["k", "P"], noise=0.02)
    for name, error in then.standard_errors.items():
        assert more.expected_errors[name][-1] == pytest.approx(error, rel=1e-5)
    with pytest.raises(ValueError, match="after must be given without bounds"):
        it.place_sensors(MODEL, {"x": [0.5]}, 1, free=["k", "P"], noise=0.1, after=found, at=[3, 2])
    with pytest.raises(ValueError, match="free must be the unknowns of the calibration, k, P, got k"):
        it.place_sensors(MODEL, {"x": [0.5]}, 1, free="k", noise=0.1, after=found)


def test_sensors_refuse() -> None:
    with pytest.raises(ValueError, match="count must be at most the 3 candidates, got 4"):
        it.place_sensors(MODEL, {"x": [0, 0.5, 1]}, 4, free=["k", "P"], noise=0.1)
    with pytest.raises(ValueError, match="candidates must have coordinates on x, got y"):
        it.place_sensors(MODEL, {"y": [0, 0.5, 1]}, 1, free=["k", "P"], noise=0.1)
    with pytest.raises(ValueError, match="record must name one axis of x"):
        it.place_sensors(MODEL, {"x": [0]}, 1, free=["k", "P"], noise=0.1, record={"k": [1]})
    with pytest.raises(ValueError, match="at must lie inside the bounds"):
        it.place_sensors(MODEL, {"x": [0]}, 1, free=["k", "P"], noise=0.1, at=[9, 1])


def test_residuals_are_drawn() -> None:
    y = 2 * np.exp(-3 * PLACES) + 0.1 * np.random.default_rng(3).standard_normal(12)
    found = it.calibrate(MODEL, [{"x": PLACES, "y": y}, {"x": PLACES, "y": 2 * y}], free=["k", "P"], separate="P")
    figure = plot_residuals(found)
    left, right = figure.axes
    drawn = left.lines[0].get_xydata()
    assert drawn[:, 0] == pytest.approx(found.residuals["1"].predicted)
    assert drawn[:, 1] == pytest.approx(found.residuals["1"].standardised)
    assert "experiment 2" in [text.get_text() for text in left.get_legend().get_texts()]
    assert right.get_xlabel().startswith("normal quantile")
