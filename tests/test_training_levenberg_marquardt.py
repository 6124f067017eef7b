"""Levenberg and Marquardt's method on given axes: recovery, noise, weights, outputs, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import inntd as it
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.levenberg_marquardt import fit_levenberg_marquardt

Array = np.ndarray[Any, Any]


def axes(elements: int = 6) -> list[it.Axis]:
    return [it.Axis(name, 0, 1, elements=elements) for name in "ab"]


def samples(count: int = 400, seed: int = 0) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).random((count, 2))
    return x, 5 + np.sin(3 * x[:, 0]) * np.exp(x[:, 1]) + np.cos(2 * x[:, 0] + 1) * x[:, 1] ** 3


def error(found: Any) -> float:
    x, y = samples(1000, seed=9)
    return float(np.sqrt(np.mean((found.model(x).numpy() - y) ** 2)) / np.std(y))


def test_the_exact_rank_is_found_to_the_error_of_the_mesh_in_few_steps() -> None:
    coarse, fine = (fit_levenberg_marquardt(axes(n), *samples(), rank=3) for n in (3, 6))
    assert fine.status == "converged"
    assert len(fine.history) < 60
    assert error(fine) < 2e-5
    assert error(fine) < error(coarse) / 5
    assert fine.choices["coefficients"] == 1 + 3 * 2 * 7


def test_penalties_take_over_where_samples_are_few_and_noise_is_told() -> None:
    x, y = samples(150)
    noisy = y + 0.05 * np.random.default_rng(1).standard_normal(150)
    found = fit_levenberg_marquardt(axes(20), x, noisy, rank=3)  # 127 coefficients
    assert found.choices["noise"] == pytest.approx(0.05, rel=0.4)
    assert error(found) < 0.5 * error(fit_lbfgs(axes(20), x, noisy, rank=3, iterations=150))


def test_weights_silence_samples() -> None:
    x, y = samples()
    spoilt = np.arange(len(y)) % 4 == 0
    found = fit_levenberg_marquardt(axes(), x, np.where(spoilt, 100.0, y), rank=3, weights=np.where(spoilt, 0, 1))
    assert error(found) < 1e-3


def test_outputs_are_one_more_axis() -> None:
    x, y = samples()
    found = fit_levenberg_marquardt(axes(), x, np.column_stack([y, 2 - y]), rank=4)
    assert [axis.name for axis in found.model.axes] == ["a", "b", "output"]
    values = found.model(np.column_stack([x, np.ones(len(x))])).numpy()
    assert np.std(values - (2 - y)) < 1e-3 * np.std(y)


def test_an_interrupt_keeps_the_best_and_time_is_obeyed() -> None:
    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 5:
            raise KeyboardInterrupt

    found = fit_levenberg_marquardt(axes(), *samples(), rank=3, callback=stop)
    assert (found.status, len(found.history)) == ("interrupted", 5)
    assert error(found) < 0.5
    assert len(fit_levenberg_marquardt(axes(), *samples(), rank=3, max_seconds=1e-6).history) == 1


def test_too_many_coefficients_and_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"makes 10,051 coefficients.*at most 4,000.*optimizer='als'"):
        fit_levenberg_marquardt(axes(200), *samples(), rank=25)
    with pytest.raises(ValueError, match="rank must be a positive integer"):
        fit_levenberg_marquardt(axes(), *samples(), rank=0)
    with pytest.raises(ValueError, match="y must"):
        fit_levenberg_marquardt(axes(), samples()[0], [1.0, 2.0], rank=1)
