"""The estimators: scikit-learn's own checks, its tools around them, bad input, files."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import inntd as it
from inntd.training.columns import DataWarning
from inntd.training.mesh import FineMeshWarning

Array = npt.NDArray[np.float64]


@parametrize_with_checks([it.INNRegressor(), it.INNClassifier()])
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def samples(count: int = 300, seed: int = 0) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 3))
    return x, np.exp(x[:, 0]) * np.sin(2 * x[:, 1]) + x[:, 2] ** 2


def relative_error(model: Any, x: Any, y: Array) -> float:
    return float(np.sqrt(np.mean((model.predict(x) - y) ** 2)) / y.std())


def frame(x: Array) -> pd.DataFrame:
    return pd.DataFrame(x, columns=["force [kN]", "output", "2nd"])


# ---- regression --------------------------------------------------------------------------------------------------


def test_regression_is_accurate_on_new_points() -> None:
    x, y = samples()
    model = it.INNRegressor().fit(x, y)
    assert relative_error(model, *samples(1000, seed=1)) < 1e-2
    assert [axis.name for axis in model.model_.axes] == ["x0", "x1", "x2"]
    assert model.report_["optimizer"] != "auto"
    assert model.report_["why"]


@pytest.mark.parametrize("optimizer", ["automatic", "als", "adam", "lbfgs", "boosting", "levenberg_marquardt"])
def test_each_optimizer_learns(optimizer: str) -> None:
    x, y = samples(2000)
    chosen = {} if optimizer == "automatic" else {"rank": 6, "elements": 6}
    model = it.INNRegressor(optimizer=optimizer, max_seconds=5, **chosen).fit(x, y)
    assert relative_error(model, *samples(500, seed=1)) < 0.1
    assert model.report_["optimizer"] == optimizer


def test_several_targets_of_different_scale_are_columns_of_one_field() -> None:
    x, y = samples()
    both = np.column_stack([y, 1e6 + 1e4 * x[:, 0] * x[:, 1]])
    model = it.INNRegressor().fit(x, both)
    new, y_new = samples(500, seed=1)
    predicted = model.predict(new)
    assert predicted.shape == (500, 2)
    exact = np.column_stack([y_new, 1e6 + 1e4 * new[:, 0] * new[:, 1]])
    assert np.all(np.sqrt(np.mean((predicted - exact) ** 2, axis=0)) < 0.05 * exact.std(axis=0))
    assert model.model_.axes[-1].name == "output"
    assert model.predict(new[:5]) == pytest.approx(predicted[:5], rel=1e-12)


def test_a_target_with_one_column_keeps_it() -> None:
    x, y = samples(60)
    assert it.INNRegressor().fit(x, y[:, None]).predict(x).shape == (60, 1)


def test_weights_count_as_repetitions_and_order_does_not_count() -> None:
    x, y = samples(80)
    weights = np.random.default_rng(1).integers(0, 3, 80)
    weighted = it.INNRegressor().fit(x, y, sample_weight=weights)
    order = np.random.default_rng(2).permutation(int(weights.sum()))
    repeated = it.INNRegressor().fit(np.repeat(x, weights, axis=0)[order], np.repeat(y, weights)[order])
    used = weights > 0
    np.testing.assert_allclose(weighted.predict(x[used]), repeated.predict(x[used]), rtol=1e-9, atol=1e-9)
    assert repeated.report_["repeated_rows"] == np.maximum(weights - 1, 0).sum()


def test_the_same_data_give_the_same_bits_and_another_seed_another_split() -> None:
    x, y = samples(200)
    y = y + 0.1 * np.random.default_rng(5).standard_normal(200)
    first, second = (it.INNRegressor().fit(x, y).predict(x) for _ in range(2))
    assert np.array_equal(first, second)
    seeded = [
        it.INNRegressor(random_state=np.random.RandomState(3), validation_fraction=0.2).fit(x, y).predict(x)
        for _ in range(2)
    ]
    assert np.array_equal(*seeded)
    assert not np.array_equal(first, seeded[0])


def test_categories_are_discrete_axes() -> None:
    x, _ = samples(400)
    material = np.random.default_rng(3).choice(["steel", "oak", "glass"], 400)
    factor = {"steel": 3.0, "oak": -1.0, "glass": 0.5}
    y = np.array([factor[name] for name in material]) * (1 + x[:, 0] ** 2)
    data = pd.DataFrame({"x": x[:, 0], "material": material})
    model = it.INNRegressor(categorical=["material"]).fit(data[:300], y[:300])
    assert model.model_.axes[1].discrete
    assert relative_error(model, data[300:], y[300:]) < 1e-2
    same = it.INNRegressor(categorical=[1]).fit(data.to_numpy()[:300], y[:300])
    np.testing.assert_allclose(same.predict(data.to_numpy()[300:]), model.predict(data[300:]))
    data.loc[350, "material"] = "paper"
    with pytest.raises(ValueError, match=r"'material'.*'paper' in row 50 .*'glass', 'oak', 'steel'"):
        model.predict(data[300:])


def test_axes_may_be_chosen_by_column() -> None:
    x, y = samples()
    model = it.INNRegressor(optimizer="als", elements={"output": 7}, s={"output": 2}, nodes="quantile", rank=4)
    axis = model.fit(frame(x), y).model_.axes[1]
    assert (axis.name, axis.elements, axis.basis.s) == ("output_2", 7, 2)
    assert not np.allclose(np.diff(axis.nodes), np.diff(axis.nodes)[0])


# ---- scikit-learn's tools ----------------------------------------------------------------------------------------


def test_in_a_pipeline_and_a_grid_search() -> None:
    x, y = samples(120)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), it.INNRegressor(optimizer="als", elements=3)),
        {"innregressor__rank": [1, 4]},
        cv=2,
    )
    search.fit(x, y)
    assert search.best_params_ == {"innregressor__rank": 4}
    assert search.best_score_ > 0.9


def test_clones_carry_parameters_and_nothing_that_was_learned() -> None:
    x, y = samples(60)
    model = it.INNRegressor(rank=2, optimizer="als").fit(x, y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(x)


def test_data_frames_give_names_and_other_columns_are_refused() -> None:
    x, y = samples(100)
    model = it.INNRegressor().fit(frame(x), pd.Series(y, name="u"))
    assert list(model.feature_names_in_) == ["force [kN]", "output", "2nd"]
    assert [axis.name for axis in model.model_.axes] == ["force_kN", "output_2", "_2nd"]
    assert model.target_names() == ["u"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(x)[["2nd", "output", "force [kN]"]])
    with pytest.raises(ValueError, match="2 features, but INNRegressor is expecting 3"):
        it.INNRegressor().fit(x, y).predict(x[:, :2])


@pytest.mark.parametrize("kind", [it.INNRegressor, it.INNClassifier])
def test_progress_is_shown_when_asked(kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = samples(60)
    kind(max_seconds=1).fit(x, y > 0.5)
    assert capsys.readouterr().err == ""
    kind(max_seconds=1, verbose=2).fit(x, y > 0.5)
    assert "step" in capsys.readouterr().err


def test_importing_inntd_does_not_import_scikit_learn() -> None:
    code = "import sys, inntd; assert 'sklearn' not in sys.modules; inntd.INNRegressor; assert 'sklearn' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(it.__file__).parent.parent)
    with pytest.raises(AttributeError, match="INNTransformer"):
        it.INNTransformer  # noqa: B018
    assert {"INNRegressor", "solve"} <= set(dir(it))


# ---- outside the range -------------------------------------------------------------------------------------------


def test_outside_the_range_values_are_clamped_continued_or_refused() -> None:
    x = np.linspace(0, 1, 41)[:, None]
    model = it.INNRegressor(extrapolate="clamp").fit(x, 3 * x[:, 0] + 1)
    outside = np.array([[-1.0], [0.5], [2.0]])
    np.testing.assert_allclose(model.predict(outside), [1, 2.5, 4], atol=1e-5)
    np.testing.assert_allclose(model.set_params(extrapolate="linear").predict(outside), [-2, 2.5, 7], atol=1e-5)
    with pytest.raises(ValueError, match=r"'x0' leaves \[0, 1\] in 2 of 3 rows, the first -1 in row 0"):
        model.set_params(extrapolate="raise").predict(outside)
    with pytest.raises(ValueError, match="extrapolate must be one of"):
        it.INNRegressor(extrapolate="guess").fit(x, x[:, 0])


# ---- bad input ---------------------------------------------------------------------------------------------------


def test_a_constant_column_is_set_aside_and_the_field_keeps_its_axis() -> None:
    x, _ = samples(100)
    x[:, 1] = 7.0
    model = it.INNRegressor().fit(frame(x), x[:, 0])
    assert model.report_["constant_columns"] == ["output"]
    assert len(model.model_.axes) == 3
    assert relative_error(model, frame(x), x[:, 0]) < 1e-3
    x[:, 1] = 1e9
    assert relative_error(model, frame(x), x[:, 0]) < 1e-3
    with pytest.raises(ValueError, match=r"'output' leaves \[7, 7\]"):
        model.set_params(extrapolate="raise").predict(frame(x))


@pytest.mark.parametrize("columns", [0, 1])
def test_a_constant_target_or_only_constant_columns_give_the_mean(columns: int) -> None:
    x, y = samples(30)
    x, y = (np.full_like(x, 2.0), y) if columns else (x, np.full(30, 5.0))
    model = it.INNRegressor().fit(x, y)
    np.testing.assert_allclose(model.predict(x), y.mean())
    assert "constant" in model.report_["why"]


def test_an_empty_column_is_named() -> None:
    x, y = samples(30)
    x[:, 2] = np.nan
    for nan in ("raise", "drop"):
        with pytest.raises(ValueError, match=r"'2nd' is empty: all of its 30 values .* leave it out"):
            it.INNRegressor(nan=nan).fit(frame(x), y)


def test_missing_values_are_counted_by_column_or_dropped() -> None:
    x, y = samples(100)
    x[3, 0] = x[5, 2] = x[6, 2] = np.nan
    with pytest.raises(ValueError, match=r"'force \[kN\]' has 1 NaN of 100 .* row 3; column '2nd' has 2 NaN .* row 5"):
        it.INNRegressor().fit(frame(x), y)
    y[10] = np.nan
    model = it.INNRegressor(nan="drop").fit(frame(x), y)
    assert model.report_["dropped_rows"] == 4
    assert np.flatnonzero(np.isnan(model.predict(frame(x)))).tolist() == [3, 5, 6]
    with pytest.raises(ValueError, match="y must be finite, got 1 NaN of 100 values, the first in row 10"):
        it.INNRegressor().fit(samples(100)[0], y)
    x[7, 1] = np.inf
    with pytest.raises(ValueError, match=r"'output' has 1 infinity of 100 values, the first in row 7"):
        it.INNRegressor(nan="drop").fit(frame(x), y)


def test_text_is_named_with_its_remedy() -> None:
    x, y = samples(30)
    data = frame(x).astype({"2nd": object})
    data.loc[4, "2nd"] = "thick"
    with pytest.raises(ValueError, match=r"'2nd' holds text \('thick' in row 4\).*categorical=\['2nd'\]"):
        it.INNRegressor().fit(data, y)
    with pytest.raises(ValueError, match=r"y must hold numbers, got 'a'; for classes use INNClassifier"):
        it.INNRegressor().fit(x, np.array(["a"] * 30))


def test_more_modes_than_rows_are_cut_with_a_warning() -> None:
    x, y = samples(10)
    with pytest.warns(DataWarning, match="rank=50 asks for more modes than"):
        model = it.INNRegressor(rank=50, optimizer="als", elements=1).fit(x, y)
    assert model.report_["rank"] < 50


def test_a_mesh_finer_than_the_data_warns_and_smoothness_fills_it() -> None:
    x = np.repeat(np.linspace(0, 1, 6), 5)[:, None]
    with pytest.warns(FineMeshWarning, match="20 elements are more than the 6 distinct values"):
        model = it.INNRegressor(optimizer="als", rank=1, elements=20, validation_fraction=0).fit(x, x[:, 0] ** 2)
    between = np.linspace(0, 1, 50)[:, None]
    assert np.abs(model.predict(between) - between[:, 0] ** 2).max() < 0.05


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rank": 0}, "rank must be a positive integer, got 0"),
        ({"optimizer": "sgd"}, "optimizer must be one of"),
        ({"elements": {"x9": 3}}, "elements names the column 'x9'"),
        ({"optimizer": "automatic", "rank": 2}, "rank, mesh or smoothness are given; take 'als'"),
        ({"nodes": "random"}, "nodes must be one of"),
        ({"nan": "fill"}, "nan must be one of"),
        ({"smoothness": -1.0}, "smoothness must be 'auto' or a non-negative number"),
        ({"validation_fraction": 1.0}, r"in \[0, 1\)"),
        ({"max_seconds": 0.0}, "max_seconds must be a positive finite number"),
        ({"categorical": ["z"]}, "categorical names the column 'z'"),
        ({"categorical": [5]}, "categorical names the column number 5"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    x, y = samples(30)
    with pytest.raises(ValueError, match=message):
        it.INNRegressor(**parameters).fit(x, y)


def test_an_interrupt_keeps_the_best_model(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples(300)
    seen = []

    def interrupt(self: Any, entry: dict[str, Any]) -> None:
        seen.append(entry)
        if len(seen) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("inntd.training.progress.Progress.__call__", interrupt)
    model = it.INNRegressor(optimizer="als").fit(x, y)
    assert model.report_["status"] == "interrupted"
    assert relative_error(model, x, y) < 1
    seen.clear()
    classifier = it.INNClassifier().fit(x, y > 0)
    assert classifier.report_["status"] == "interrupted"
    assert classifier.score(x, y > 0) > 0.6


# ---- classification ----------------------------------------------------------------------------------------------


def test_iris_and_its_probabilities() -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    order = np.random.default_rng(0).permutation(150)
    train, test = order[:100], order[100:]
    model = it.INNClassifier().fit(x.iloc[train], labels[train])
    assert model.score(x.iloc[test], labels[test]) >= 0.9
    probabilities = model.predict_proba(x.iloc[test])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert log_loss(labels[test], probabilities) < 0.25


def test_a_boundary_that_is_not_linear() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (600, 2))
    inside = x[:, 0] * x[:, 1] > 0  # neither column alone says anything
    model = it.INNClassifier().fit(x[:400], inside[:400])
    assert model.score(x[400:], inside[400:]) > 0.93
    assert model.predict(x[:3]).dtype == bool


def test_classification_refuses_one_class_and_missing_labels() -> None:
    x, _ = samples(20)
    with pytest.raises(ValueError, match="at least two classes, got one class"):
        it.INNClassifier().fit(x, np.zeros(20, dtype=int))
    with pytest.raises(ValueError, match="1 missing"):
        it.INNClassifier().fit(x, np.array([None, *"ab" * 9, "a"], dtype=object))
    with pytest.raises(ValueError, match="every column is constant"):
        it.INNClassifier().fit(np.ones((20, 2)), np.arange(20) % 2)


# ---- files -------------------------------------------------------------------------------------------------------


def fitted() -> list[tuple[Any, Any]]:
    x, y = samples(80)
    data = frame(x)
    data["kind"] = np.where(x[:, 0] > 0, "a", "b")
    targets = np.column_stack([y, x[:, 0]])
    return [
        (it.INNRegressor(optimizer="als", rank=2, categorical=["kind"]).fit(data, targets), data),
        (it.INNClassifier(extrapolate="linear").fit(x, np.where(y > 0, "up", "down")), x),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_a_saved_estimator_predicts_the_same_bits(which: int, tmp_path: Path) -> None:
    model, x = fitted()[which]
    path = tmp_path / "model.inntd"
    model.save(path)
    again = type(model).load(path)
    assert np.array_equal(again.predict(x), model.predict(x))
    assert {name: value for name, value in again.get_params().items() if name != "categorical"} == {
        name: value for name, value in model.get_params().items() if name != "categorical"
    }
    assert again.report_["why"] == model.report_["why"]
    assert getattr(again, "feature_names_in_", None) is None or list(again.feature_names_in_) == list(x.columns)
    with pytest.raises(FileExistsError):
        model.save(path)
    other = it.INNClassifier if which == 0 else it.INNRegressor
    with pytest.raises(ValueError, match=f"it holds an {type(model).__name__}: read it with"):
        other.load(path)
    assert [axis.name for axis in it.load(path).axes] == [axis.name for axis in model.model_.axes]


def test_a_field_alone_is_no_estimator(tmp_path: Path) -> None:
    x, y = samples(40)
    it.INNRegressor(rank=1, optimizer="als").fit(x, y).model_.save(tmp_path / "field.inntd")
    with pytest.raises(ValueError, match="holds a field but no estimator"):
        it.INNRegressor.load(tmp_path / "field.inntd")


def test_estimators_travel_through_pickle() -> None:
    for model, x in fitted():
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict(x), model.predict(x))


def test_fits_are_silent() -> None:
    x, y = samples(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        it.INNRegressor().fit(x, y)
        it.INNClassifier().fit(x, y > 0)
