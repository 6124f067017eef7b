"""Exports that carry the function itself, run where they are meant to run: C, NumPy, ONNX."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import MODELS, axes, cp_model, points, smooth_factors

import inntd as it
from inntd.results.export import EVALUATOR

MAIN = """
#include <stdio.h>
#include "first.h"
#include "second.h"
int main(void) {
  double x[%(D)d], g[%(D)d];
  int d;
  for (;;) {
    for (d = 0; d < %(D)d; ++d) if (scanf("%%lf", &x[d]) != 1) return 0;
    printf("%%.17g %%.17g", first(x), first_gradient(x, g));
    for (d = 0; d < %(D)d; ++d) printf(" %%.17g", g[d]);
    printf("\\n");
  }
}
"""

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler (gcc) on the path")


def run_c(model: Any, x: Any, folder: Path) -> Any:
    """Return values twice and gradients (K, 2 + D), from a program that includes two headers."""
    model.export(folder / "first.h", name="first")
    model.export(folder / "second.h", name="second")
    (folder / "main.c").write_text(MAIN % {"D": x.shape[1]})
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion", "-O1"]
    subprocess.run(["gcc", *flags, "main.c", "-o", "main", "-lm"], cwd=folder, check=True, timeout=120)
    text = "\n".join(" ".join(map(repr, row)) for row in x.tolist())
    done = subprocess.run([folder / "main"], input=text, capture_output=True, text=True, check=True, timeout=60)
    return np.array([line.split() for line in done.stdout.splitlines()], dtype=float)


@needs_compiler
@pytest.mark.parametrize("make", MODELS)
def test_the_c_header_gives_values_and_gradients(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    x = points(model)
    found = run_c(model, x, tmp_path)
    value, gradient, _ = model.jet(x)
    assert np.abs(found[:, 0] - value.numpy()).max() <= 1e-12 * float(value.abs().max())
    assert np.array_equal(found[:, 0], found[:, 1])
    for d in range(x.shape[1]):
        assert np.abs(found[:, 2 + d] - gradient[:, d].numpy()).max() <= 1e-12 * max(
            1, float(gradient[:, d].abs().max())
        )


@needs_compiler
def test_the_c_function_moves_points_inside_and_keeps_nan(tmp_path: Path) -> None:
    model = cp_model()
    x = points(model, 40)
    x[0, 0], x[1, 1], x[2, 5], x[3, 6], x[4, 2] = -5.0, 9.0, 7.0, 1.3, np.nan
    inside = x.copy()
    inside[0, 0], inside[1, 1], inside[2, 5], inside[3, 6] = 0.0, 4.0, 2 * np.pi, 1.0
    found = run_c(model, x, tmp_path)[:, 0]
    keep = np.arange(len(x)) != 4
    assert np.allclose(found[keep], model(inside[keep]).numpy(), rtol=1e-12, atol=0)
    assert np.isnan(found[4])


@pytest.mark.parametrize("name", ["double", "2u", "u v", "u;", "", "a__b", "_u", "class", "exp", "ü"])
def test_a_c_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name must be an identifier of C"):
        cp_model().export(tmp_path / "u.h", name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler (g++) on the path")
def test_headers_are_good_cpp_too(tmp_path: Path) -> None:
    for k, make in enumerate(parameters.values[0] for parameters in MODELS):
        make().export(tmp_path / f"u{k}.h", name=f"u{k}")
    (tmp_path / "main.cpp").write_text('#include "u0.h"\n#include "u1.h"\n#include "u2.h"\nint main() {}\n')
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]
    subprocess.run(["g++", *flags, "main.cpp"], cwd=tmp_path, check=True, timeout=120)


@needs_compiler
def test_a_unit_cannot_end_the_comment(tmp_path: Path) -> None:
    x = it.Axis("x", 0, 1, elements=8, unit='*/ int broken = 1; /* ??/ "\n#error broken\\')
    model = it.CPModel.from_factors([x], smooth_factors([x], 1))
    assert run_c(model, points(model, 20), tmp_path).shape == (20, 3)


@pytest.mark.parametrize("make", MODELS)
def test_the_printed_evaluator_reads_numpy_files(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    model.export(tmp_path / "u.npz")
    names: dict[str, Any] = {}
    exec(printed_evaluator(), names)
    x = points(model)
    value = model(x).numpy()
    assert np.abs(names["evaluate"](tmp_path / "u.npz", x) - value).max() <= 1e-12 * np.abs(value).max()
    with np.load(tmp_path / "u.npz") as data:
        assert data["names"].tolist() == [axis.name for axis in model.axes]
        assert data["units"].tolist() == [axis.unit for axis in model.axes]


def printed_evaluator() -> str:
    """Return the evaluator as the guide prints it, where the guide is at hand."""
    guide = Path(__file__).parent.parent / "docs" / "exports.md"
    blocks = [part.split("```")[0] for part in guide.read_text().split("```python\n")[1:]]
    found = [block for block in blocks if "def evaluate" in block]
    assert len(found) == 1
    assert found[0] == EVALUATOR
    assert len(found[0].partition('"""')[2].strip().splitlines()) <= 21
    return found[0]


