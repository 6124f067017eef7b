"""Fields for other programs: one file per format, each written whole or not at all."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from inntd.axes import Axis
from inntd.models.atomic import write_atomically
from inntd.results.export.dataset import to_dataset
from inntd.results.export.numpy_arrays import EVALUATOR

__all__ = ["EVALUATOR", "FORMATS", "Format", "export", "format_of", "to_dataset"]


class Format(NamedTuple):
    """What a format is called, how its files end, who writes it, and what it holds."""

    suffixes: tuple[str, ...]
    module: str
    holds: str

    def contents(self) -> Callable[..., dict[Path, bytes]]:
        """Return the function that makes the files' contents."""
        found: Callable[..., dict[Path, bytes]] = import_module(f"inntd.results.export.{self.module}").contents
        return found


FORMATS: dict[str, Format] = {
    "html": Format((".html", ".htm"), "html", "the explorer: one page that evaluates the model in a browser"),
    "c": Format((".h",), "c_header", "a C99 header with a function and its gradient"),
    "onnx": Format((".onnx",), "onnx_graph", "an ONNX graph, opset 17"),
    "npz": Format((".npz",), "numpy_arrays", "NumPy arrays; the guide prints twenty lines that evaluate them"),
    "xarray": Format((".nc",), "dataset", "values on a grid as NetCDF, read by xarray.open_dataset"),
    "hdf5": Format((".h5", ".hdf5"), "hdf5", "values on a grid and the model's arrays"),
    "vtk": Format((".vtu", ".pvd"), "vtk", "values on a grid for ParaView, one file or a series"),
}


def export(
    model: Any,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    overwrite: bool = False,
    at: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Path]:
    """Write a field for another program and return the paths of the files.

    Parameters
    ----------
    model : Field
    path : path
        Its suffix tells the format unless `format` does.
    format : {"html", "c", "onnx", "npz", "xarray", "hdf5", "vtk"}, optional
        The first four carry the function itself and take CP and Tucker models and their exponentials (``"html"``
        moderate ones), the others its values on a grid and take any field.
    overwrite : bool, default False
        Replace existing files.
    at : mapping of str to float, optional
        Axes to hold still.
    **options
        ``name`` (of the C function, or of the values), ``dtype`` (of ONNX: ``"float32"``, or ``"float64"``), ``points``
        (of grids: how many per axis, or which, by name), ``along`` (the axes drawn by ``"vtk"``, or first by
        ``"html"``), ``title`` and ``indices`` (of ``"html"``: Sobol' indices by axis, to draw as bars).

    Raises
    ------
    ValueError, TypeError
        When a format cannot carry the model, with one that can; when an argument is wrong, or not one of the format's.
    FileExistsError
        When a file exists and `overwrite` is False.
    ImportError
        When the format's library is missing, with how to install it.

    Examples
    --------
    >>> import os, tempfile
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
    >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in it.export(u, os.path.join(folder, "plate.h"), name="plate")]
    ['plate.h']
    """
    path = Path(path)
    chosen = format_of(path, format)
    write = FORMATS[chosen].contents()
    known = [name for name, what in inspect.signature(write).parameters.items() if what.kind == what.KEYWORD_ONLY]
    odd = sorted(set(options) - set(known))
    if odd:
        takes = ", ".join(known) if known else "none"
        raise TypeError(f"format {chosen!r} has no option {', '.join(odd)}; its options: {takes}")
    _refuse_existing([path], overwrite=overwrite)
    held = hold(model, at)
    contents = write(held, path, **options)
    _refuse_existing(list(contents), overwrite=overwrite)
    for file, content in contents.items():
        write_atomically(file, content, overwrite=overwrite)
    return list(contents)


def format_of(path: Path, format: str | None) -> str:
    """Return the format that a path's suffix means, or the one that is given.

    Examples
    --------
    >>> format_of(Path("u.nc"), None), format_of(Path("u"), "c")
    ('xarray', 'c')
    """
    if format is None:
        suffix = path.suffix.lower()
        found = [name for name, entry in FORMATS.items() if suffix in entry.suffixes]
        if not found:
            endings = ", ".join(entry.suffixes[0] for entry in FORMATS.values())
            raise ValueError(f"format must be given where the path does not end in one of {endings}, got {str(path)!r}")
        return found[0]
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))}, got {format!r}")
    return format


def hold(model: Any, at: Mapping[str, Any] | None) -> Any:
    """Return the field with axes held still, or raise where none remains."""
    if not at:
        return model
    rest: tuple[Axis, ...] = tuple(axis for axis in model.axes if axis.name not in at)
    held = model.at(dict(at))  # refuses names that are none
    if not rest:
        raise ValueError(f"at must leave an axis free, got coordinates of all: the value there is {float(held):g}")
    told = {key: model.metadata[key] for key in ("title", "problem") if key in getattr(model, "metadata", {})}
    held.metadata = told | held.metadata
    return held


def _refuse_existing(paths: list[Path], *, overwrite: bool) -> None:
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(f"{', '.join(existing)} exists already: pass overwrite=True to replace it")
    folder = paths[0].absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist: make it first")
