"""The package's own papers: versions, dependencies, documents and commands agree with each other."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import inntd
from inntd import _core
from inntd.problems.toml import parse_problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


# ---- one version -------------------------------------------------------------------------------------------------


def test_one_version_everywhere() -> None:
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert citation is not None
    assert inntd.__version__ == _core.__version__ == citation[1]


def test_installed_metadata_carries_the_version() -> None:
    try:
        installed = metadata.version("inntd")
    except metadata.PackageNotFoundError:
        pytest.skip("runs from the source folder, not installed")
    assert installed == inntd.__version__


# ---- dependencies ------------------------------------------------------------------------------------------------


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_dependency_is_pinned_once_and_within_its_range(python: str) -> None:
    extras = PROJECT["optional-dependencies"]
    optional = [text for extra in extras.values() for text in extra]
    wanted = [Requirement(text) for text in (*PROJECT["dependencies"], *optional)]
    environment = {"python_version": python, "extra": ""}
    active = [pin for pin in pins() if pin.marker is None or pin.marker.evaluate(environment)]
    assert len({pin.name for pin in active}) == len(active)
    version = {pin.name: Version(str(pin.specifier).removeprefix("==")) for pin in active}
    for requirement in wanted:
        if requirement.name in ("inntd", "pre-commit", "tomli"):  # itself; a hook runner; a back-port
            continue
        assert requirement.specifier.contains(version[requirement.name]), requirement


def imported_packages(paths: list[Path]) -> set[str]:
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names)


def test_declared_dependencies_are_those_imported() -> None:
    # The names of modules, where packages are called otherwise.
    names = {"scikit-learn": "sklearn", "typing-extensions": "typing_extensions"}
    declared = {names.get(name := Requirement(text).name, name) for text in PROJECT["dependencies"]} - {"tomli"}
    assert imported_packages(list((ROOT / "inntd").rglob("*.py"))) - {"inntd", "tomli"} == declared


def test_development_versions_are_stated_alike() -> None:
    pinned = {pin.name: str(pin.specifier) for pin in pins()}
    for text in PROJECT["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        if str(requirement.specifier).startswith("=="):
            assert pinned[requirement.name] == str(requirement.specifier)


# ---- types -------------------------------------------------------------------------------------------------------


def test_the_package_is_typed_and_the_stub_names_what_the_core_has() -> None:
    package = Path(inntd.__file__).parent
    assert (package / "py.typed").exists()
    tree = ast.parse((package / "_core.pyi").read_text())
    stated = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    there = {name for name in dir(_core) if not name.startswith("_")}
    assert {name for name in stated if not name.startswith("_")} == there


@pytest.mark.parametrize("path", sorted((ROOT / "inntd").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_parse_as_python_3_10(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 10))


def test_public_names_exist() -> None:
    assert sorted(inntd.__all__) == list(inntd.__all__)
    for name in inntd.__all__:
        assert hasattr(inntd, name)


# ---- make --------------------------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CXX")
    }
    if path is not None:
        environment["PATH"] = path
    executable = shutil.which("make")
    assert executable is not None
    return subprocess.run(
        [executable, "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@needs_make
def test_make_help_lists_the_commands() -> None:
    listed = make("help").stdout
    for command in ("demo", "test", "core", "lint", "test-cpp", "bench-cpp", "clean"):
        assert f"make {command} " in listed


@needs_make
def test_make_says_which_python_is_missing(tmp_path: Path) -> None:
    failed = make("demo", "PYTHON=no-such-python", f"VENV={tmp_path}/venv")
    assert failed.returncode != 0
    assert "'no-such-python' was not found" in failed.stderr
    assert not (tmp_path / "venv").exists()


def fake_command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


@needs_make
@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("version_info", "Python 3.10 or later is needed"),
        ("ensurepip", "lacks the modules venv and ensurepip"),
        ("Python.h", "Python.h, the C headers"),
    ],
)
def test_make_says_what_python_lacks(tmp_path: Path, lacks: str, says: str) -> None:
    fake_command(tmp_path, "fake-python", f'case "$*" in *{lacks}*) exit 1;; esac\nexec \'{sys.executable}\' "$@"\n')
    failed = make("check-compiler", f"PYTHON={tmp_path}/fake-python")
    assert failed.returncode != 0
    assert says in failed.stderr


@needs_make
def test_make_says_that_no_compiler_was_found(tmp_path: Path) -> None:
    for name in ("c++", "g++", "clang++"):
        fake_command(tmp_path, name, "exit 1\n")
    failed = make("check-compiler", f"PYTHON={sys.executable}", path=f"{tmp_path}:/usr/bin:/bin")
    assert failed.returncode != 0
    assert "no C++20 compiler was found" in failed.stderr


# ---- the README is true ------------------------------------------------------------------------------------------


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@needs_make
def test_readme_names_only_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for block in code_blocks(document, "sh"):
            assert set(re.findall(r"\bmake ([a-z-]+)", block.split("#")[0])) <= targets


def test_readme_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    solve, train, ask = code_blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(train, "README.md", "exec"), names)
    assert names["model"].score(names["X"][500:], names["y"][500:]) > 0.9999
    exec(compile(solve, "README.md", "exec"), names)
    answer = names["answer"]
    assert answer.status == "converged"
    again = inntd.load(tmp_path / "poisson.inntd")
    middle = [[0.5] * 10]
    exact = 10 * 0.5**0.5
    assert float(again(middle)) == pytest.approx(exact, rel=1e-8)
    exec(compile(ask.replace("print(it.calibrate(", "found = (it.calibrate("), "README.md", "exec"), names)
    assert names["answer"].status == "converged"
    assert names["found"].values["k"] == pytest.approx(2.0, abs=0.01)
    assert "k = 2.00" in ask


def test_the_guide_to_problems_is_true() -> None:
    guide = (ROOT / "docs" / "problems.md").read_text()
    names: dict[str, object] = {}
    for block in code_blocks(guide, "python"):
        exec(compile(block, "problems.md", "exec"), names)
    [block] = code_blocks(guide, "toml")
    file = parse_problem(block)
    assert inntd.solve(file.problem, **file.solve).converged


def test_the_guide_to_nonlinear_problems_is_true() -> None:
    guide = (ROOT / "docs" / "nonlinear.md").read_text()
    names: dict[str, Any] = {}
    for block in code_blocks(guide, "python"):
        exec(compile(block, "nonlinear.md", "exec"), names)
    assert names["answer"].converged
    options = set(inspect.signature(inntd.pinn.solve).parameters)
    assert set(re.findall(r"^\| `(\w+)=", guide, flags=re.MULTILINE)) <= options


def test_the_guide_to_training_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "training.md").read_text()
    names: dict[str, Any] = {}
    for block in code_blocks(guide, "python"):
        exec(compile(block, "training.md", "exec"), names)
    assert names["error"] < 0.1
    assert names["classifier"].score(names["X"][500:], names["inside"][500:]) > 0.95
    parameters = set(inntd.INNRegressor().get_params())
    assert set(re.findall(r"^\| `(\w+)`", guide, flags=re.MULTILINE)) <= parameters


def test_the_example_of_training_reads_what_it_writes(tmp_path: Path) -> None:
    example = ROOT / "examples" / "borehole.py"
    names: dict[str, Any] = {"__name__": "example", "__file__": str(example)}
    exec(compile(example.read_text(), str(example), "exec"), names)
    names["write"](tmp_path / "borehole.csv")
    assert (tmp_path / "borehole.csv").read_text() == (example.with_suffix(".csv")).read_text()


def test_readme_problem_file_is_the_demo() -> None:
    [block] = code_blocks(README, "toml")
    shown = tomllib.loads(block)
    demo = tomllib.loads((ROOT / "examples" / "poisson_10d.toml").read_text())
    for part in ("title", "exact", "problem", "conditions", "solve"):
        assert shown[part] == demo[part]
    [name] = demo["axes"]
    assert {"s": 3} | shown["axes"][name] == demo["axes"][name]
