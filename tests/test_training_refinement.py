"""Many rows: coverage, meshes from coarse to fine, what the automatic route does with both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import inntd as it
from inntd.training.coverage import gaps
from inntd.training.refinement import fit_refined

Array = np.ndarray[Any, Any]


def make_axes(meshes: Sequence[tuple[int, int]]) -> list[it.Axis]:
    return [it.Axis(name, 0, 1, elements=n, s=s) for name, (n, s) in zip("abc", meshes, strict=True)]


def wavy(x: Array) -> Array:
    return np.exp(x[:, 0]) * np.sin(12 * x[:, 1])


def error(model: Any, function: Any, columns: int = 3) -> float:
    x = np.random.default_rng(99).uniform(0.01, 0.99, (2000, columns))
    found = model.predict(x) if hasattr(model, "predict") else model(x).numpy()
    return float(np.sqrt(np.mean((found - function(x)) ** 2)) / np.std(function(x)))


@pytest.mark.parametrize("draw", ["uniform", "normal", "exponential", "standard_cauchy"])
def test_scattered_rows_have_no_gaps(draw: str) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        assert gaps(getattr(random, draw)(size=(15_000, 3)), ["a", "b", "c"]) == []


def test_gaps_are_found_whatever_the_scale_and_named() -> None:
    x = np.random.default_rng(0).random((20_000, 3))
    slab = x[np.abs(x[:, 1] - 0.3) > 0.05]
    (told,) = gaps(slab * [1, 1e6, 1], ["a", "b", "c"])
    assert told == "no rows between 2.5e+05 and 3.5e+05 of 'b'"
    corner = x[(x[:, 0] < 0.6) | (x[:, 2] < 0.6)]
    (told,) = gaps(corner, ["a", "b", "c"])
    assert told.endswith("of the cells of 'a' and 'c' have no rows")
    levels = np.round(4 * x) / 4
    assert gaps(levels, ["a", "b", "c"]) == []


def test_axes_are_refined_where_the_function_asks_for_it() -> None:
    x = np.random.default_rng(0).random((20_000, 3))
    found = fit_refined(make_axes, x, wavy(x), enough=1e-6)
    assert error(found.model, wavy) < 3e-6
    coarse, fine, idle = found.choices["elements"]
    assert idle == 4
    assert fine > coarse
    stages = [entry for entry in found.history if "samples" in entry]
    assert stages[0]["samples"] < 1000  # the search begins with few
    again = fit_refined(make_axes, x, wavy(x), enough=1e-6)
    assert again.choices == found.choices
    assert all(np.array_equal(*map(np.asarray, pair)) for pair in zip(found.model.factors, again.model.factors))  # noqa: B905


def test_enough_ends_the_search_early() -> None:
    x = np.random.default_rng(0).random((20_000, 3))

    def function(x: Array) -> Array:
        return 1 / (0.5 + x.sum(1))

    rough, fine = (fit_refined(make_axes, x, function(x), enough=enough) for enough in (3e-2, 1e-3))
    assert "enough" in rough.message
    assert rough.model.rank < fine.model.rank
    assert error(fine.model, function) < 3e-3 < error(rough.model, function) < 0.2


def test_noise_and_weights_and_several_outputs() -> None:
    random = np.random.default_rng(1)
    x = random.random((20_000, 3))
    spoilt = random.random(20_000) < 0.3
    y = wavy(x) + 0.1 * random.standard_normal(20_000)
    y[spoilt] += 50
    found = fit_refined(make_axes, x, np.column_stack([y, -3 * y]), weights=np.where(spoilt, 0.0, 2.0))
    assert found.choices["rank"] <= 6  # modes that learn noise would lower the error of the training only
    points = np.column_stack([np.random.default_rng(99).uniform(0.01, 0.99, (2000, 3)), np.ones(2000)])
    off = found.model(points).numpy() + 3 * wavy(points)
    assert np.std(off) < 0.02 * np.std(3 * wavy(points))


def test_an_interrupt_keeps_the_best() -> None:
    x = np.random.default_rng(0).random((20_000, 3))

    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 5:
            raise KeyboardInterrupt

    found = fit_refined(make_axes, x, wavy(x), callback=stop)
    assert found.status == "interrupted"
    assert error(found.model, wavy) < 0.5

    def at_once(entry: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    assert fit_refined(make_axes, x, wavy(x), callback=at_once).status == "interrupted"


def test_many_rows_take_meshes_from_coarse_to_fine_and_gaps_are_bridged() -> None:
    x = np.random.default_rng(0).random((25_000, 3))
    model = it.INNRegressor(max_seconds=4).fit(x, wavy(x) + 7)
    assert error(model, lambda points: wavy(points) + 7) < 1e-4
    assert model.report_["optimizer"] == "als"
    assert "coarse to fine" in model.report_["why"]
    assert "gaps" not in model.report_["why"]
    kept = x[np.abs(x[:, 0] - 0.5) > 0.1]
    model = it.INNRegressor().fit(kept, wavy(kept))
    assert "bridges gaps in the data: no rows between 0.4 and 0.6 of 'x0'" in model.report_["why"]
    assert error(model, wavy) < 5e-3


def test_the_range_goes_on_to_the_ends_that_rows_seldom_reach() -> None:
    x = np.random.default_rng(0).random((12_000, 3))

    def product(x: Array) -> Array:
        return 5 * np.exp(x[:, 0]) * (1 + 0.3 * x[:, 1] ** 2) / (3 + x[:, 2])

    model = it.INNRegressor(max_seconds=4).fit(x, product(x))
    corners = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(model.predict(corners), product(corners), rtol=1e-5)


def test_categories_and_columns_of_few_levels_keep_their_axes() -> None:
    random = np.random.default_rng(2)
    kind, level = random.integers(0, 4, 15_000), random.integers(0, 3, 15_000)
    x = np.column_stack([random.random(15_000), kind, level])
    y = (1 + kind % 3) * np.cos(3 * x[:, 0]) + level**2
    model = it.INNRegressor(categorical=[1]).fit(x, y)
    assert [axis.elements for axis in model.model_.axes][2] == 2
    assert model.model_.axes[1].discrete
    assert np.sqrt(np.mean((model.predict(x) - y) ** 2)) < 1e-4 * np.std(y)
