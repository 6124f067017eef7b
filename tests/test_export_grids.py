"""Exports of values on a grid, read back by the libraries that they are for; refusals of every format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import cp_model, smooth_factors, tucker_model

import inntd as it
from inntd.models import SlabModel
from inntd.results.export import FORMATS, to_dataset

HELD = {"y": 0.4, "z": 0.3, "phi": 1.0, "k[1]": 2.0}  # leaves x, t, c


def plate() -> it.CPModel:
    """Return a vector field over two axes of space, time and a parameter."""
    axes = [
        it.Axis("x", 0, 2, elements=8, unit="m"),
        it.Axis("y", 0, 1, elements=7, unit="m"),
        it.Axis("t", 0, 3, elements=7, kind="time", unit="s"),
        it.Axis("k", 1, 2, elements=7, kind="parameter"),
        it.Axis.discrete("c", 2),
    ]
    return it.CPModel.from_factors(axes, smooth_factors(axes, 3))


def slabs() -> SlabModel:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 2, elements=16, kind="time")
    halves = [t.part(0, 8), t.part(8, 16)]
    parts = [it.CPModel.from_factors([x, half], [x.nodes[:, None], half.nodes[:, None] ** 2]) for half in halves]
    return SlabModel(parts, t)


def reduced() -> Any:
    x, k = it.Axis("x", 0, 1, elements=16), it.Axis("k", 1, 10, elements=8, kind="parameter")
    u, v = it.unknown("u", x, k), it.test_function()
    form = it.diff(v, x) * it.diff(u, x) + k * u * v - v
    return it.solve(
        it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-6, progress=False
    ).model


@pytest.mark.parametrize("make", [cp_model, tucker_model])
def test_netcdf_names_coordinates_and_units(make: Any, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    model = make()
    model.export(tmp_path / "u.nc", at=HELD, name="temperature", points={"t": [0.5, 1.0, 3.0], "x": 5})
    with xarray.open_dataset(tmp_path / "u.nc", engine="scipy") as found:
        assert found.temperature.dims == ("x", "t", "c")
        assert (found.x.units, found.t.units, found.t.kind) == ("m", "s", "time")
        value = float(found.temperature.sel(x=0.75, t=1.0, c=2))
    assert value == pytest.approx(model.at({**HELD, "x": 0.75, "t": 1.0, "c": 2}), rel=1e-13)


def test_names_in_other_letters_go_where_they_can(tmp_path: Path) -> None:
    axes = [it.Axis("λ[1]", 0, 1, elements=8, unit="µm/°C"), it.Axis("t", 0, 1, elements=8, kind="time")]
    model = it.CPModel.from_factors(axes, smooth_factors(axes, 2))
    with pytest.raises(ValueError, match=r"names are of Latin letters, got 'λ\[1\]': export as 'hdf5'"):
        model.export(tmp_path / "u.nc")
    for suffix in (".h5", ".vtu", ".h", ".npz", ".onnx", ".html"):
        assert model.export(tmp_path / f"u{suffix}")


def test_a_dataset_is_made_without_a_file() -> None:
    pytest.importorskip("xarray")
    found = to_dataset(plate().at(k=1.5, t=1.0))
    assert dict(found.sizes) == {"x": 9, "y": 8, "c": 2}


@pytest.mark.parametrize("make", [cp_model, tucker_model])
def test_hdf5_holds_values_scales_and_the_model(make: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    model = make()
    model.export(tmp_path / "u.h5", at=HELD)
    with h5py.File(tmp_path / "u.h5") as file:
        values = file["u"]
        assert [dim.label for dim in values.dims] == ["x", "t", "c"]
        times = values.dims[1][0]
        assert times.attrs["units"] == "s"
        found, at = values[3, 4, 1], {"x": float(values.dims[0][0][3]), "t": float(times[4]), "c": 1}
        assert found == pytest.approx(model.at({**HELD, **at}), rel=1e-13)
        assert ("model/core" in file) == isinstance(model, it.TuckerModel)
        held = model.at({"y": 0.4, "z": 0.3, "phi": 1.0, "k[1]": 2.0})
        assert np.array_equal(file["model/factor_2"], held.factors[2].numpy())


def test_vtk_draws_a_series_of_vectors(tmp_path: Path) -> None:
    meshio = pytest.importorskip("meshio")
    model = plate()
    files = model.export(tmp_path / "plate.vtu", at={"k": 1.5}, points={"t": 4})
    assert [file.name for file in files] == [*(f"plate_{k}.vtu" for k in range(4)), "plate.pvd"]
    assert 'timestep="1.0" file="plate_1.vtu"' in (tmp_path / "plate.pvd").read_text()
    mesh = meshio.read(tmp_path / "plate_1.vtu")
    assert [(block.type, len(block.data)) for block in mesh.cells] == [("quad", 8 * 7)]
    assert mesh.point_data["u"].shape == (9 * 8, 3)
    for c in range(2):
        rows = np.column_stack([mesh.points[:, :2], np.full((72, 2), (1.0, 1.5)), np.full(72, c)])
        assert np.allclose(mesh.point_data["u"][:, c], model(rows).numpy(), rtol=1e-13, atol=0)


def test_vtk_cells_are_right_handed_and_fill_the_box(tmp_path: Path) -> None:
    meshio = pytest.importorskip("meshio")
    axes = [it.Axis(name, 0, length, elements=7) for name, length in (("x", 1), ("y", 2), ("z", 3))]
    model = it.CPModel.from_factors(axes, smooth_factors(axes, 2))
    for along, volume in ((["x", "y", "z"], 6.0), (["y", "x"], 2.0), (["z"], 3.0)):
        at = {axis.name: 0.5 for axis in axes if axis.name not in along}
        (file,) = model.export(tmp_path / "u.vtu", at=at, along=along, overwrite=True)
        mesh = meshio.read(file)
        corners = mesh.points[mesh.cells[0].data]  # (cells, corners, 3)
        edges = [corners[:, k] - corners[:, 0] for k in {1: [1], 2: [1, 3], 3: [1, 3, 4]}[len(along)]]
        matrix = np.stack([edge[:, : len(along)] for edge in edges], axis=1)
        assert np.linalg.det(matrix).sum() == pytest.approx(volume)
        assert np.linalg.det(matrix).min() > 0
        rows = np.full((len(mesh.points), 3), 0.5)
        for d, name in enumerate(along):
            rows[:, "xyz".index(name)] = mesh.points[:, d]
        assert np.allclose(mesh.point_data["u"], model(rows).numpy(), rtol=1e-13, atol=0)


def test_vtk_says_which_axes_to_hold_still(tmp_path: Path) -> None:
    pytest.importorskip("meshio")
    with pytest.raises(ValueError, match=r"hold t, k still with at, all but one of them"):
        plate().export(tmp_path / "u.vtu")
    with pytest.raises(ValueError, match=r"along must name one to three of x, y, t, k, got \['q'\]"):
        plate().export(tmp_path / "u.vtu", along=["q"])


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".vtu"])
def test_grids_take_any_field(suffix: str, tmp_path: Path) -> None:
    for make in (slabs, reduced):
        files = make().export(tmp_path / f"{make.__name__}{suffix}")
        assert all(file.stat().st_size > 0 for file in files)


@pytest.mark.parametrize("format", ["html", "c", "onnx", "npz"])
def test_formats_of_functions_refuse_other_fields_with_advice(format: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"SlabModel has 2.* export model.slabs\[k\] one by one, or values"):
        slabs().export(tmp_path / "u", format)
    model = reduced()
    with pytest.raises(TypeError, match=r"ReducedModel solves .* export model.to_tucker\(\)"):
        model.export(tmp_path / "u", format)
    model.to_tucker().export(tmp_path / "u", format)
    model.export(tmp_path / "held", format, at={"k": 2.0})


@pytest.mark.parametrize("format", list(FORMATS))
def test_every_format_refuses_nan_and_existing_files(format: str, tmp_path: Path) -> None:
    model = cp_model().at({"t": 1.0, **HELD})
    path = tmp_path / f"u{FORMATS[format].suffixes[0]}"
    (written,) = model.export(path)
    before = written.read_bytes()
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        model.export(path)
    model.factors[0].data[2, 0] = float("nan")
    with pytest.raises(ValueError, match="must be finite, got "):
        model.export(path, overwrite=True)
    assert written.read_bytes() == before
    assert list(tmp_path.iterdir()) == [written]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "u.xyz"}, r"format must be given where the path does not end in one of \.html, "),
        ({"path": "u", "format": "matlab"}, r"format must be one of 'html', .*, got 'matlab'"),
        ({"path": "u.npz", "at": {"q": 1}}, r"axis must be one of x, t, .* got 'q'"),
        ({"path": "u.npz", "at": {"x": 7}}, r"x must lie in \[0, 1\]"),
        ({"path": "u.nc", "points": {"x": 900}}, r"the grid would have 900 x 10 x .* hold axes still with at"),
        ({"path": "u.nc", "at": HELD, "points": {"q": 3}}, r"points must name axes among x, t, c, got q"),
        ({"path": "u.nc", "at": HELD, "points": {"x": 1}}, r"axis 'x': points must be at least 2"),
        ({"path": "u.nc", "at": HELD, "points": {"c": 2}}, r"axis 'c' is discrete"),
        ({"path": "u.nc", "at": HELD, "name": "x"}, r"name must not be that of an axis"),
        ({"path": "u.onnx", "dtype": "float16"}, r"dtype must be one of 'float32', 'float64'"),
        ({"path": "missing/u.npz"}, r"the folder .*missing does not exist"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    given = dict(arguments)
    big = cp_model()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        it.export(big, tmp_path / given.pop("path"), **given)
    assert list(tmp_path.iterdir()) == []


def test_options_of_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"format 'npz' has no option name; its options: none"):
        cp_model().export(tmp_path / "u.npz", name="u")
    with pytest.raises(TypeError, match=r"format 'c' has no option dtype; its options: name"):
        cp_model().export(tmp_path / "u.h", dtype="float32")


def test_at_of_all_axes_leaves_nothing_to_export(tmp_path: Path) -> None:
    x = it.Axis("x", 0, 1, elements=8)
    model = it.CPModel.from_factors([x], [x.nodes[:, None] ** 2])
    with pytest.raises(ValueError, match=r"at must leave an axis free, got .*: the value there is 0\.25"):
        model.export(tmp_path / "u.npz", at={"x": 0.5})


@pytest.mark.parametrize(
    ("suffix", "library"), [(".nc", "xarray"), (".h5", "h5py"), (".vtu", "meshio"), (".onnx", "onnx")]
)
def test_a_missing_library_is_named(suffix: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    extra = {"h5py": "hdf5", "meshio": "vtk"}.get(library, library)
    with pytest.raises(ImportError, match=rf"needs the library {library}, .*pip install 'inntd\[{extra}\]'"):
        cp_model().export(tmp_path / f"u{suffix}", at=HELD)


def test_importing_the_package_imports_no_format() -> None:
    code = """import sys, inntd
print([m for m in sys.modules if m.split('.')[0] in ('onnx', 'xarray', 'h5py', 'meshio') or 'inntd.results' in m])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
