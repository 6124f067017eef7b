"""Parquet files row group by row group: columns of numbers in blocks, and tables written block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.listing import missing_columns
from inntd.training.tables import column_values, need_pyarrow

Array = npt.NDArray[np.float64]


class ParquetColumns:
    """A Parquet file whose rows are read in blocks.

    Raises
    ------
    ValueError
        When the file is none, or has no rows.
    ImportError
        When pyarrow is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} does not exist" if not self.path.exists() else f"{path} is no file")
        arrow, parquet = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.parquet")
        try:
            with parquet.ParquetFile(self.path) as file:
                self.schema, self.metadata = file.schema_arrow, file.metadata
        except arrow.ArrowInvalid as error:
            raise ValueError(f"{self.path} is no readable Parquet file: {error}") from None
        if self.metadata.num_rows == 0:
            raise ValueError(f"{self.path} has no rows")

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.schema.names]

    def __len__(self) -> int:
        return int(self.metadata.num_rows)

    def check(self, columns: Sequence[str]) -> None:
        """Raise for columns that are missing or hold text."""
        missing_columns(self.path, columns, self.names)
        types = need_pyarrow("pyarrow").types
        for name in columns:
            kind = self.schema.field(name).type
            kind = kind.value_type if types.is_dictionary(kind) else kind
            if types.is_string(kind) or types.is_large_string(kind):
                raise ValueError(
                    f"{self.path}, column {name!r}: it holds text, and the file is too large to be read whole; leave "
                    "the column out, replace the words by numbers, or take a part of the rows"
                )

    def tables(self, columns: Sequence[str], rows: int, random: np.random.Generator | None) -> Iterator[Any]:
        """Yield the number of the first row and a table of pyarrow, row groups in random order if asked."""
        ends = np.cumsum([self.metadata.row_group(g).num_rows for g in range(self.metadata.num_row_groups)])
        order = np.arange(len(ends)) if random is None else random.permutation(len(ends))
        arrow, parquet = need_pyarrow("pyarrow"), need_pyarrow("pyarrow.parquet")
        try:
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20) as file:
                for group in order.tolist():
                    begin = int(ends[group - 1]) if group else 0
                    for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns), use_threads=False):
                        yield begin, arrow.Table.from_batches([batch])
                        begin += batch.num_rows
        except (arrow.ArrowInvalid, OSError) as error:
            raise ValueError(f"{self.path} is no readable Parquet file: {error}") from None

    def blocks(
        self, columns: Sequence[str], rows: int, random: np.random.Generator | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Yield the number of the first row and a matrix of numbers, at most so many rows at a time."""
        for begin, batch in self.tables(columns, rows, random):
            matrix = np.empty((batch.num_rows, len(columns)))
            for d, name in enumerate(columns):
                matrix[:, d] = column_values(self.path, name, batch.column(name), ".parquet", text=False)
            yield begin, matrix
