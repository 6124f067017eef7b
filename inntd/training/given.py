"""What `fit` is given in place of arrays: paths of tables, memory-mapped arrays, factories of batches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inntd.training.batches import ArrayBatches, Batches, FactoryBatches, FileBatches
from inntd.training.large import is_large
from inntd.training.npy import NpyColumns
from inntd.training.parquet import ParquetColumns
from inntd.training.tables import NamedColumns, read_table

IN_BLOCKS = (".parquet", ".npy")  # files that need not be read as a whole


def open_batches(X: Any, y: Any) -> Batches | None:
    """Return the data in blocks, or None where they are to be in memory."""
    if hasattr(X, "blocks") or (callable(X) and not hasattr(X, "shape")):
        if y is not None:
            raise ValueError("y must be None when X is a factory of batches (x, y[, weights])")
        found: Batches = X if hasattr(X, "blocks") else FactoryBatches(X)
        return found
    if isinstance(X, str | os.PathLike):
        return FileBatches(X, y if isinstance(y, str) else target_columns(X, y)) if file_is_large(X) else None
    if isinstance(X, np.memmap) and X.ndim == 2 and is_large(*X.shape) and y is not None:
        return ArrayBatches(X, y)
    return None


def open_table(X: Any, y: Any) -> tuple[Any, Any]:
    """Return inputs and targets of a small file; other data as they are."""
    if not isinstance(X, str | os.PathLike):
        return X, y
    targets = target_columns(X, y)
    table = read_table(X)
    inputs = [name for name in table.names if name not in targets]
    if not inputs:
        raise ValueError(f"{X}: no input is left beside the targets {', '.join(targets)}")
    chosen = table.select(targets)
    return table.select(inputs), NamedColumns(chosen.values[:, 0], targets) if isinstance(y, str) else chosen


def file_is_large(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is to be read in blocks: by its numbers, which a CSV file does not tell."""
    suffix = Path(path).suffix.lower()
    if suffix not in IN_BLOCKS or not Path(path).is_file():
        return False
    file = NpyColumns(path) if suffix == ".npy" else ParquetColumns(path)
    return is_large(len(file), len(file.names))


def target_columns(path: Any, y: Any) -> list[str]:
    """Return the names of target columns, or raise."""
    names = [y] if isinstance(y, str) else y
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"y must be the name of a column of {path}, or a list of names, got {y!r}")
    return list(names)