@needs_compiler
def test_the_guide_to_exports_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("onnx", "onnxruntime", "xarray", "h5py", "meshio"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parent.parent / "docs" / "exports.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL):
        exec(compile(block, "exports.md", "exec"), names)
    value = names["model"](names["points"]).detach().numpy()
    assert np.allclose(names["values"], value, rtol=1e-12, atol=0)
    assert np.allclose(names["single"], value, rtol=0, atol=1e-5 * np.abs(value).max())
    assert names["dataset"].u.dims == ("x", "y", "t")
    assert {"u.html", "u.nc", "u.h5", "u.pvd", "u_0.vtu"} <= {file.name for file in tmp_path.iterdir()}
    [program] = re.findall(r"```c\n(.*?)```", guide, flags=re.DOTALL)
    (tmp_path / "main.c").write_text(program)
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c"], check=True, timeout=120)
    done = subprocess.run(["./a.out"], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) == pytest.approx(names["model"].at(x=0.2, y=0.7, k=1.5, t=0.8), rel=1e-12)


def run_onnx(path: Path, x: Any) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"points": x})[0]


@pytest.mark.parametrize("make", MODELS)
def test_onnx_agrees_in_single_precision(make: Callable[[], Any], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = make()
    model.export(tmp_path / "u.onnx")
    x = points(model, 1000)
    found, value = run_onnx(tmp_path / "u.onnx", x.astype(np.float32)), model(x).numpy()
    assert found.dtype == np.float32
    assert found.shape == (1000,)
    assert np.abs(found - value).max() <= 1e-5 * np.abs(value).max()
    graph = onnx.load(tmp_path / "u.onnx")
    assert [entry.version for entry in graph.opset_import] == [17]


@pytest.mark.parametrize("make", MODELS)
def test_onnx_agrees_in_double_precision(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    model.export(tmp_path / "u.onnx", dtype="float64")
    x = points(model)
    found, value = run_onnx(tmp_path / "u.onnx", x), model(x).numpy()
    assert np.abs(found - value).max() <= 1e-12 * np.abs(value).max()


def test_onnx_refuses_what_single_precision_loses(tmp_path: Path) -> None:
    x = it.Axis("x", 0, 1, elements=12)
    columns = np.hstack([1e7 + x.nodes[:, None], np.full((13, 1), -1e7)])
    model = it.CPModel.from_factors([x], [columns])
    with pytest.raises(ValueError, match=r"float32 would lose .* dtype='float64'"):
        model.export(tmp_path / "u.onnx")
    model.export(tmp_path / "u.onnx", dtype="float64")


def test_onnx_carries_many_axes_of_uneven_size(tmp_path: Path) -> None:
    many = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(60)]
    factors = [columns * (10 if i < 30 else 0.1) for i, columns in enumerate(smooth_factors(many, 2))]
    model = it.CPModel.from_factors(many, factors)
    model.export(tmp_path / "u.onnx")
    x = points(model, 100)
    value = model(x).numpy()
    assert np.abs(run_onnx(tmp_path / "u.onnx", x.astype(np.float32)) - value).max() <= 1e-5 * np.abs(value).max()


def test_axes_are_of_every_kind() -> None:
    chosen = axes()
    assert {axis.discrete for axis in chosen} == {True, False}
    assert any(axis.periodic for axis in chosen)
    assert any(axis.breaks for axis in chosen)
    assert {axis.table.uniform for axis in chosen} == {True, False}
