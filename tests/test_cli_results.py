"""`inntd info`, `sobol` and `plot`: what they print and write, and that mistakes take one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conformance_models import random_cp
from matplotlib import image
from scipy import stats

import inntd as it
from inntd import cli
from inntd.models.exponential import ExponentialModel


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the file of x + k + x k on [-1, 1] x [0, 2]."""
    x, k = it.Axis("x", -1, 1, elements=8, unit="m"), it.Axis("k", 0, 2, elements=8, kind="parameter")
    one = np.ones(9)
    u = it.CPModel.from_factors([x, k], [np.stack([x.nodes, one, x.nodes], 1), np.stack([one, k.nodes, k.nodes], 1)])
    path = tmp_path / "u.inntd"
    u.save(path)
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.inntd"
    random_cp([it.Axis(f"x[{d}]", 0, 1, elements=4) for d in range(1, 8)]).save(path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return what a command prints when it succeeds."""
    status = cli.main([str(argument) for argument in arguments])
    found = capsys.readouterr()
    assert (status, found.err) == (0, "")
    return found.out


def mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one line of a user's mistake."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("inntd: ")
    assert found.err.count("\n") == 1
    return found.err


# ---- info ----------------------------------------------------------------------------------------------------------


def test_info_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(run(capsys, "info", model, "--json"))
    assert (facts["model"], facts["rank"], facts["parameters"], facts["exact_statistics"]) == ("CPModel", 3, 54, True)
    assert facts["axes"][0] == {
        "name": "x", "kind": "space", "unit": "m", "discrete": False, "size": 9, "domain": [-1.0, 1.0], "elements": 8,
    }  # fmt: skip
    assert facts["norm"] == pytest.approx(it.load(model).norm())


def test_info_of_time_slabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 2, elements=16, kind="time")
    parts = [random_cp([x, half], rank=2) for half in (t.part(0, 8), t.part(8, 16))]
    it.SlabModel(parts, t).save(tmp_path / "slabs.inntd")
    assert json.loads(run(capsys, "info", tmp_path / "slabs.inntd", "--json"))["rank"] == [2, 2]
    assert "SlabModel" in run(capsys, "info", tmp_path / "slabs.inntd")


# ---- sobol ---------------------------------------------------------------------------------------------------------


def test_sobol_prints_the_indices_of_the_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "sobol", model, "--pairs", "--json"))
    exact = it.load(model).sobol_indices(order=2)
    assert found["first"] == pytest.approx(exact.first)
    assert found["total"] == pytest.approx(exact.total)
    assert found["second"] == pytest.approx({"x and k": exact.second["x", "k"]})
    assert found["variance"] == pytest.approx(exact.variance)
    assert found["exact"] is True
    lines = run(capsys, "sobol", model, "--pairs").splitlines()
    assert lines[0] == f"x         first {exact.first['x']:.4g}  total {exact.total['x']:.4g}"
    assert lines[-1].startswith("variance")


def test_sobol_takes_densities_groups_and_fixed_coordinates(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("sobol", model, "--density", "k=norm(1, scale=0.5)", "--renormalise", "--json")
    found = json.loads(run(capsys, *arguments))
    densities = {"k": stats.norm(1, 0.5), "x": "uniform"}
    exact = it.load(model).sobol_indices(densities=densities, renormalise=True)
    assert found["total"] == pytest.approx(exact.total)
    held = json.loads(run(capsys, "sobol", model, "--at", "x=0.5", "--json"))
    assert (held["total"], held["over"], held["at"]) == ({"k": pytest.approx(1)}, ["k"], {"x": 0.5})
    assert held["variance"] == pytest.approx(1.5**2 / 3)
    grouped = json.loads(run(capsys, "sobol", model, "--group", "all=x,k", "--json"))
    assert grouped["first"] == {"all": pytest.approx(1)}


def test_sobol_draws_bars(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "bars.png"
    assert f"written   {picture}" in run(capsys, "sobol", model, "--output", picture)
    assert image.imread(picture).std() > 0.05
    assert "--force" in mistake(capsys, "sobol", model, "--output", picture)


def test_sobol_of_a_sampled_model_has_standard_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    u = ExponentialModel(random_cp([it.Axis(name, 0, 1, elements=4) for name in "xy"]))
    u.save(tmp_path / "e.inntd")
    found = json.loads(run(capsys, "sobol", tmp_path / "e.inntd", "--samples", 1024, "--json"))
    assert found["exact"] is False
    assert found["standard_errors"]["total"]["x"] > 0
    assert "±" in run(capsys, "sobol", tmp_path / "e.inntd", "--samples", 1024)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--over", "k"], "functions of x: hold them still with --at x=..."),
        (["--over", "q"], "functions of x, k"),
        (["--over", "x,k,q"], "must be one of x, k, got 'q'"),
        (["--density", "k"], "--density must be a name and a value"),
        (["--density", "k=norm(1,"], "--density of k must be a distribution with numbers"),
        (["--density", "k=norm(open)"], "--density of k must be a distribution with numbers"),
        (["--density", "k=__import__('os')"], "--density of k must be a distribution with numbers"),
        (["--density", "k=linregress(1)"], "distribution of scipy.stats, such as"),
        (["--density", "k=norm(1, 2, 3)"], "does not take these arguments"),
        (["--density", "k=norm(1, -2)"], "out of range"),
        (["--density", "k=norm(1, 1)"], "must have mass 1 on [0, 2], got 0.6827"),
        (["--density", "q=norm(1, 1)"], "got one of 'q'"),
        (["--density", "k=uniform", "--density", "k=uniform"], "once, got 'k' twice"),
        (["--at", "x"], "--at must be a name and a value, such as k=2.5"),
        (["--at", "x=a"], "--at must give a number for x, got 'a'"),
        (["--at", "x=3"], "x must lie in [-1, 1]"),
        (["--at", "x=0,k=1"], "nothing is left"),
        (["--group", "a=x,q"], "must hold random axes, x, k, got 'q'"),
        (["--output", "bars.txt"], "--output must end with .png, .pdf, .svg"),
    ],
)
def test_mistakes_about_indices_take_one_line(
    model: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in mistake(capsys, "sobol", model, *arguments)


def test_a_constant_and_nan_take_one_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = it.CPModel.from_factors(it.load(model).axes, [np.ones((9, 1))] * 2)
    flat.save(tmp_path / "flat.inntd")
    assert "must vary over x, k, got a constant" in mistake(capsys, "sobol", tmp_path / "flat.inntd")
    with torch.no_grad():
        flat.factors[0][0] = np.nan
    flat.save(tmp_path / "nan.inntd")
    assert "NaN" in mistake(capsys, "sobol", tmp_path / "nan.inntd")
    assert "NaN" in mistake(capsys, "plot", tmp_path / "nan.inntd")


# ---- plot ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--along", "x", "--at", "k=1"],
        ["--along", "k", "--middle"],
        ["--kind", "modes", "--along", "x"],
        ["--kind", "amplitudes"],
        ["--kind", "refinement", "--along", "k"],
        ["--kind", "sobol"],
    ],
)
def test_plot_writes_a_picture(model: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "plot", model, *arguments) == f"written  {model.with_suffix('.png')}\n"
    picture = image.imread(model.with_suffix(".png"))
    assert min(picture.shape[:2]) > 100
    assert picture.std() > 0.05  # not blank


def test_plot_writes_vectors_and_replaces_only_when_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "u.svg"
    assert json.loads(run(capsys, "plot", model, "--output", path, "--json")) == {"files": [str(path)]}
    before = path.read_text()
    assert "<svg" in before
    assert "allow it with --force" in mistake(capsys, "plot", model, "--output", path)
    run(capsys, "plot", model, "--output", path, "--force", "--at", "k=0", "--along", "x")
    assert path.read_text() != before


def test_plot_of_many_axes_says_what_is_missing(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --along x[1],x[2]" in mistake(capsys, "plot", large)
    said = mistake(capsys, "plot", large, "--along", "x[1],x[2]", "--at", "x[3]=0.5")
    assert "needs coordinates of x[4], x[5], x[6], x[7]: give --at x[4]=0.5,x[5]=0.5" in said
    run(capsys, "plot", large, "--along", "x[1],x[2]", "--middle")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--along", "q"], "q"),
        (["--kind", "modes"], "drawn along one axis: give --along x"),
        (["--kind", "refinement", "--along", "x,k"], "drawn along one axis"),
        (["--output", "nowhere/u.png"], "cannot be written"),
        (["--output", "u.bmp"], "--output must end with"),
    ],
)
def test_mistakes_about_pictures_take_one_line(
    model: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in mistake(capsys, "plot", model, *arguments)
    assert not model.with_suffix(".png").exists()
