"""Rows in blocks, of arrays, files or a user's function: as often as asked, one block in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.training.npy import NpyColumns, release
from inntd.training.parquet import ParquetColumns
from inntd.training.rows import Rows, collect
from inntd.training.tables import NamedColumns

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Factory: TypeAlias = Callable[[], Iterable[Sequence[npt.ArrayLike]]]

CHUNK_BYTES = 64 * 2**20  # of float64 numbers, inputs and targets, that are in memory at a time


@dataclass(frozen=True)
class Block:
    """Some rows: their numbers (k,), inputs x (k, D), targets y (k, C), and weights (k,) or None."""

    rows: Index
    x: Array
    y: Array
    weights: Array | None = None

    def take(self, which: npt.NDArray[Any]) -> Block:
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[which]
        return Block(self.rows[which], self.x[which], self.y[which], weights)


class Batches(Protocol):
    """A table that is read in blocks.

    Attributes
    ----------
    names, targets : list of str, or None
        Of the columns of x and y, where they have names.
    width : int
        Number of columns of x.
    one_target : bool
        Whether y came as one vector.
    """

    names: list[str] | None
    targets: list[str] | None
    width: int
    one_target: bool

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield all rows once, the blocks in random order where that is possible and wanted."""
        ...

    def __len__(self) -> int:
        """Return the number of rows; a user's function is read once for it."""
        ...


class ArrayBatches:
    """Arrays x (K, D) and y (K,) or (K, C), memory-mapped ones mostly: never copied as a whole."""

    names: list[str] | None = None
    targets: list[str] | None = None

    def __init__(self, x: Any, y: Any) -> None:
        if np.ndim(x) != 2 or np.ndim(y) not in (1, 2) or len(y) != len(x):
            raise ValueError(
                f"X must have shape (K, D) and y shape (K,) or (K, C), with as many rows; got shapes {np.shape(x)} and "
                f"{np.shape(y)}"
            )
        self.x, self.y = x, y
        self.width, self.one_target = x.shape[1], np.ndim(y) == 1
        self.step = rows_at_once(x.shape[1] + (1 if self.one_target else y.shape[1]))

    def __len__(self) -> int:
        return len(self.x)

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield pieces, in random order if `random` is given."""
        starts = np.arange(0, len(self.x), self.step)
        for begin in (starts if random is None else random.permutation(starts)).tolist():
            block = _block(begin, self.x[begin : begin + self.step], self.y[begin : begin + self.step])
            release(self.x)
            release(self.y)
            yield block


class FileBatches:
    """Columns of a ``.parquet`` or ``.npy`` file, whose rows are read in blocks.

    Parameters
    ----------
    path : path
        Columns of a ``.npy`` file, a matrix, are called ``x0``, ``x1``, …
    targets : str or sequence of str
        The columns of y; of one name y is a vector.
    names : sequence of str, optional
        The columns of x; by default all others.

    Raises
    ------
    ValueError
        When a column is missing, or holds something else than numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "data.npy"), np.arange(6.0).reshape(2, 3))
    ...     batches = FileBatches(Path(folder, "data.npy"), ["x2"])
    ...     [block] = batches.blocks()
    >>> batches.names, block.x.tolist(), block.y.tolist()
    (['x0', 'x1'], [[0.0, 1.0], [3.0, 4.0]], [[2.0], [5.0]])
    """

    def __init__(
        self, path: str | os.PathLike[str], targets: str | Sequence[str], names: Sequence[str] | None = None
    ) -> None:
        file: NpyColumns | ParquetColumns = (
            NpyColumns(path) if Path(path).suffix.lower() == ".npy" else ParquetColumns(path)
        )
        self.path, self.file, self.one_target = Path(path), file, isinstance(targets, str)
        targets = [targets] if isinstance(targets, str) else list(targets)
        self.targets: list[str] | None = targets
        chosen = [name for name in file.names if name not in targets] if names is None else list(names)
        if not chosen or not targets:
            raise ValueError(f"{path}: no {'input' if targets else 'target'} is left; it has {', '.join(file.names)}")
        self.names: list[str] | None = chosen
        self.width = len(chosen)
        file.check([*chosen, *targets])

    def __len__(self) -> int:
        return len(self.file)

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield pieces; in random order, if `random` is given, as far as the file allows: by its row groups."""
        assert self.names is not None
        assert self.targets is not None
        columns = [*self.names, *self.targets]
        for begin, matrix in self.file.blocks(columns, rows_at_once(len(columns)), random):
            yield _block(begin, matrix[:, : len(self.names)], matrix[:, len(self.names) :])


