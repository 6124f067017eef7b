"""Bad data and arguments through every door: the message names the argument, what came and the remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import inntd as it
from inntd import cli
from inntd.training.als import fit_als
from inntd.training.boosting import fit_boosting
from inntd.training.gradient import fit_adam
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.mesh import FineMeshWarning

Array = npt.NDArray[np.float64]
AXES = [it.Axis(name, 0, 1, elements=4) for name in "abc"]


def samples(count: int = 60) -> tuple[Any, Any]:
    x = np.random.default_rng(0).random((count, 3))
    return x, x[:, 0] * np.sin(x[:, 1]) + x[:, 2]


def changed(values: Array, place: Any, value: float) -> Array:
    values = values.copy()
    values[place] = value
    return values


FITS: dict[str, Callable[..., Any]] = {
    "als": lambda x, y, **more: fit_als(AXES, x, y, **{"rank": 2, "sweeps": 3, **more}),
    "adam": lambda x, y, **more: fit_adam(AXES, x, y, **{"rank": 2, "epochs": 2, **more}),
    "lbfgs": lambda x, y, **more: fit_lbfgs(AXES, x, y, **{"rank": 2, "iterations": 3, **more}),
    "boosting": lambda x, y, **more: fit_boosting(AXES, x, y, **{"rank": 2, "sweeps": 2, **more}),
}
DATA: dict[str, tuple[Callable[[Array, Array], tuple[Any, Any]], str]] = {
    "NaN": (lambda x, y: (changed(x, (5, 1), np.nan), y), r"column 1 of x, axis 'b', .* 1 NaN .* row 5: drop"),
    "infinity": (lambda x, y: (changed(x, (5, 1), np.inf), y), r"column 1 of x, axis 'b', .* infinite of 60 .* row 5"),
    "empty": (lambda x, y: (changed(x, np.s_[:, 1], np.nan), y), r"column 1 of x, axis 'b', .* 60 NaN"),
    "NaN in y": (lambda x, y: (x, changed(y, [3, 7], np.nan)), r"y must be finite, got 2 NaN .* row 3: drop"),
    "text": (lambda x, y: ([["oak"] * 3] * 60, y),
             "x must hold numbers, got 'oak': convert it"),
    "text in y": (lambda x, y: (x, ["oak"] * 60), "y must hold numbers, got 'oak': convert it"),
    "complex": (lambda x, y: (x + 1j, y), "x must hold real numbers, got complex128"),
    "lengths": (lambda x, y: (x, y[:50]), r"y must have shape \(60,\) or \(60, C\), got shape \(50,\)"),
    "no rows": (lambda x, y: (x[:0], y[:0]), r"x must have shape \(K, 3\), .* K >= 1; got shape \(0, 3\)"),
    "columns": (lambda x, y: (x[:, :2], y), r"x must have shape \(K, 3\), .*; got shape \(60, 2\)"),
    "outside": (lambda x, y: (2 * x, y), r"axis 'a': x must lie in \[0.0, 1.0\], got 32 outside of 60"),
    "huge": (lambda x, y: (x, 1e200 * y), r"y must be of usual size, .* got 1.68e\+200: change its unit"),
    "tiny": (lambda x, y: (x, 1e-200 * y), "y must be of usual size, .* got 1.64e-200: change its unit"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("fit", FITS)
def test_optimisers_name_what_is_wrong_with_data(fit: str, case: str) -> None:
    change, message = DATA[case]
    with pytest.raises((ValueError, TypeError), match=message):
        FITS[fit](*change(*samples()))


COMMON: list[tuple[dict[str, Any], str]] = [
    ({"rank": 0}, "rank must be a positive integer, got 0"),
    ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ({"weights": np.ones(3)}, r"weights must be 60 non-negative numbers, .* got shape \(3,\)"),
    ({"callback": 3}, "callback must be a function, got 3"),
]
OWN: dict[str, list[tuple[dict[str, Any], str]]] = {
    "als": [
        ({"ridge": -1}, "ridge must be zero or positive, got -1"),
        ({"tolerance": -1}, "tolerance must be zero or positive, got -1"),
        ({"max_seconds": 0}, "max_seconds must be a positive finite number, got 0"),
    ],
    "adam": [
        ({"weight_decay": -1}, "weight_decay must be zero or positive, got -1"),
        ({"patience": 0}, "patience must be a positive integer, got 0"),
        ({"max_seconds": -1}, "max_seconds must be a positive finite number, got -1"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds must be zero or positive"),
        ({"resume": True}, "checkpoint_path must be given with resume=True"),
        ({"checkpoint_path": "/nowhere/at/all"}, "checkpoint_path must be a file in a folder that can be written"),
        ({"validation_fraction": "a"}, "validation_fraction must be a finite number, got 'a'"),
        ({"start": it.CPModel(AXES, 5)}, r"start must have rank 2 .*, got rank 5"),
        ({"start": it.CPModel(AXES[:2], 2)}, r"axes of \[5, 5, 5\] values .* axes of \[5, 5\]"),
        ({"start": 3}, "start must be a CPModel, got int"),
    ],
    "lbfgs": [
        ({"start": it.CPModel(AXES, 5)}, r"start must have rank 2 .*, got rank 5"),
        ({"tolerance": 0}, "tolerance must be a positive finite number"),
    ],
    "boosting": [
        ({"tolerance": -1}, "tolerance must be zero or positive, got -1"),
        ({"learner": 3}, "learner must be a function such as fit_als, got 3"),
    ],
}


@pytest.mark.parametrize(
    ("fit", "change", "message"), [(fit, *case) for fit, own in OWN.items() for case in [*COMMON, *own]]
)
def test_optimisers_name_wrong_arguments(fit: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        FITS[fit](*samples(), **change)


@pytest.mark.parametrize("axes", [[], "abc", [AXES[0]] * 3])
def test_axes_are_checked(axes: Any) -> None:
    for fit in (fit_als, fit_adam, fit_lbfgs, fit_boosting):
        with pytest.raises((ValueError, TypeError), match="axes must "):
            fit(axes, *samples(), rank=1)


@pytest.mark.parametrize("fit", FITS)
def test_a_mesh_finer_than_the_data_is_said_once_by_axis(fit: str) -> None:
    x, y = samples()
    with pytest.warns(FineMeshWarning) as told:
        FITS[fit](np.rint(3 * x) / 3, y)
    assert [str(one.message).split(":")[0] for one in told] == ["axis 'a'", "axis 'b'", "axis 'c'"]


@pytest.mark.parametrize("fit", FITS)
def test_odd_data_that_can_be_fitted_are(fit: str) -> None:
    """A constant column, a constant target, one row, repeated rows: the model is finite."""
    x, y = samples()
    cases = [
        (changed(x, np.s_[:, 1], 0.5), y),
        (x, np.full(60, 3.0)),
        (x[:1], y[:1]),
        (np.tile(x, (2, 1)), np.tile(y, 2)),
    ]
    for points, values in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FineMeshWarning)
            found = FITS[fit](points, values)
        assert np.isfinite(found.model(points).numpy()).all()


def test_the_estimators_name_lengths_complex_numbers_and_sizes() -> None:
    x, y = samples()
    for estimator, values in ((it.INNRegressor(), y), (it.INNClassifier(), y > 1)):
        with pytest.raises(ValueError, match="y must have a row for each of the 60 rows of X, got 50"):
            estimator.fit(x, values[:50])
        with pytest.raises(ValueError, match="X must hold real numbers"):
            estimator.fit(x + 1j, values)
        with pytest.raises(ValueError, match="rank must be 'auto' or a positive integer, got 'many'"):
            type(estimator)(rank="many").fit(x, values)
    with pytest.raises(ValueError, match=r"y must be of usual size, .*1\.68e\+200"):
        it.INNRegressor().fit(x, 1e200 * y)


def test_a_checkpoint_of_another_mesh_is_refused_and_kept(tmp_path: Path) -> None:
    path, (x, y) = tmp_path / "run.checkpoint", samples()
    FITS["adam"](x, y, checkpoint_path=path)
    before = path.read_bytes()
    other = [it.Axis(name, 0, 1, elements=5) for name in "abc"]
    with pytest.raises(ValueError, match="is the checkpoint of another run: its axes"):
        fit_adam(other, x, y, rank=2, epochs=2, checkpoint_path=path, resume=True)
    assert path.read_bytes() == before


# ---- the command line --------------------------------------------------------------------------------------------


def table(path: Path, line: int | None = None, column: int = 1, value: str = "", everywhere: bool = False) -> Path:
    """Write a table whose columns are a, b and u, with another value in one line (the header is line 1)."""
    x, y = samples()
    rows = [[f"{a!r}", f"{b!r}", f"{u!r}"] for a, b, u in np.column_stack([x[:, :2], y]).tolist()]
    for number, row in enumerate(rows, 2):
        if everywhere or number == line:
            row[column] = value
    path.write_text("\n".join(["a,b,u", *(",".join(row) for row in rows)]))
    return path


FILES: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "missing": ({"line": 8}, [], "line 8, column 'b': the value is missing (1 such of 60 values); correct it"),
    "missing target": ({"line": 9, "column": 2}, [], "line 9, column 'u': the value is missing"),
    "infinite": ({"line": 8, "value": "inf"}, ["--nan", "drop"], "line 8, column 'b': the value is infinite"),
    "empty": ({"everywhere": True}, [], "column 'b': all 60 values are missing; leave it out"),
    "a word": ({"line": 8, "value": "oak"}, [], "line 8, column 'b': 'oak' is no number (1 such of 60 values)"),
    "words": ({"everywhere": True, "value": "oak"}, [], "line 2: column 'b' holds text ('oak')"),
    "broken row": ({"line": 8, "value": "1,2"}, [], "line 8: the row has 4 values, the header names 3 columns"),
    "huge": ({"line": 8, "column": 2, "value": "1e200"}, [], "y must be of usual size"),
    "target twice": ({}, ["--target", "u"], "--target must name different columns, got 'u' more than once"),
    "column twice": ({}, ["--column", "a", "--column", "a"], "--column must name different columns"),
    "seed": ({}, ["--seed", "-1"], "--seed must be zero or a positive whole number, got -1"),
    "optimizer": ({}, ["--optimizer", "sgd"], "optimizer must be one of"),
    "elements": ({}, ["--elements", "0"], "elements must be a positive integer, got 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_the_command_names_line_and_column(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, options, message = FILES[case]
    data = table(tmp_path / "data.csv", **change)
    assert cli.main(["fit", str(data), "--target", "u", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]


def test_options_that_are_no_numbers_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "data.csv")
    with pytest.raises(SystemExit):
        cli.main(["fit", str(data), "--target", "u", "--elements", "few"])
    assert "argument --elements: must be auto or a whole number, got 'few'" in capsys.readouterr().err


def test_the_command_drops_rows_when_asked_and_predicts_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, fast = table(tmp_path / "data.csv", line=8), ["--rank", "2", "--elements", "3"]
    assert cli.main(["fit", str(data), "--target", "u", *fast, "--nan", "drop", "--quiet", "--test", "0"]) == 0
    assert it.INNRegressor.load(tmp_path / "data.inntd").report_["dropped_rows"] == 1
    assert cli.main(["predict", str(tmp_path / "data.inntd"), str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [number for number, line in enumerate(lines, 1) if line in ("nan", "")] == [8]
    table(data)
    assert cli.main(["fit", str(data), "--target", "u", *fast, "--quiet", "--force"]) == 0
    assert cli.main(["predict", str(tmp_path / "data.inntd"), str(table(data, line=8))]) == 2
    assert "line 8, column 'b': the value is missing" in capsys.readouterr().err
