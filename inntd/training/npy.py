"""Matrices in ``.npy`` files, mapped into memory: their columns are called x0, x1, …"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.listing import missing_columns

Array = npt.NDArray[np.float64]


class NpyColumns:
    """A ``.npy`` file with a matrix, whose rows are read in blocks.

    Raises
    ------
    ValueError
        When the file holds something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "data.npy"), np.eye(3))
    ...     file = NpyColumns(Path(folder, "data.npy"))
    >>> file.names, [(begin, block.tolist()) for begin, block in file.blocks(["x1"], 2)]
    (['x0', 'x1', 'x2'], [(0, [[0.0], [1.0]]), (2, [[0.0]])])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.array = map_matrix(self.path)
        self.names = [f"x{d}" for d in range(self.array.shape[1])]

    def __len__(self) -> int:
        return len(self.array)

    def check(self, columns: Sequence[str]) -> None:
        """Raise for columns that are missing."""
        missing_columns(self.path, columns, self.names)

    def blocks(
        self, columns: Sequence[str], rows: int, random: np.random.Generator | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Yield the number of the first row and a matrix of numbers, at most so many rows at a time."""
        chosen = [self.names.index(name) for name in columns]
        starts = np.arange(0, len(self.array), rows)
        for begin in (starts if random is None else random.permutation(starts)).tolist():
            block = self.array[begin : begin + rows, chosen].astype(np.float64)
            release(self.array)
            yield begin, block


def release(array: Any) -> None:
    """Let the system take back the pages of a file that is mapped read-only: they would count as this process's."""
    pages: Any = getattr(array, "_mmap", None)
    if getattr(array, "mode", None) == "r" and hasattr(pages, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def map_matrix(path: Path) -> npt.NDArray[Any]:
    """Return the matrix in a file, mapped into memory."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is no readable .npy file: {error}") from None
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise ValueError(f"{path} must hold a matrix of real numbers, got shape {array.shape} of {array.dtype}")
    return array
