"""The one-way street, read from the sources: imports only ever point back, and C++ stays free of Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "inntd"
CSRC = ROOT / "csrc"

# What each stop may import, in the order of the street. "" is the package's own top level (inntd/__init__.py).
STREET = {
    "_version": set(),
    "_checks": set(),
    "_core": set(),
    "_cuda": set(),
    "_kernels": {"_core", "_cuda"},
    "axes": {"_version", "_checks", "_kernels"},
    "models": {"_version", "_checks", "_kernels", "axes"},
    "training": {"_version", "_checks", "_kernels", "axes", "models"},
    "problems": {"_version", "_checks", "_kernels", "axes", "models"},
    "solvers": {"_version", "_checks", "_kernels", "axes", "models", "problems"},
    "pinn": {"_version", "_checks", "_kernels", "axes", "models", "problems"},
    "calibration": {"_version", "_checks", "_kernels", "axes", "models", "problems"},
    "results": {
        "_checks",
        "_kernels",
        "_version",
        "axes",
        "models",
        "training",
        "problems",
        "solvers",
        "pinn",
        "calibration",
    },
}
STREET[""] = set(STREET) - {"_core", "_cuda"}
STREET["cli"] = set(STREET) - {"_core", "_cuda"}
STREET["__main__"] = {"cli"}


def imported_modules(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    """Yield each imported dotted name and whether the import stands inside a function."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            deeper = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                parents = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                base = ".".join([*parents, *([child.module] if child.module else [])])
                yield from ((f"{base}.{alias.name}", inside) for alias in child.names)
            elif isinstance(child, ast.Call) and ast.unparse(child.func) in ("importlib.import_module", "__import__"):
                yield from (
                    (str(argument.value), inside) for argument in child.args if isinstance(argument, ast.Constant)
                )
            yield from walk(child, deeper)

    yield from walk(tree, False)


def stop_of(name: str) -> str | None:
    """Return the stop on the street that a dotted name belongs to; None for other packages."""
    top, _, rest = name.partition(".")
    if top != "inntd":
        return None
    head = rest.split(".")[0]
    return head if head in STREET else ""


def violations(path: str, source: str) -> list[str]:
    """Return what the module `path` (relative to the repository) imports against the direction of the street."""
    parts = Path(path).with_suffix("").parts[1:]
    here = parts[0] if parts[0] != "__init__" else ""
    package = ".".join(("inntd", *parts[:-1]))
    assert here in STREET, f"{path}: a new stop; give it a place in STREET"
    found = []
    for name, lazy in imported_modules(ast.parse(source), package):
        there = stop_of(name)
        if there is None or there == here or there in STREET[here]:
            continue
        if here == "models" and there == "results" and lazy:
            continue  # conveniences on fields, the one exemption
        found.append(f"{path} imports {name}")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_back_down_the_street(path: Path) -> None:
    assert violations(str(path.relative_to(ROOT)), path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("inntd/axes/a.py", "from inntd.models import CPModel"),
        ("inntd/axes/a.py", "from ..models.cp import CPModel"),
        ("inntd/axes/a.py", "def f():\n    import inntd.solvers"),
        ("inntd/axes/a.py", "from inntd import Axis"),
        ("inntd/axes/a.py", "from inntd import _core"),
        ("inntd/models/m.py", "from inntd.results import plot_slice"),
        ("inntd/problems/p.py", "def f():\n    from inntd.results import plot_slice"),
        ("inntd/problems/p.py", "import importlib\nimportlib.import_module('inntd._cuda')"),
        ("inntd/solvers/s.py", "from inntd.cli import main"),
    ],
)
def test_an_import_up_the_street_is_seen(path: str, source: str) -> None:
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("inntd/models/m.py", "def plot():\n    from inntd.results import plot_slice"),
        ("inntd/models/m.py", "from .files import save"),
        ("inntd/axes/a.py", "from inntd import _checks, _kernels\nfrom inntd._kernels import core"),
        ("inntd/solvers/s.py", "import torch\nfrom inntd.problems.separate import Problem"),
        ("inntd/cli/__init__.py", "import inntd\nfrom inntd.solvers import solve"),
    ],
)
def test_an_import_down_the_street_passes(path: str, source: str) -> None:
    assert violations(path, source) == []


def foreign_includes(path: Path) -> list[str]:
    """Return the headers of Python, pybind11, NumPy or torch that a C++ file includes."""
    included = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), flags=re.MULTILINE)
    return [name for name in included if re.match(r"(Python\.h|pybind11/|numpy/|torch/|ATen/|c10/)", name)]


def test_only_the_bindings_know_python() -> None:
    files = [path for path in CSRC.rglob("*") if path.suffix in {".cpp", ".hpp", ".cu", ".cuh", ".h"}]
    python = [path for path in files if path.relative_to(CSRC).parts[0] == "python"]
    rest = [path for path in files if path not in python]
    assert rest
    assert {str(path): found for path in rest if (found := foreign_includes(path))} == {}
    assert any(foreign_includes(path) for path in python)
    # The bindings know Python but not torch: one wheel fits every torch.
    assert not [path for path in python if "torch/" in "".join(foreign_includes(path))]


def undocumented(path: Path) -> list[str]:
    """Return the public functions, classes, methods and properties of a module that lack a docstring."""

    def walk(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
        for child in node.body:
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith(
                "_"
            ):
                continue
            setter = any(ast.unparse(decorator).endswith((".setter", ".deleter")) for decorator in child.decorator_list)
            overload = any(ast.unparse(decorator).endswith("overload") for decorator in child.decorator_list)
            if not (setter or overload or ast.get_docstring(child)):
                yield prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")

    tree = ast.parse(path.read_text())
    return ([] if ast.get_docstring(tree) else ["the module"]) + list(walk(tree, ""))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path: Path) -> None:
    assert undocumented(path) == []
