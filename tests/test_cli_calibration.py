"""The command `inntd calibrate`: reports, exit status, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import inntd as it
from inntd import cli

pytest.importorskip("pyarrow")

X = it.Axis("x", 0, 1, elements=12, unit="m")
A = it.Axis("a", -2, 2, elements=4, s=1, kind="parameter")
B = it.Axis("b", -3, 3, elements=4, s=1, kind="parameter")


@pytest.fixture
def model(tmp_path: Path) -> str:
    one = np.ones(5)
    x = np.stack([np.ones(X.size), X.nodes], 1)
    field = it.CPModel.from_factors([X, A, B], [x, np.stack([A.nodes, one], 1), np.stack([one, B.nodes], 1)])
    field.save(tmp_path / "line.inntd")
    return str(tmp_path / "line.inntd")


def data(folder: Path, name: str = "data.csv", a: float = 0.5, scale: float = 1.0, header: str = "x,u,s") -> str:
    random = np.random.default_rng(0)
    x = np.linspace(0, 1, 15)
    rows = [f"{scale * p:.12g},{a - 1.2 * p + 0.1 * random.standard_normal():.12g},0.1" for p in x]
    (folder / name).write_text("\n".join([header, *rows]))
    return str(folder / name)


def test_calibrate_prints_what_python_finds(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = np.genfromtxt(data(tmp_path), delimiter=",", names=True)
    expected = it.calibrate(it.load(model), {"x": table["x"], "u": table["u"]}, free=["a", "b"], noise=0.1)
    arguments = ["calibrate", model, data(tmp_path), "--free", "a,b", "--value", "u", "--noise", "0.1"]
    assert cli.main([*arguments, "--json", "--output", str(tmp_path / "found.json")]) == 0
    told = json.loads(capsys.readouterr().out)
    saved = json.loads((tmp_path / "found.json").read_text())
    for found in (told, saved):
        for name in "ab":
            assert found["parameters"][name]["value"] == pytest.approx(expected.values[name], rel=1e-9)
    assert told["intervals"]["a"] == pytest.approx(expected.intervals()["a"], rel=1e-9)
    assert cli.main([*arguments, "--profile", "--level", "0.9", "--picture", str(tmp_path / "r.png")]) == 0
    text = capsys.readouterr().out
    assert f"{expected.values['a']:.8g} ± " in text
    assert "90 % in [" in text
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_columns_of_noise_units_bounds_priors_and_several_files(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = data(tmp_path)
    metres = ["calibrate", model, first, "--free", "a,b", "--value", "u", "--noise", "s", "--json"]
    assert cli.main(metres) == 0
    expected = json.loads(capsys.readouterr().out)["parameters"]
    assert cli.main([metres[0], model, data(tmp_path, "mm.csv", scale=1000, header="x [mm],u,s"), *metres[3:]]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["b"]["value"] == pytest.approx(expected["b"]["value"])
    second = data(tmp_path, "second.csv", a=1.5)
    assert cli.main([*metres[:3], second, *metres[3:], "--separate", "a"]) == 0
    found = json.loads(capsys.readouterr().out)["parameters"]
    assert found["a[2]"]["value"] - found["a[1]"]["value"] == pytest.approx(1, abs=1e-6)
    assert cli.main([*metres, "--bounds", "a=-1:1", "--prior", "b=-1:0.001", "--loss", "huber"]) == 0
    found = json.loads(capsys.readouterr().out)["parameters"]
    assert found["a"]["bounds"] == [-1, 1]
    assert found["b"]["value"] == pytest.approx(-1, abs=1e-3)
    fixed = ["calibrate", model, first, "--free", "a", "--fix", "b=-1.2", "--value", "u", "--quiet"]
    assert cli.main(fixed) == 0
    assert capsys.readouterr().out == ""


def test_calibrate_refuses(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data(tmp_path)
    (tmp_path / "there.json").write_text("{}")
    cases = {
        "free must name one of x, a, b, got 'q'": ["--free", "q", "--value", "u"],
        "value must name the column": ["--free", "a,b"],
        "would be overwritten; allow it with --force": ["--free", "a,b", "--output", str(tmp_path / "there.json")],
        "--bounds must be given once for each name": ["--free", "a,b", "--value", "u", *["--bounds", "a=0:1"] * 2],
        "loss must be one of": ["--free", "a,b", "--value", "u", "--loss", "l1"],
        "there is no column 'w'": ["--free", "a,b", "--value", "u", "--noise", "w"],
    }
    for message, arguments in cases.items():
        assert cli.main(["calibrate", model, path, *arguments]) == 2
        assert message in capsys.readouterr().err
    for wrong in (["--bounds", "a=3"], ["--fix", "a"], ["--prior", "a"]):
        with pytest.raises(SystemExit):
            cli.main(["calibrate", model, path, "--free", "a,b", *wrong])
        assert "must be a name and" in capsys.readouterr().err
