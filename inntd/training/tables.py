"""Tables in files: CSV and Parquet by pyarrow, ``.npy`` mapped into memory. Errors name file, line and column."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.listing import listed, missing_columns

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".npy")
BLOCK = 4 << 20  # bytes of text that the CSV reader takes at once


@dataclass(frozen=True)
class NamedColumns:
    """Columns side by side with their names: what the estimators take in place of a data frame."""

    values: npt.NDArray[Any]
    names: list[str]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> NamedColumns:
        """Return some of the rows."""
        return NamedColumns(self.values[rows], self.names)

    def numbers(self) -> npt.NDArray[np.float64]:
        """Return the columns as float64, or raise for the first that holds text."""
        for name, column in zip(self.names, self.values.T, strict=True):
            text = next((value for value in column if isinstance(value, str)), None) if column.dtype == object else None
            if text is not None:
                raise ValueError(f"column {name!r} must hold numbers, got {text!r}")
        return self.values.astype(np.float64)


@dataclass(frozen=True)
class Table:
    """Columns of equal length with names: float64, or objects (text, None where it is missing)."""

    path: Path
    columns: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the file's order."""
        return list(self.columns)

    def select(self, names: Sequence[str]) -> NamedColumns:
        """Return columns side by side: float64, or objects if one of them holds text.

        Raises
        ------
        ValueError
            When the table lacks a column.
        """
        missing_columns(self.path, names, self.names)
        columns = [self.columns[name] for name in names]
        kind = object if any(column.dtype == object for column in columns) else np.float64
        matrix = np.empty((len(self), len(columns)), dtype=kind)
        for d, column in enumerate(columns):
            matrix[:, d] = column
        return NamedColumns(matrix, list(names))

    def refuse_text(self, names: Sequence[str]) -> None:
        """Raise for the first column that holds text."""
        for name in names:
            values = self.columns[name]
            if values.dtype == object:
                row = next((row for row, value in enumerate(values) if isinstance(value, str)), 0)
                raise ValueError(
                    f"{self.path}, {self.place(row)}: column {name!r} holds text ({values[row]!r}), it must hold "
                    f"numbers: declare it with categorical=[{name!r}] (--categorical {name!r}), or leave it out by "
                    "naming the other inputs (--column)"
                )

    def place(self, row: int) -> str:
        """Return where a row stands in the file."""
        in_lines = self.path.suffix.lower() not in (".parquet", ".npy")
        return f"line {_line_of_row(self.path, row)}" if in_lines else f"row {row}"

    def refuse_missing(self, names: Sequence[str], *, nan: str) -> None:
        """Raise for the first column with missing values (unless ``nan="drop"``) or infinite ones, with its line."""
        for name in names:
            column = self.columns[name]
            if column.dtype == object:
                odd = np.array([value is None for value in column]) & (nan != "drop")
            else:
                odd = np.isinf(column) if nan == "drop" else ~np.isfinite(column)
            if odd.all():
                raise ValueError(f"{self.path}, column {name!r}: all {len(column)} values are missing; leave it out")
            if odd.any():
                row = int(np.flatnonzero(odd)[0])
                value = column[row]
                infinite = value is not None and bool(np.isinf(value))
                what = "infinite" if infinite else "missing"
                raise ValueError(
                    f"{self.path}, {self.place(row)}, column {name!r}: the value is {what} "
                    f"({int(odd.sum())} such of {len(column)} values); correct it or remove the row"
                    + ("" if infinite else ", or leave such rows out with nan='drop' (--nan drop)")
                )


def read_table(path: str | os.PathLike[str], *, text: Sequence[str] = ()) -> Table:
    """Read a table of numbers, with columns of text where the file has them.

    Parameters
    ----------
    path : path
        ``.csv`` (commas, or semicolons), ``.tsv``, ``.txt``: UTF-8, the first line names the columns; ``.parquet``;
        ``.npy``: a matrix, whose columns are named ``x0``, ``x1``, … and stay on the disk until they are used.
    text : sequence of str, default ()
        Columns whose values are names even where they look like numbers.

    Raises
    ------
    ValueError
        When the file is malformed: the message names the file, the line and the column.
    ImportError
        When pyarrow is missing: ``pip install 'inntd[tables]'``.
    OSError
        When the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "beam.csv")
    ...     _ = path.write_text("length,material,u\\n1.5,steel,0.25\\n2,oak,\\n")
    ...     table = read_table(path)
    >>> table.names, table.columns["u"], table.columns["material"]
    (['length', 'material', 'u'], array([0.25,  nan]), array(['steel', 'oak'], dtype=object))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in one of {', '.join(SUFFIXES)}, got {path.suffix!r}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    if suffix == ".npy":
        from inntd.training.npy import map_matrix

        matrix = map_matrix(path)
        return Table(path, {f"x{d}": matrix[:, d] for d in range(matrix.shape[1])})
    table = _read_parquet(path) if suffix == ".parquet" else _read_csv(path, text)
    if table.num_rows == 0:
        raise ValueError(f"{path} has no rows")
    columns = {
        name: column_values(path, name, table.column(name), suffix, text=name in text) for name in table.column_names
    }
    return Table(path, columns)


# ---- readers -----------------------------------------------------------------------------------------------------


def need_pyarrow(module: str) -> Any:
    """Return a module of pyarrow, or say how to install it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            "reading and writing CSV and Parquet needs pyarrow, which is not installed: pip install 'inntd[tables]'"
        ) from None


