"""The command `inntd`: exit status, output, refusals, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import inntd
from inntd import cli

PROBLEM = """
title = "Poisson on a square"
exact = "sin(pi*x)*sin(pi*y)"
[axes.x]
domain = [0, 1]
elements = 12
[axes.y]
domain = [0, 1]
elements = 12
[unknown]
name = "u"
[problem]
strong = "-laplacian(u) - 2*pi**2*sin(pi*x)*sin(pi*y)"
[[conditions]]
on = "boundary"
value = "0"
[solve]
tolerance = 1e-4
"""


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "square.toml"
    path.write_text(PROBLEM)
    return path


def table(text: str) -> dict[str, str]:
    """Return the rows of a printed table by their names."""
    return dict(line.split("  ", 1) for line in text.splitlines() if line and not line.startswith(" "))


# ---- run ---------------------------------------------------------------------------------------------------------


def test_run_prints_a_table_and_writes_solution_and_pictures(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(problem)]) == 0
    rows = table(capsys.readouterr().out)
    assert rows["problem"].strip() == "Poisson on a square"
    assert int(rows["modes"]) >= 1
    assert int(rows["parameters"].replace(",", "")) == int(rows["modes"]) * 26
    assert float(rows["error against exact"].split()[0]) < 1e-4
    assert rows["status"].strip().startswith("converged")
    folder = problem.with_suffix("")
    assert sorted(path.name for path in folder.iterdir()) == ["factors.png", "slice.png", "solution.inntd"]
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    u = inntd.load(folder / "solution.inntd")
    assert float(u(torch.tensor([[0.5, 0.5]], dtype=torch.float64))) == pytest.approx(1, abs=1e-4)


def test_run_prints_json_on_request(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(problem), "--json"]) == 0
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert captured.err == ""
    assert line["status"] == "converged"
    assert line["error"] < 1e-4
    assert line["axes"] == 2
    assert line["seconds"] > 0
    assert set(line["error_estimate"]) == {"algebraic", "discretisation", "total"}
    assert all(Path(path).exists() for path in line["files"])


def test_run_quietly_into_a_folder_of_choice(problem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(problem), "--quiet", "--rank", "1", "--output", str(tmp_path / "deep" / "down")]) == 0
    assert capsys.readouterr() == ("", "")
    assert inntd.load(tmp_path / "deep" / "down" / "solution.inntd").rank == 1


def test_run_says_with_its_status_that_it_did_not_converge(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A source of high rank, one mode allowed, and an accuracy out of its reach.
    problem.write_text(PROBLEM.replace("2*pi**2*sin(pi*x)*sin(pi*y)", "exp(x) - y**2 - x*y").replace('exact = "', "#"))
    assert cli.main(["run", str(problem), "--rank", "1", "--tolerance", "1e-9", "--json"]) == 1
    line = json.loads(capsys.readouterr().out)
    assert line["status"] != "converged"
    assert line["message"]
    assert "error" in line
    assert line["error"] is None


def test_an_earlier_output_is_refused_before_solving(
    problem: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = problem.with_suffix("")
    folder.mkdir()
    (folder / "solution.inntd").write_text("precious")

    def must_not_run(*_: object, **__: object) -> None:
        raise AssertionError("solved although the output exists")

    with monkeypatch.context() as patch:
        patch.setattr("inntd.solvers.solve", must_not_run)
        assert cli.main(["run", str(problem)]) == 2
    message = capsys.readouterr().err
    assert "solution.inntd would be overwritten" in message
    assert "--force" in message
    assert (folder / "solution.inntd").read_text() == "precious"
    assert cli.main(["run", str(problem), "--force", "--quiet"]) == 0
    assert inntd.load(folder / "solution.inntd").rank >= 1


def test_a_failure_while_writing_leaves_no_folder_and_the_old_files(
    problem: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "solution.inntd")

    monkeypatch.setattr("inntd.models.CPModel.save", full)
    assert cli.main(["run", str(problem)]) == 2
    assert "solution.inntd: No space left on device" in capsys.readouterr().err
    assert not problem.with_suffix("").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[unknown]", "[unknown"), "line"),
        (("laplacian(u)", "__import__('os')"), "__import__"),
        (('sin(pi*x)*sin(pi*y)"', 'sin(q)"'), "q"),
        (("elements = 12", "elements = 0"), "elements"),
        (("domain = [0, 1]", "domain = [1, 0]"), "x"),
        (("tolerance = 1e-4", "tolerance = -1"), "tolerance"),
        (("tolerance = 1e-4", "toleranse = 1e-4"), "toleranse"),
    ],
)
def test_a_users_mistake_gets_one_line_and_status_2(
    problem: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], says: str
) -> None:
    problem.write_text(PROBLEM.replace(*change))
    assert cli.main(["run", str(problem)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("inntd: ")
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert not problem.with_suffix("").exists()


@pytest.mark.parametrize("option", [("--rank", "0"), ("--tolerance", "-1"), ("--tolerance", "nan")])
def test_options_out_of_range_are_named(
    problem: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    assert cli.main(["run", str(problem), *option]) == 2
    assert option[0].removeprefix("--") in capsys.readouterr().err


def test_a_folder_is_no_problem_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "."]) == 2
    assert capsys.readouterr().err == "inntd: .: Is a directory\n"


def test_warnings_are_words_of_the_command(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem.write_text(PROBLEM.replace("2*pi**2*sin(pi*x)*sin(pi*y)", "1 - indicator(x > 3)").replace('exact = "', "#"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        cli.main(["run", str(problem), "--json"])
        told = capsys.readouterr().err
        assert told.startswith("inntd: warning: indicator(x > 3) is constant on the axis x from 0 to 1: its break at 3")
        assert ".py" not in told
        cli.main(["run", str(problem), "--json", "--force", "--quiet"])
        assert capsys.readouterr().err == ""


def test_a_missing_file_and_an_unwritable_place(
    tmp_path: Path, problem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(tmp_path / "absent.toml")]) == 2
    assert "absent.toml" in capsys.readouterr().err
    assert cli.main(["run", str(problem), "--output", str(problem)]) == 2
    assert "is a file" in capsys.readouterr().err


def test_traceback_on_request(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cli.main(["run", str(tmp_path / "absent.toml"), "--traceback"])


# ---- info, doctor, version ---------------------------------------------------------------------------------------


def test_info_describes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = inntd.Axis("x", 0, 2, elements=8, unit="m")
    c = inntd.Axis.discrete("c", 3)
    model = inntd.CPModel.from_factors(
        [x, c], [torch.ones(9, 2, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)]
    )
    model.save(tmp_path / "model.inntd")
    assert cli.main(["info", str(tmp_path / "model.inntd")]) == 0
    rows = table(capsys.readouterr().out)
    assert rows["modes"].strip() == "2"
    assert rows["parameters"].strip() == "24"
    assert float(rows["L2 norm"]) == pytest.approx(2 * 6**0.5)
    assert "[0, 2] m" in rows["axis x"]
    assert "3 entries" in rows["axis c"]


def test_info_refuses_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "junk.inntd").write_bytes(os.urandom(100))
    assert cli.main(["info", str(tmp_path / "junk.inntd")]) == 2
    assert "junk.inntd" in capsys.readouterr().err


def test_doctor_tells_the_instruction_set_threads_and_cuda(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    rows = table(capsys.readouterr().out)
    assert rows["inntd"].strip().startswith(inntd.__version__)
    assert rows["torch"].strip() == torch.__version__
    assert "available: base" in rows["instruction set"]
    assert int(rows["threads"].split()[0]) == torch.get_num_threads()
    assert rows["CUDA"].strip().startswith(("no: ", "yes: "))


def run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inntd", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_python_m_inntd_and_the_override_of_the_instruction_set() -> None:
    assert run_module("--version").stdout == f"inntd {inntd.__version__}\n"
    assert "base (set by INNTD_ISA" in run_module("doctor", INNTD_ISA="base").stdout
    wrong = run_module("doctor", INNTD_ISA="pdp11")
    assert wrong.returncode == 2
    assert "pdp11" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_wrong_command_line_is_status_2() -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["fly"])
    assert stop.value.code == 2
