"""Calibration of what cannot be calibrated: bad input by name, open parameters said so, searches that break off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

import inntd as it
from inntd.calibration import Integral, Mean, PointSum, line, solve
from inntd.models.exponential import ExponentialModel

X = it.Axis("x", 0, 1, elements=12)
A = it.Axis("a", -2, 2, elements=4, s=1, kind="parameter")
B = it.Axis("b", -3, 3, elements=4, s=1, kind="parameter")
C = it.Axis.discrete("c", 2)


def field(first: Any, second: Any) -> it.CPModel:
    """first(x) a + second(x) b."""
    one = np.ones(A.size)
    x = np.stack([first(X.nodes), second(X.nodes)], 1)
    return it.CPModel.from_factors([X, A, B], [x, np.stack([A.nodes, one], 1), np.stack([one, B.nodes], 1)])


LINE = field(np.ones_like, lambda x: x)
SUM = field(np.ones_like, np.ones_like)  # a + b: only the sum is seen
PLACES = np.linspace(0, 1, 9)
TABLE = {"x": PLACES, "y": 0.5 - PLACES}


def table(**changes: Any) -> dict[str, Any]:
    return {**TABLE, **changes}


def spoiled(value: float) -> np.ndarray:
    y = 0.5 - PLACES
    y[3] = value
    return y


CASES: list[tuple[Any, dict[str, Any], str]] = [
    (table(x=PLACES + 0.5), {}, r"axis 'x': observations must lie in \[0.0, 1.0\], got 4 outside of 9"),
    (table(y=spoiled(np.nan)), {}, r"observations must be finite, got 1 of 9 .* in 'y' at row 3; .*nan='drop'"),
    (table(x=np.where(PLACES > 0.5, np.inf, PLACES)), {}, "got 4 of 9 with missing or infinite numbers"),
    (it.Observations.table(table(y=np.full(9, np.nan)), nan="drop"), {}, "must hold at least one value, got only"),
    ({"x": [0.5], "y": [1.0]}, {}, "at least as many as unknowns without a prior, 2, got 1"),
    ({"x": [0.5, 0.6], "y": [1.0]}, {}, r"columns must have one length, got x: 2, y: 1"),
    ({"y": [0.5, 0.6]}, {}, "must say where they are on x: add a column"),
    ({"x": [0.5, 0.6]}, {}, "value must name the column of measured values: those that are no axis are none"),
    (table(z=PLACES), {}, "value must name the column .* are y, z"),
    (it.Observations.table(TABLE, value="w"), {}, "there is no column 'w'; there are x, y"),
    (it.Observations.table(TABLE, x=0.3), {}, "x must be given once, got a column and the number 0.3"),
    (it.Observations.table(TABLE, q=0.3), {}, "q is held still but is no axis of the model; it has x, a, b"),
    (it.Observations.table(TABLE, a=0.3), {}, "a is free, and must not be held still"),
    (it.Observations.table(TABLE, noise=-1.0), {}, "noise must be a positive finite number, got -1"),
    (it.Observations.table(TABLE, noise=np.ones(4)), {}, r"noise must be a number, 9 numbers or .* got shape \(4,\)"),
    ([], {}, "observations must hold at least one experiment, got none"),
    (3, {}, "a table must be a mapping of names to columns"),
    (TABLE, {"free": []}, "free must name at least one of x, a, b"),
    (TABLE, {"free": ["q"]}, "free must name one of x, a, b, got 'q'"),
    (TABLE, {"free": ["a", "a"]}, "free must name each axis once"),
    (TABLE, {"bounds": {"a": (1, -1)}}, "bounds of a must have low < high, got 1 and -1"),
    (TABLE, {"bounds": {"a": (-5, 1)}}, r"bounds of a must lie in \[-2, 2\], where the model is known, got \[-5, 1\]"),
    (TABLE, {"bounds": {"q": (0, 1)}}, "bounds must name free axes, a, b, got 'q'"),
    (TABLE, {"bounds": {"a": 3}}, r"bounds of a must be a pair \(low, high\), got 3"),
    (TABLE, {"prior": [(0, 1)]}, "prior must have one entry for each of a, b, got 1"),
    (TABLE, {"prior": {"q": (0, 1)}}, "prior must name unknowns, a, b, got 'q'"),
    (TABLE, {"prior": {"a": (0, 0)}}, "the prior standard deviation of a must be a positive finite number"),
    (TABLE, {"prior": {"a": 3}}, r"the prior of a must be a pair \(mean, standard deviation\)"),
    (TABLE, {"prior": {"a": scipy.stats.uniform(5, 6)}}, r"must have a density inside the bounds \[-2, 2\], got none"),
    (TABLE, {"noise": 0.0}, "noise must be a positive finite number, got 0"),
    (TABLE, {"noise": np.ones(3)}, r"noise must be a number, 9 numbers or a matrix of 9 x 9, got shape \(3,\)"),
    (TABLE, {"noise": -np.eye(9)}, "noise must be a positive definite matrix"),
    (TABLE, {"noise": np.triu(np.ones((9, 9)))}, "noise must be a symmetric matrix"),
    (TABLE, {"noise": np.eye(9), "loss": "huber"}, "loss must be 'linear' with a covariance matrix"),
    (TABLE, {"loss": "l1"}, "loss must be one of 'linear', 'soft_l1'"),
    (TABLE, {"optimizer": "sgd"}, "optimizer must be one of 'trust_region', 'adam'"),
    (TABLE, {"start": {"a": 1}}, "start must have a value for a, b, got none for b"),
    (TABLE, {"start": [5, 0]}, r"start of a must lie in \[-2, 2\], got 5"),
    (TABLE, {"starts": 0}, "starts must be a positive integer"),
    (TABLE, {"seed": -1}, "seed must be an integer of at least 0"),
    (it.Observations.grid(np.zeros((3, 2)), {"x": [0, 1]}), {}, r"values must have the shape \(2,\) of the grid"),
    (it.Observations.grid(np.zeros(2), {"q": [0, 1]}), {}, "a grid must have a vector for x, got q"),
    (it.Observations.functionals([1.0], [{"x": Mean()}] * 2), {}, "values must be 2 numbers, one per functional"),
    (it.Observations.functionals([1.0, 1.0], [{"q": 0.0}] * 2), {}, r"functionals\[0\] must say where it is on x"),
    (it.Observations.functionals([1.0, 1.0], [{"x": Integral(1, 0)}] * 2), {}, "must end after its start, got 1 to 0"),
    (it.Observations.functionals([1.0, 1.0], [{"x": Integral(0, 7)}] * 2), {}, r"axis 'x': ends must lie in"),
    ([it.Observations.table(TABLE, noise=1.0), it.Observations.table(TABLE)], {}, "noise must be given for all exper"),
    ([TABLE, TABLE], {"noise": np.ones(9)}, "noise of several experiments must be a number"),
]


@pytest.mark.parametrize(("observations", "options", "message"), CASES, ids=range(len(CASES)))
def test_what_is_wrong_is_named(observations: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        it.calibrate(LINE, observations, **{"free": ["a", "b"], **options})


def test_what_is_no_field_and_what_is_discrete_is_refused() -> None:
    with pytest.raises(TypeError, match=r"model must be a field, such as answer\.model, got int"):
        it.calibrate(3, TABLE, free="a")  # type: ignore[arg-type]
    two = it.CPModel.from_factors([X, C], [X.nodes[:, None], np.ones((2, 1))])
    with pytest.raises(ValueError, match="free must name continuous axes, got the discrete axis 'c'"):
        it.calibrate(two, TABLE, free="c")
    with pytest.raises(ValueError, match="must name the same axes"):
        line({"x": 0}, {"y": 1})
    with pytest.raises(ValueError, match="must differ, got the same point twice"):
        line({"x": 0}, {"x": 0})
    with pytest.raises(ValueError, match=r"x must be 2 numbers, as weights, or one"):
        PointSum({"x": [1, 2, 3]}, [1, 1])


@pytest.mark.parametrize("noise", [0.01, None])
def test_a_combination_that_is_not_seen_is_reported_and_not_guessed(noise: float | None) -> None:
    y = 0.7 + 0.01 * np.random.default_rng(0).standard_normal(9)
    found = it.calibrate(SUM, {"x": PLACES, "y": y}, free=["a", "b"], noise=noise)
    assert found.undetermined == ("a", "b")
    assert found.intervals() == {"a": (-2.0, 2.0), "b": (-3.0, 3.0)}
    assert found.standard_errors == {"a": np.inf, "b": np.inf}
    assert found.identifiability.open.tolist() == [False, True]
    assert found.identifiability.condition > 1e8
    # Along (3, -2) in units of the ranges, 4 and 6, the sum a + b stands still.
    direction = found.identifiability.directions[1]
    assert direction / direction[0] == pytest.approx([1, -2 / 3], rel=1e-6)
    assert found.identifiability.words == ("0.83 a - 0.55 b (each over its range) is not determined by the data",)
    assert "NOT determined: anything in [-2, 2]" in str(found)
    assert "a, b are not determined" in found.message
    assert found.others == ()
    assert found.values["a"] + found.values["b"] == pytest.approx(y.mean(), abs=1e-6)


def test_a_parameter_without_influence_is_open_and_others_are_not() -> None:
    model = field(np.ones_like, np.zeros_like)
    found = it.calibrate(model, {"x": PLACES, "y": np.full(9, 0.7) + 1e-3 * PLACES}, free=["a", "b"])
    assert found.undetermined == ("b",)
    assert found.intervals()["b"] == (-3.0, 3.0)
    low, high = found.intervals()["a"]
    assert 0.69 < low < 0.7005 < high < 0.71
    assert found.intervals(method="profile")["b"] == (-3.0, 3.0)


def test_a_prior_closes_what_the_data_leave_open() -> None:
    found = it.calibrate(SUM, {"x": PLACES, "y": np.full(9, 0.7)}, free=["a", "b"], noise=0.3, prior={"b": (0.2, 0.01)})
    assert found.identifiability.undetermined == ("a", "b")
    assert found.undetermined == ()
    assert found.values == pytest.approx({"a": 0.5, "b": 0.2}, abs=1e-6)
    assert found.standard_errors == pytest.approx({"a": np.hypot(0.1, 0.01), "b": 0.01}, rel=1e-6)


def test_equal_values_and_bounds_that_bind_are_told() -> None:
    equal = it.calibrate(LINE, {"x": PLACES, "y": np.full(9, 0.7)}, free=["a", "b"], noise=0.1)
    assert equal.notes == ("all 9 values of experiment 1 are equal, 0.7: is the sensor stuck?",)
    at = it.calibrate(LINE, {"x": PLACES, "y": 5.0 + 0.1 * PLACES}, free=["a", "b"], noise=0.1)
    assert at.notes[0] == "a is at its upper bound: the data want it beyond"
    one_place = it.calibrate(LINE, {"x": [0.5] * 9, "y": 0.7 + 0.01 * PLACES}, free=["a", "b"], noise=0.1)
    assert one_place.undetermined == ("a", "b")


def test_as_many_unknowns_as_observations_need_a_given_noise() -> None:
    found = it.calibrate(LINE, {"x": [0.2, 0.8], "y": [0.5, 0.1]}, free=["a", "b"])
    assert "leave nothing to estimate the noise from" in found.notes[0]
    assert found.intervals() == {"a": (-2.0, 2.0), "b": (-3.0, 3.0)}
    assert (
        it.calibrate(LINE, {"x": [0.2, 0.8], "y": [0.5, 0.1]}, free=["a", "b"], noise=0.01).standard_errors["a"] < 0.02
    )


def test_the_other_minimum_is_told() -> None:
    """u = a² x: both signs explain the data, and a start chooses."""
    square = it.Axis("a", -2, 2, elements=4, s=1)
    model = it.CPModel.from_factors([X, square], [X.nodes[:, None], square.nodes[:, None] ** 2])
    found = it.calibrate(model, {"x": PLACES, "y": 1.44 * PLACES}, free="a", noise=0.01)
    assert abs(found.values["a"]) == pytest.approx(1.2, rel=1e-6)
    assert [other["a"] for other in found.others] == pytest.approx([-found.values["a"]], rel=1e-6)
    assert "explains the data about as well" in str(found)
    left = it.calibrate(model, {"x": PLACES, "y": 1.44 * PLACES}, free="a", noise=0.01, start=[-1.0])
    assert left.values["a"] == pytest.approx(-1.2, rel=1e-6)


class Interrupting:
    """Stands in for the residuals: interrupts after some evaluations, or returns what is not finite."""

    def __init__(self, original: Any, after: int, broken: float | None) -> None:
        self.original, self.after, self.broken, self.calls = original, after, broken, 0

    def __call__(self, watched: Any, z: Any) -> Any:
        self.calls += 1
        if self.calls > self.after:
            if self.broken is None:
                raise KeyboardInterrupt
            return np.full_like(self.original(watched, z), self.broken)
        return self.original(watched, z)


def banana() -> Any:
    """exp of a + b x: several steps to the minimum."""
    return ExponentialModel(LINE)


@pytest.mark.parametrize("optimizer", ["trust_region", "adam"])
def test_ctrl_c_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch, optimizer: Any) -> None:
    hook = Interrupting(solve.Watched.residuals, 3, None)
    monkeypatch.setattr(solve.Watched, "residuals", lambda self, z: hook(self, z))
    truth = {"x": PLACES, "y": np.exp(0.5 - 1.3 * PLACES)}
    found = it.calibrate(banana(), truth, free=["a", "b"], noise=0.1, start=[-1.0, 2.0], optimizer=optimizer)
    assert found.status == "interrupted"
    assert found.message == "interrupted; these are the best values so far"
    start = float((((np.exp(-1.0 + 2.0 * PLACES) - truth["y"]) / 0.1) ** 2).sum())
    assert found.misfit < start


def test_a_search_that_becomes_infinite_keeps_the_last_good_state(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Interrupting(solve.Watched.jacobian, 2, np.nan)
    monkeypatch.setattr(solve.Watched, "jacobian", lambda self, z: hook(self, z))
    truth = {"x": PLACES, "y": np.exp(0.5 - 1.3 * PLACES)}
    found = it.calibrate(banana(), truth, free=["a", "b"], noise=0.1, start=[-1.0, 2.0])
    assert found.status == "diverged"
    assert np.isfinite(found.misfit)
    assert "narrow the bounds" in found.message


def test_a_model_that_is_finite_nowhere_says_where() -> None:
    huge = ExponentialModel(LINE * 1e4 + 1e5)
    with pytest.raises(
        ValueError, match=r"must be finite where the observations are, got 9 values that are not at a = "
    ):
        it.calibrate(huge, TABLE, free=["a", "b"])


def test_prediction_and_intervals_refuse() -> None:
    found = it.calibrate(LINE, TABLE, free=["a", "b"], noise=0.1)
    with pytest.raises(ValueError, match=r"level must be a probability between 0 and 1, got 1\.5"):
        found.intervals(1.5)
    with pytest.raises(ValueError, match="method must be one of 'laplace', 'profile'"):
        found.intervals(method="bootstrap")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="places must have coordinates on x, got q"):
        found.predict({"q": 1.0})
    with pytest.raises(ValueError, match="experiment must be one of 1, got '2'"):
        found.predict({"x": 0.1}, experiment="2")
    each = it.calibrate(LINE, TABLE, free=["a", "b"], noise=np.full(9, 0.1))
    with pytest.raises(ValueError, match="noise=True needs one standard deviation"):
        each.predict({"x": 0.1}, noise=True)