def _read_parquet(path: Path) -> Any:
    arrow, parquet = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.parquet")
    try:
        return parquet.read_table(path)
    except arrow.ArrowInvalid as error:
        raise ValueError(f"{path} is no readable Parquet file: {error}") from None


def _read_csv(path: Path, text: Sequence[str]) -> Any:
    arrow, reader = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.csv")
    header, delimiter = read_header(path)
    try:
        return reader.read_csv(
            path,
            read_options=reader.ReadOptions(block_size=BLOCK),
            parse_options=reader.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=reader.ConvertOptions(
                strings_can_be_null=True, column_types={name: arrow.string() for name in text if name in header}
            ),
        )
    except arrow.ArrowInvalid as error:
        _find_broken_row(path, delimiter, len(header))
        raise ValueError(f"{path} is no readable CSV file: {error}") from None


def read_header(path: Path) -> tuple[list[str], str]:
    """Return the names of a CSV file's columns and what stands between them, or raise."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        line = file.readline()
    if not line.strip():
        raise ValueError(f"{path}, line 1: the first line must name the columns, got an empty one")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in line and "," not in line else ","
    header = next(csv.reader([line], delimiter=delimiter))
    if all(_is_number(name) for name in header):
        raise ValueError(f"{path}, line 1: the first line must name the columns, got the numbers {line.strip()[:60]!r}")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f"{path}, line 1: the names of columns must differ, got {listed(repeated)} more than once")
    return header, delimiter


def _find_broken_row(path: Path, delimiter: str, width: int) -> None:
    """Raise for the first row that has too many or too few values, or is no UTF-8."""
    for line, row in _rows(path, delimiter):
        if row and len(row) != width:
            shown = delimiter.join(row)
            raise ValueError(
                f"{path}, line {line}: the row has {len(row)} value{'s' if len(row) != 1 else ''}, the header names "
                f"{width} columns: {shown[:60]!r}; correct or remove it"
            )
        if any("\udc80" <= character <= "\udcff" for value in row for character in value):
            raise ValueError(f"{path}, line {line}: the text is not UTF-8; convert the file")


def _rows(path: Path, delimiter: str) -> Any:
    """Yield the number of the first line and the values of each row, the header included."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        before = 0
        for row in reader:
            yield before + 1, row
            before = reader.line_num


def column_values(path: Path, name: str, column: Any, suffix: str, *, text: bool) -> npt.NDArray[Any]:
    """Return a column of pyarrow as numbers with NaN where they are missing, or as text."""
    arrow = need_pyarrow("pyarrow")
    kind = column.type
    if arrow.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if arrow.types.is_string(kind) or arrow.types.is_large_string(kind):
        values: npt.NDArray[Any] = column.to_numpy()
        if not text:
            _refuse_odd_values(path, name, values, suffix)
        return values.astype(object)
    if arrow.types.is_null(kind):
        return np.full(len(column), np.nan)
    if arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind):
        numbers: npt.NDArray[Any] = column.cast(arrow.float64()).to_numpy()
        return numbers
    if arrow.types.is_decimal(kind):
        return np.asarray(column.cast(arrow.float64()).to_numpy())
    if suffix != ".parquet" and arrow.types.is_binary(kind):
        header, delimiter = read_header(path)
        _find_broken_row(path, delimiter, len(header))
    raise ValueError(f"{path}, column {name!r}: it must hold numbers or text, got {kind}; convert it, or leave it out")


def _refuse_odd_values(path: Path, name: str, values: npt.NDArray[Any], suffix: str) -> None:
    """Raise where most values of a column of text are numbers: the others are mistakes."""
    odd = [i for i, value in enumerate(values) if value is not None and not _is_number(value)]
    present = sum(value is not None for value in values)
    if not odd or 2 * len(odd) > present:
        return
    place = f"row {odd[0] + 1}" if suffix == ".parquet" else f"line {_line_of_row(path, odd[0])}"
    raise ValueError(
        f"{path}, {place}, column {name!r}: {values[odd[0]]!r} is no number ({len(odd)} such of {present} values); "
        "correct it, leave it empty, or declare the column categorical"
    )


def _line_of_row(path: Path, row: int) -> int:
    _, delimiter = read_header(path)
    filled = (line for line, values in _rows(path, delimiter) if values)
    for count, line in enumerate(filled):
        if count == row + 1:  # after the header
            return int(line)
    return row + 2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
