"""The command `inntd export`: files by suffix and format, refusals, and nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exported_models import cp_model, smooth_factors

import inntd as it
from inntd import cli
from inntd.cli.export import NAMES
from inntd.results.export import FORMATS

HELD = "y=0.4,z=0.3,phi=1,k[1]=2"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "heat.inntd"
    cp_model().save(path, metadata={"title": "Heat"})
    return path


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_format_names_the_file(name: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(model), "--format", name, "--at", HELD, "--at", "t=1,c=0"]) == 0
    path = model.with_suffix(FORMATS[name].suffixes[0])
    assert capsys.readouterr().out.split() == [str(path)]
    assert path.stat().st_size > 0


def test_a_suffix_names_the_format(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plate.h"
    assert cli.main(["export", str(model), "--output", str(path), "--name", "plate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": str(model), "format": "c", "files": [str(path)]}
    assert "double plate(const double x[7])" in path.read_text()


def test_an_existing_file_asks_for_force(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model.with_suffix(".npz")
    path.write_text("mine")
    assert cli.main(["export", str(model), "--format", "npz"]) == 2
    assert f"{path} would be overwritten; allow it with --force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert cli.main(["export", str(model), "--format", "npz", "--force", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert np.load(path)["names"][0] == "x"


def test_a_series_tells_its_first_and_last_files(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("meshio")
    given = ["export", str(model), "--format", "vtk", "--at", "phi=1,k[1]=2,c=0", "--points", "x=3,y=3,z=3,t=6"]
    assert cli.main(given) == 0
    lines = capsys.readouterr().out.split()
    assert [Path(line).name for line in lines] == ["heat_0.vtu", "...", "heat_5.vtu", "heat.pvd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to write: --format html|c|"),
        (["--output", "u.xyz"], "format must be given where the path does not end in one of .html"),
        (["--format", "npz", "--at", "t"], "--at must be a name and a value, such as k=2.5, got 't'"),
        (["--format", "npz", "--at", "t=hot"], "--at must give a number for t, got 'hot'"),
        (["--format", "npz", "--at", "t=1,t=2"], "--at must name each axis once, got 't' twice"),
        (["--format", "npz", "--at", "q=1"], "axis must be one of x, t, y"),
        (["--format", "npz", "--name", "v"], "format 'npz' has no option name"),
        (["--format", "vtk", "--points", "t=2.5"], "--points must be whole numbers, got 2.5 for t"),
        (["--format", "c", "--name", "for"], "name must be an identifier of C"),
        (["--format", "vtk"], "hold t, k[1], phi still with at, all but one of them"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(model.parent.iterdir())
    assert cli.main(["export", str(model), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(model.parent.iterdir()) == before


def test_help_teaches_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert tuple(FORMATS) == NAMES
    lines = [line.split() for line in text.splitlines()]
    for name, entry in FORMATS.items():
        assert [name, *", ".join(entry.suffixes).split(), *entry.holds.split()] in lines
    assert "inntd export heat.inntd --format html" in text


def test_the_page_has_bars_where_the_model_knows_its_indices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = [it.Axis(name, 0, 1, elements=8) for name in "xk"]
    it.CPModel.from_factors(axes, smooth_factors(axes, 2)).save(tmp_path / "u.inntd")

    def indices(_: Any) -> Any:
        return SimpleNamespace(first={"x": 0.25, "k": 0.5}, total={"x": 0.5, "k": 0.75})

    monkeypatch.setattr(it.CPModel, "sobol_indices", indices, raising=False)
    assert cli.main(["export", str(tmp_path / "u.inntd"), "--format", "html", "--quiet"]) == 0
    text = (tmp_path / "u.html").read_text()
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["indices"] == [
        {"name": "x", "first": 0.25, "total": 0.5},
        {"name": "k", "first": 0.5, "total": 0.75},
    ]
    assert data["title"] == "u"


def test_a_slice_keeps_the_title_of_its_problem(model: Path) -> None:
    assert cli.main(["export", str(model), "--format", "html", "--at", "t=1", "--quiet"]) == 0
    assert "<title>Heat</title>" in model.with_suffix(".html").read_text()


def test_the_command_line_starts_without_the_libraries_of_formats() -> None:
    code = "import sys, inntd.cli; inntd.cli._parser(); print([m for m in sys.modules if 'inntd.results' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_info_tells_where_a_model_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = it.Axis("x", 0, 1, elements=8, unit="m")
    u = it.unknown("u", x)
    problem = it.Problem(strong=-it.laplacian(u) - 1, conditions=[u.on(x) == 0])
    answer = it.solve(problem, tolerance=1e-6, progress=False)
    answer.model.save(tmp_path / "u.inntd")
    assert cli.main(["info", str(tmp_path / "u.inntd")]) == 0
    rows = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.replace("error estimate", "estimate").splitlines()
    )
    assert rows["status"] == "converged"
    assert float(rows["estimate"]) == pytest.approx(answer.error_estimate.total, rel=0.01)
    assert it.__version__ in rows["solver"]
