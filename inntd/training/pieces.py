"""Tables in pieces: rows of a file one part after the other, and columns written as they come."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.models.atomic import written_aside
from inntd.training import large
from inntd.training.batches import rows_at_once
from inntd.training.given import file_is_large
from inntd.training.listing import missing_columns
from inntd.training.npy import NpyColumns
from inntd.training.parquet import ParquetColumns
from inntd.training.tables import (
    BLOCK,
    SUFFIXES,
    NamedColumns,
    need_pyarrow,
    read_header,
    read_table,
)

TEXTS = (".csv", ".tsv", ".txt")
Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]


def read_pieces(path: Path, names: Sequence[str], text: Sequence[str], *, nan: str = "drop") -> Iterator[NamedColumns]:
    """Yield the rows of a table: all at once, or in pieces where the file is large and the columns are numbers."""
    if not text and path.suffix.lower() in TEXTS and path.is_file() and path.stat().st_size >= large.LARGE:
        yield from _csv_pieces(path, names)
        return
    if text or not file_is_large(path):
        table = read_table(path, text=text)
        columns = table.select(names)
        table.refuse_missing(names, nan=nan)
        yield columns
        return
    file = NpyColumns(path) if path.suffix.lower() == ".npy" else ParquetColumns(path)
    file.check(names)
    for _, matrix in file.blocks(names, rows_at_once(len(names))):
        yield NamedColumns(matrix, list(names))


def _csv_pieces(path: Path, names: Sequence[str]) -> Iterator[NamedColumns]:
    """Yield the rows of a CSV file whose columns are known to be numbers."""
    arrow, csv = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.csv")
    header, delimiter = read_header(path)
    missing_columns(path, names, header)
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=BLOCK),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=list(names), column_types={name: arrow.float64() for name in names}
            ),
        ) as reader:
            for batch in reader:
                table = arrow.Table.from_batches([batch])
                yield NamedColumns(np.column_stack([table.column(name).to_numpy() for name in names]), list(names))
    except arrow.ArrowInvalid as error:
        read_table(path).select(names)  # says in which line
        raise ValueError(f"{path} is no readable CSV file: {error}") from None


def write_pieces(path: Path | None, pieces: Iterator[Columns], *, overwrite: bool = False) -> None:
    """Write columns to a file as they come, whole or not at all; print them as CSV where `path` is None."""
    suffix = ".csv" if path is None else path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in one of {', '.join(SUFFIXES)}, got {suffix!r}")
    write = _write_npy if suffix == ".npy" else _write_arrow
    if path is None:
        _write_arrow(sys.stdout.buffer if hasattr(sys.stdout, "buffer") else _Text(), pieces, suffix)
        return
    with written_aside(path, overwrite=overwrite) as aside, open(aside, "xb") as file:
        write(file, pieces, suffix)


def _write_arrow(file: Any, pieces: Iterator[Columns], suffix: str) -> None:
    arrow = need_pyarrow("pyarrow")
    with contextlib.ExitStack() as open_files:
        writer = None
        for piece in pieces:
            table = arrow.table(dict(piece))
            if writer is None:
                writer = open_files.enter_context(_writer(file, table.schema, suffix))
            writer.write_table(table)


def _writer(file: Any, schema: Any, suffix: str) -> Any:
    if suffix == ".parquet":
        return need_pyarrow("pyarrow.parquet").ParquetWriter(file, schema)
    csv = need_pyarrow("pyarrow.csv")
    return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(delimiter="\t" if suffix == ".tsv" else ","))


def _write_npy(file: Any, pieces: Iterator[Columns], suffix: str) -> None:
    """Write a matrix whose height is known at the end: the header has room for it."""
    rows, first = 0, None
    for piece in pieces:
        block = np.column_stack(list(piece.values()))
        if first is None:
            first = block
            _npy_header(file, first, 0)
        if block.dtype != first.dtype:
            raise ValueError("a .npy file cannot hold words of different lengths in pieces: write .csv or .parquet")
        file.write(np.ascontiguousarray(block).tobytes())
        rows += len(block)
    assert first is not None
    file.seek(0)
    _npy_header(file, first, rows)


def _npy_header(file: Any, block: npt.NDArray[Any], rows: int) -> None:
    shape = (rows, *block.shape[1:])
    described = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


class _Text:
    """Standard output that takes bytes, where it was replaced by one of text."""

    closed = False

    def write(self, content: Any) -> int:
        return sys.stdout.write(bytes(content).decode())

    def flush(self) -> None:
        sys.stdout.flush()

    def writable(self) -> bool:
        return True
