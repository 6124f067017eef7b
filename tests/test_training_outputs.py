"""Several targets by the automatic search: one model of all, each as accurate as alone; time and interrupts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import inntd as it
from inntd.training.automatic import fit_automatic
from inntd.training.outputs import fit_outputs, side_by_side

Array = npt.NDArray[np.float64]


def samples(count: int = 150, seed: int = 0) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).random((count, 3))
    first = np.sin(3 * x[:, 0]) * np.exp(x[:, 1])
    return x, np.column_stack([first, 1e6 + 1e3 * (x[:, 2] ** 3 - x[:, 0]), np.full(count, 7.0)])


def values(model: Any, x: Array, count: int) -> Array:
    return np.column_stack([model.at(output=c)(x).numpy() for c in range(count)])


def test_models_side_by_side_are_the_models() -> None:
    x, y = samples()
    alone = [fit_automatic(x, column, logarithm=False, max_seconds=2).model for column in y.T]
    both = side_by_side(alone)
    new = x.min(0) + (x.max(0) - x.min(0)) * np.random.default_rng(3).random((300, 3))
    for found, model, column in zip(values(both, new, 3).T, alone, y.T, strict=True):
        np.testing.assert_allclose(found, model(new).numpy(), rtol=0, atol=1e-9 * np.abs(column).max())


def test_each_output_is_as_accurate_as_alone() -> None:
    x, y = samples()
    new, exact = samples(500, seed=1)
    found = fit_outputs(x, y[:, :2], names=["a", "b", "c"])
    assert [axis.name for axis in found.model.axes] == ["a", "b", "c", "output"]
    inside = ((new > x.min(0)) & (new < x.max(0))).all(axis=1)
    errors = np.sqrt(np.mean((values(found.model, new[inside], 2) - exact[inside, :2]) ** 2, axis=0))
    assert np.all(errors < 1e-4 * exact[:, :2].std(axis=0))
    assert found.choices["score"] < 1e-4
    assert len(found.choices["outputs"]) == 2
    assert {entry["output"] for entry in found.history} == {0, 1}
    assert [entry["step"] for entry in found.history] == list(range(1, len(found.history) + 1))


def test_an_interrupt_leaves_a_model_of_all_outputs() -> None:
    def stop(entry: dict[str, Any]) -> None:
        if entry["output"] == 1:
            raise KeyboardInterrupt

    x, y = samples()
    found = fit_outputs(x, y, callback=stop)
    assert found.status == "interrupted"
    assert np.isfinite(values(found.model, x, 3)).all()
    assert np.sqrt(np.mean((values(found.model, x, 1)[:, 0] - y[:, 0]) ** 2)) < 1e-3 * y[:, 0].std()


def test_time_is_shared_among_outputs() -> None:
    random = np.random.default_rng(0)
    x = random.random((600, 6))
    y = np.sin(8 * x @ random.random((6, 4)))
    begin = time.process_time()
    found = fit_outputs(x, y, max_seconds=1.0)
    assert time.process_time() - begin < 15.0  # one step may be begun before the time of each output is over
    assert found.status == "max_epochs"
    assert "output 3: " in found.message


@pytest.mark.parametrize("y", [np.zeros(150), np.zeros((150, 0)), np.full((150, 2), "a")])
def test_outputs_are_checked(y: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"y must "):
        fit_outputs(samples()[0], y)


def test_the_estimator_searches_for_few_targets_and_not_for_many() -> None:
    x, y = samples()
    model = it.INNRegressor(max_seconds=6).fit(x, y)
    assert model.report_["optimizer"] == "automatic"
    assert model.report_["training_error"] < 1e-4
    np.testing.assert_allclose(model.predict(x)[:, 2], 7.0)
    many = it.INNRegressor(rank="auto").fit(x, np.column_stack([y[:, 0] * c for c in range(1, 10)]))
    assert many.report_["optimizer"] == "als"
    assert "9 targets" in many.report_["why"]
    with pytest.raises(ValueError, match="optimizer='automatic' cannot be taken here: 9 targets"):
        it.INNRegressor(optimizer="automatic").fit(x, np.tile(y, 3))


def test_a_classifier_keeps_to_its_time() -> None:
    random = np.random.default_rng(0)
    x = random.random((900, 8))
    labels = (np.sin(9 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * random.standard_normal(900) > 0.5).astype(int)
    begin = time.process_time()
    model = it.INNClassifier(max_seconds=0.3).fit(x, labels)
    assert time.process_time() - begin < 3
    assert model.report_["status"] == "max_epochs"
    assert "raise max_seconds" in model.report_["message"]
    assert model.score(x, labels) > 0.6