class FactoryBatches:
    """A function that returns an iterable of (x, y) or (x, y, weights) at each call, the same rows each time.

    Small batches are joined: what is learnt from together is not to depend on how they were cut.
    """

    names: list[str] | None = None
    targets: list[str] | None = None

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        first = next(iter(factory()), None)
        if first is None or len(first) not in (2, 3):
            got = "an empty one" if first is None else f"a batch of {len(first)}"
            raise ValueError(f"X must return an iterable of (x, y) or (x, y, weights) anew at each call, got {got}")
        self.width, self.one_target = np.shape(first[0])[-1], np.ndim(first[1]) == 1
        self.several = np.shape(first[1])[1:]
        self.count: int | None = None

    def __len__(self) -> int:
        return self.count or sum(len(block.x) for block in self._batches())

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield the batches of one call, in their order, small ones joined."""
        waiting: list[Block] = []
        most = rows_at_once(self.width + int(np.prod(self.several)))
        for block in self._batches():
            waiting.append(block)
            if sum(len(one.x) for one in waiting) >= most:
                yield _joined(waiting)
                waiting = []
        if waiting:
            yield _joined(waiting)

    def _batches(self) -> Iterator[Block]:
        begin = 0
        for batch in self.factory():
            x, y = np.asarray(batch[0], dtype=np.float64), np.asarray(batch[1], dtype=np.float64)
            if x.ndim != 2 or x.shape[1] != self.width or y.shape != (len(x), *self.several):
                raise ValueError(
                    f"X must return batches (x, y) of shapes (k, {self.width}) and {('k', *self.several)}, as the "
                    f"first one; got shapes {x.shape} and {y.shape}"
                )
            block = _block(begin, x, y)
            if len(batch) > 2:
                weights = np.asarray(batch[2], dtype=np.float64)
                if weights.shape != (len(x),) or not np.isfinite(weights).all() or (weights < 0).any():
                    raise ValueError(
                        f"X must return weights of shape ({len(x)},), finite and not negative, got shape "
                        f"{weights.shape} with a least value of {weights.min() if weights.size else None}"
                    )
                block = replace(block, weights=weights)
            begin += len(x)
            if len(x):
                yield block
        if begin == 0 or self.count not in (None, begin):
            before = "a batch" if self.count is None else f"{self.count} rows"
            raise ValueError(
                f"X must return an iterable of the same rows anew at each call, got {before} at first, then {begin} "
                "rows: return a list or a new generator"
            )
        self.count = begin


class Without:
    """Batches without some of their rows."""

    def __init__(self, batches: Batches, rows: Index) -> None:
        self.batches, self.rows = batches, np.sort(rows)
        self.names, self.targets = batches.names, batches.targets
        self.width, self.one_target = batches.width, batches.one_target

    def __len__(self) -> int:
        return len(self.batches) - len(self.rows)

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield the others."""
        for block in self.batches.blocks(random):
            kept = block.take(~_among(block.rows, self.rows))
            if len(kept.x):
                yield kept


def read_rows(batches: Batches, rows: Index) -> Block:
    """Return some rows, in the batches' order, in one pass."""
    sought = np.sort(rows)
    return _joined([block.take(_among(block.rows, sought)) for block in batches.blocks()])


def as_rows(block: Block) -> Rows:
    """Return a block as what is trained on: repeated points are joined."""
    return collect(block.x, block.y, block.weights)[0]


def rows_at_once(width: int) -> int:
    """Return how many rows of so many columns are read at a time."""
    return max(1, CHUNK_BYTES // (8 * width))


def choose_rows(count: int, size: int, random: np.random.Generator) -> Index:
    """Return so many different row numbers below `count`, all if there are fewer."""
    return random.choice(count, min(size, count), replace=False).astype(np.int64)


def named(block: Block, batches: Batches) -> tuple[NamedColumns, NamedColumns]:
    """Return inputs and targets of a block with their names."""
    assert batches.names is not None
    assert batches.targets is not None
    return NamedColumns(block.x, batches.names), NamedColumns(block.y, batches.targets)


def _block(begin: int, x: Any, y: Any) -> Block:
    numbers = np.array(x, dtype=np.float64, order="C")
    values = np.array(y, dtype=np.float64, order="C").reshape(len(numbers), -1)
    return Block(np.arange(begin, begin + len(numbers), dtype=np.int64), numbers, values)


def _joined(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    weights = [np.ones(len(block.x)) if block.weights is None else block.weights for block in blocks]
    return Block(
        np.concatenate([block.rows for block in blocks]),
        np.concatenate([block.x for block in blocks]),
        np.concatenate([block.y for block in blocks]),
        None if all(block.weights is None for block in blocks) else np.concatenate(weights),
    )


def _among(rows: Index, sought: Index) -> npt.NDArray[np.bool_]:
    """Return which of the rows are among sorted others."""
    place = np.searchsorted(sought, rows)
    found: npt.NDArray[np.bool_] = np.append(sought, -1)[place] == rows
    return found
