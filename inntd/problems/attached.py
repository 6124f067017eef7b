"""Coefficients of problem files that stand in files of their own: arrays and models, by relative path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.models import load
from inntd.problems import tables
from inntd.problems.sources import MAX_SAMPLES, coefficient

MAX_TEXT_BYTES = 50_000_000
_KEYS = ("file", "model", "axes", "at")


def read_coefficients(
    place: str, entries: Mapping[str, Any], axes: Mapping[str, Axis], folder: Path | None
) -> Iterator[tuple[str, sympy.Expr, str]]:
    """Yield the name, the factor and the place of every table `[coefficients.name]`.

    Parameters
    ----------
    place
        The problem file, for messages.
    entries
        The tables by name.
    axes
        Those of the problem file.
    folder
        Where the problem file stands; None for a text, which cannot name files.

    Raises
    ------
    ValueError
        Unknown keys, a path that is not relative or leaves the folder, a file that is missing, too large or of the
        wrong kind, and what :func:`inntd.coefficient` refuses; names the table, and the file.
    """
    for name, entry in entries.items():
        where = f"{place}: [coefficients.{name}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} must be a table, got {entry!r}")
        tables.check_keys(place, f"[coefficients.{name}]", entry, _KEYS)
        if ("file" in entry) == ("model" in entry):
            raise ValueError(f"{where} needs either file or model, got {', '.join(entry) or 'nothing'}")
        yield name, _Reader(where, axes, folder).read(name, entry), where


class _Reader:
    def __init__(self, where: str, axes: Mapping[str, Axis], folder: Path | None) -> None:
        self.where, self.axes, self.folder = where, axes, folder

    def read(self, name: str, entry: Mapping[str, Any]) -> sympy.Expr:
        chosen = self._axes(entry.get("axes", []))
        key = "file" if "file" in entry else "model"
        path = self._path(key, entry[key])
        source = self._array(key, path) if key == "file" else self._model(path)
        if key == "file" and not chosen:
            raise ValueError(f"{self.where} axes must name the axes of the array, in the order of its dimensions")
        if key == "model":
            self._check_own(source, chosen)
        at = self._coordinates(entry["at"]) if "at" in entry else None
        try:
            return coefficient(source, *chosen, name=name, at=at)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.where} {key} = {entry[key]!r}: {error}") from None

    def _axes(self, listed: Any) -> list[Axis]:
        if not isinstance(listed, list) or not all(isinstance(axis, str) for axis in listed):
            raise ValueError(f"{self.where} axes must be a list of names, got {listed!r}")
        return [axis for entry in listed for axis in tables.axes_called(self.axes, entry, f"{self.where} axes")]

    def _check_own(self, model: Any, chosen: list[Axis]) -> None:
        """A model that goes without axes must be a function of axes of the file."""
        strangers = [axis.name for axis in model.axes if axis.name not in self.axes] if not chosen else []
        if strangers:
            raise ValueError(
                f"{self.where}: the model has the axes {', '.join(axis.name for axis in model.axes)}, the file has no "
                f"{', '.join(strangers)}; name the axes that take their places, axes = [...]"
            )

    def _path(self, key: str, given: Any) -> Path:
        """Return an existing file inside of the folder of the problem file."""
        label = f"{self.where} {key}"
        if not isinstance(given, str) or not given or "\0" in given:
            raise ValueError(f"{label} must be a path, got {given!r}")
        if self.folder is None:
            raise ValueError(f"{label} = {given!r}: a problem given as text has no folder; read it from a file")
        windows = PureWindowsPath(given)
        if Path(given).is_absolute() or windows.drive or windows.root:
            raise ValueError(f"{label} must be a path relative to the problem file, got {given!r}")
        folder = self.folder.resolve()
        path = (folder / given).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{label} must stay inside of the folder of the problem file, got {given!r}")
        if not path.is_file():
            raise ValueError(f"{label} = {given!r}: there is no such file in {folder}")
        return path

    def _array(self, key: str, path: Path) -> npt.NDArray[np.float64]:
        label = f"{self.where} {key} = {path.name!r}"
        readers = {".npy": self._numpy_array, ".csv": self._table}
        if path.suffix not in readers:
            raise ValueError(f"{label} must be a .npy or a .csv file; models are named by model = ...")
        try:
            values = readers[path.suffix](path)
        except (ValueError, TypeError, EOFError, OSError) as error:
            raise ValueError(f"{label} is no array of numbers: {error}") from None
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{label} must hold real numbers, got {values.dtype}")
        return np.array(values, dtype=np.float64)

    @staticmethod
    def _numpy_array(path: Path) -> npt.NDArray[Any]:
        # Arrays of objects, which would be unpickled, cannot be mapped; the header is checked before anything is read.
        values = np.lib.format.open_memmap(path, mode="r")
        if values.size > MAX_SAMPLES:
            raise ValueError(f"at most {MAX_SAMPLES} samples are taken, got {values.size}")
        return np.asarray(values)

    @staticmethod
    def _table(path: Path) -> npt.NDArray[Any]:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise ValueError(f"a table may have {MAX_TEXT_BYTES} bytes, got {size}; save it with numpy.save")
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty")
        values = np.loadtxt(lines, delimiter=",", ndmin=2)
        return values[:, 0] if values.shape[1] == 1 else values

    def _model(self, path: Path) -> Any:
        try:
            return load(path)
        except (ValueError, TypeError, OSError) as error:
            raise ValueError(f"{self.where} model = {path.name!r}: {error}") from None

    def _coordinates(self, given: Any) -> list[Any]:
        """Return one vector per axis from lists of numbers or names of files; one list of numbers is one vector."""
        if not isinstance(given, list) or not given:
            raise ValueError(f"{self.where} at must be a list with one entry per axis, got {given!r}")
        if not any(isinstance(entry, (str, list)) for entry in given):
            given = [given]
        return [self._vector(f"{self.where} at[{i}]", entry) for i, entry in enumerate(given)]

    def _vector(self, label: str, entry: Any) -> Any:
        if isinstance(entry, str):
            return self._array("at", self._path("at", entry))
        if not isinstance(entry, list):
            raise ValueError(f"{label} must be a list of numbers or the path of an array, got {entry!r}")
        return np.array([tables.number(label, x) for x in entry], dtype=np.float64)
