"""The commands `inntd fit` and `inntd predict`: exit status, reports, refusals, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inntd
from inntd import cli
from inntd.training.tables import read_table


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, (300, 2))
    kind = np.where(random.random(300) < 0.5, "oak", "steel")
    u = np.sin(3 * x[:, 0]) * x[:, 1] + np.where(kind == "oak", 1.0, -1.0)
    side = np.where(x.sum(axis=1) > 1, "far", "near")
    lines = [f"{a!r},{b!r},{c},{v!r},{s}" for (a, b), c, v, s in zip(x.tolist(), kind, u.tolist(), side, strict=True)]
    path = tmp_path / "beam.csv"
    path.write_text("\n".join(["x,load [kN],kind,u,side", *lines]))
    return path


def table(text: str) -> dict[str, str]:
    return dict(line.split("  ", 1) for line in text.splitlines() if line and not line.startswith(" "))


INPUTS = ["--column", "x", "--column", "load [kN]", "--column", "kind", "--categorical", "kind"]


def test_fit_prints_three_errors_and_writes_model_and_picture(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS]) == 0
    rows = table(capsys.readouterr().out)
    assert float(rows["training error"].split()[0]) < 1e-2
    assert float(rows["validation error"].split()[0]) < 1e-2
    assert float(rows["test error"].split()[0]) < 2e-2
    assert rows["inputs"].strip() == "x, load [kN], kind"
    assert data.with_suffix(".inntd").exists()
    assert data.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert [axis.name for axis in inntd.load(data.with_suffix(".inntd")).axes] == ["x", "load_kN", "kind"]
    assert cli.main(["info", str(data.with_suffix(".inntd"))]) == 0
    rows = table(capsys.readouterr().out)
    assert (rows["estimator"].strip(), rows["target"].strip()) == ("INNRegressor", "u")


def test_predict_prints_or_writes_what_the_estimator_predicts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = data.with_suffix(".inntd")
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["predict", str(model), str(data)]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.strip('"') == "u"
    given = read_table(data)
    printed = np.array(lines, dtype=float)
    assert np.std(printed - given.columns["u"]) < 1e-2
    estimator = inntd.INNRegressor.load(model)
    exact = estimator.predict(given.select(["x", "load [kN]", "kind"]))[:, 0]
    np.testing.assert_array_equal(printed, exact)
    for suffix in (".parquet", ".npy"):
        output = data.with_name(f"found{suffix}")
        assert cli.main(["predict", str(model), str(data), "--output", str(output)]) == 0
        assert np.array_equal(next(iter(read_table(output).columns.values())), exact)
    assert cli.main(["predict", str(model), str(data), "--output", str(output)]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.main(["predict", str(model), str(data), "--output", str(output), "--force"]) == 0


def test_json_is_one_object_with_every_choice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rank", "3", "--optimizer", "als", "--elements", "5", "--test", "0.2", "--seed", "1", "--json"]
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS, *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows"] == {"training": 240, "test": 60}
    assert summary["report"]["optimizer"] == "als"
    assert set(summary["errors"]) == {"training", "test", "validation", "validation_by"}
    assert summary["files"] == [str(data.with_suffix(".inntd")), str(data.with_suffix(".png"))]


def test_several_targets(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fit", str(data), "--target", "u", "--target", "x", "--column", "load [kN]", "--quiet"]) == 0
    assert cli.main(["predict", str(data.with_suffix(".inntd")), str(data)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == '"u","x"'


def test_classes_and_their_probabilities(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ["--column", "x", "--column", "load [kN]"]
    assert cli.main(["fit", str(data), "--target", "side", *inputs]) == 2
    assert "to predict classes add --classify" in capsys.readouterr().err
    assert cli.main(["fit", str(data), "--target", "side", "--classify", *inputs]) == 0
    assert float(table(capsys.readouterr().out)["test error"].split()[0]) < 0.15
    output = data.with_name("found.parquet")
    assert cli.main(["predict", str(data.with_suffix(".inntd")), str(data), "--output", str(output)]) == 0
    found = read_table(output).columns
    assert list(found) == ["side", "side=far", "side=near"]
    np.testing.assert_allclose(found["side=far"] + found["side=near"], 1)
    assert np.array_equal(found["side"] == "far", found["side=far"] > 0.5)


def test_an_existing_output_is_refused_before_anything_is_trained(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data.with_suffix(".png").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("inntd.INNRegressor.fit", lambda *_: pytest.fail("trained in vain"))
        assert cli.main(["fit", str(data), "--target", "u", *INPUTS]) == 2
    assert "beam.png would be overwritten; allow it with --force" in capsys.readouterr().err
    assert data.with_suffix(".png").read_text() == "mine"
    assert not data.with_suffix(".inntd").exists()
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS, "--force", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "v"], "lacks the column 'v'; it has 'x', 'load [kN]', 'kind', 'u', 'side'"),
        (["--target", "u"], "column 'kind' holds text"),
        (["--target", "u", "--column", "u"], "'u' is input and target"),
        (["--target", "u", *INPUTS, "--rank", "0"], "rank must be a positive integer, got 0"),
        (["--target", "u", *INPUTS, "--test", "1"], "--test must be a part in [0, 1), got 1.0"),
        (
            ["--target", "u", *INPUTS, "--output", "/nowhere/at/all.inntd"],
            "/nowhere/at of the output cannot be written",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments: list[str], message: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fit", str(data), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not data.with_suffix(".inntd").exists()


def test_a_broken_row_is_named_by_its_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = data.read_text().splitlines()
    lines[41] += ",7"
    data.write_text("\n".join(lines))
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS]) == 2
    assert "beam.csv, line 42: the row has 6 values, the header names 5 columns" in capsys.readouterr().err


def test_predict_names_missing_columns_and_categories(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(data.with_suffix(".inntd"))
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS, "--quiet"]) == 0
    other = data.with_name("other.csv")
    other.write_text("x,kind\n0.5,oak\n")
    assert cli.main(["predict", model, str(other)]) == 2
    assert "other.csv lacks the column 'load [kN]'" in capsys.readouterr().err
    other.write_text("x,load [kN],kind\n0.5,0.5,oak\n0.5,0.5,paper\n")
    assert cli.main(["predict", model, str(other)]) == 2
    assert "'paper' in row 1" in capsys.readouterr().err


def test_predict_evaluates_fields_that_were_solved_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = inntd.Axis("x", 0, 1, elements=8), inntd.Axis("y", 0, 2, elements=8)
    field = inntd.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])
    field.save(tmp_path / "field.inntd")
    (tmp_path / "points.csv").write_text("y,x\n2,0.5\n1,1\n")
    assert cli.main(["predict", str(tmp_path / "field.inntd"), str(tmp_path / "points.csv")]) == 0
    assert np.array(capsys.readouterr().out.splitlines()[1:], dtype=float) == pytest.approx([0.5, 1.0])
    (tmp_path / "points.csv").write_text("y,x\n3,0.5\n")
    assert cli.main(["predict", str(tmp_path / "field.inntd"), str(tmp_path / "points.csv")]) == 2
    assert "must lie in [0, 2] on axis 'y'" in capsys.readouterr().err


def test_an_interrupted_fit_writes_the_best_model_with_status_1(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Any, entry: dict[str, Any]) -> None:
        if entry["step"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("inntd.training.progress.Progress.__call__", interrupt)
    assert cli.main(["fit", str(data), "--target", "u", *INPUTS, "--optimizer", "als"]) == 1
    assert "interrupted" in table(capsys.readouterr().out)["status"]
    assert inntd.INNRegressor.load(data.with_suffix(".inntd")).report_["status"] == "interrupted"


def test_warnings_of_the_library_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "few.csv"
    path.write_text("x,u\n" + "\n".join(f"{i},{i * i}" for i in range(12)))
    options = ["--target", "u", "--rank", "90", "--elements", "1", "--optimizer", "als", "--validation", "0"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["fit", str(path), *options]) == 0
    assert "inntd: warning: rank=90 asks for more modes" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["fit", str(path), *options, "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def torchrun(data: Path, processes: int, *more: str) -> dict[str, Any]:
    command = ["-m", "inntd", "fit", str(data), "--target", "u", "--column", "x", "--column", "load [kN]", "--json"]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--master-port=0", "--standalone"]
        command = [*launcher, *command]
    output = data.with_name(f"model{processes}.inntd")
    done = subprocess.run(
        [sys.executable, *command, *more, "--output", str(output)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(inntd.__file__).parent.parent,
    )
    assert output.exists(), done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]  # the first process alone prints
    found: dict[str, Any] = json.loads(line)
    return found


def test_torchrun_has_the_loss_curve_of_one_process(data: Path) -> None:
    alone, both = (torchrun(data, processes, "--optimizer", "adam", "--rank", "2") for processes in (1, 2))
    assert len(both["losses"]) == len(alone["losses"]) == 100
    np.testing.assert_allclose(both["losses"], alone["losses"], rtol=1e-4)
    assert both["errors"]["training"]["u"] == pytest.approx(alone["errors"]["training"]["u"], rel=1e-4)
