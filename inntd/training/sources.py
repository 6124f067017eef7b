"""Where samples come from: arrays, memory-mapped files, or a factory of batches; one pass is one epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.samples import check_samples

Array = npt.NDArray[np.float64]
CHUNK_BYTES = 64 * 2**20  # of a memory-mapped file that are in memory at a time, as float64


@dataclass(frozen=True)
class Chunk:
    """Samples that are in memory together: x (K, D), y (K, C) and weights (K,) or None."""

    x: Array
    y: Array
    weights: Array | None


Batches: TypeAlias = Callable[[], Iterable[Sequence[npt.ArrayLike]]]


class Source(Protocol):
    """Samples in chunks."""

    @property
    def fixed(self) -> bool:
        """Whether there is one chunk, the same in every epoch."""
        ...

    @property
    def size(self) -> int | None:
        """Number of samples of an epoch; None where only a pass can tell."""
        ...

    def chunks(self, random: np.random.Generator) -> Iterator[Chunk]:
        """Yield all samples once."""
        ...

    def validation(self) -> Chunk | None:
        """Return the samples held out."""
        ...


class InMemory:
    """Arrays; a random share is held out."""

    fixed = True

    def __init__(
        self, axes: Sequence[Axis], x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None,
        fraction: float, random: np.random.Generator,
    ) -> None:  # fmt: skip
        columns, values, shares = check_samples(axes, x, y, weights)
        points = np.stack(columns, 1)
        held = held_out(len(points), fraction, random)
        self.held = Chunk(points[held], values[held], shares[held]) if len(held) else None
        kept = np.delete(np.arange(len(points)), held) if len(held) else slice(None)
        share = None if weights is None else shares[kept] / shares[kept].mean()
        self.chunk = Chunk(np.ascontiguousarray(points[kept]), np.ascontiguousarray(values[kept]), share)

    @property
    def size(self) -> int:
        """Number of samples to train on."""
        return len(self.chunk.x)

    def chunks(self, random: np.random.Generator) -> Iterator[Chunk]:
        """Yield everything at once."""
        yield self.chunk

    def validation(self) -> Chunk | None:
        """Return the samples held out."""
        return self.held


class Mapped:
    """Memory-mapped arrays x (K, D) and y (K,) or (K, C), read in pieces whose order changes; rows are held out."""

    fixed = False

    def __init__(
        self, axes: Sequence[Axis], x: Any, y: Any, fraction: float, random: np.random.Generator
    ) -> None:  # fmt: skip
        if x.ndim != 2 or x.shape[1] != len(axes) or len(y) != len(x):
            raise ValueError(
                f"x must have shape (K, {len(axes)}) and y K rows, got shapes {tuple(x.shape)} and {tuple(y.shape)}"
            )
        self.axes, self.x, self.y = axes, x, y
        self.rows = max(1, CHUNK_BYTES // (8 * (x.shape[1] + (1 if y.ndim == 1 else y.shape[1]))))
        self.held = np.sort(held_out(len(x), min(fraction, 1e5 / len(x)), random))

    @property
    def size(self) -> int:
        """Number of samples to train on."""
        return len(self.x) - len(self.held)

    def chunks(self, random: np.random.Generator) -> Iterator[Chunk]:
        """Yield pieces of the file in random order."""
        starts = np.arange(0, len(self.x), self.rows)
        for start in random.permutation(starts):
            stop = min(start + self.rows, len(self.x))
            first, last = np.searchsorted(self.held, [start, stop])
            yield self._read(np.delete(np.arange(start, stop), self.held[first:last] - start))

    def validation(self) -> Chunk | None:
        """Return the rows held out."""
        return self._read(self.held) if len(self.held) else None

    def _read(self, rows: npt.NDArray[np.int64]) -> Chunk:
        columns, values, _ = check_samples(self.axes, self.x[rows], self.y[rows], None)
        return Chunk(np.stack(columns, 1), values, None)


class Factory:
    """A function that returns an iterable of (x, y) or (x, y, weights) for each epoch. Nothing is held out."""

    fixed = False
    size = None

    def __init__(self, axes: Sequence[Axis], batches: Batches) -> None:
        self.axes, self.batches = axes, batches

    def chunks(self, random: np.random.Generator) -> Iterator[Chunk]:
        """Yield the batches of one pass."""
        found = False
        for batch in self.batches():
            columns, values, shares = check_samples(self.axes, batch[0], batch[1], batch[2] if len(batch) > 2 else None)
            found = True
            yield Chunk(np.stack(columns, 1), values, shares if len(batch) > 2 else None)
        if not found:
            raise ValueError("x must return an iterable of (x, y) anew at each call, got an empty one")

    def validation(self) -> Chunk | None:
        """Return None."""
        return None


def make_source(
    axes: Sequence[Axis], x: Any, y: Any, weights: Any, fraction: float, random: np.random.Generator
) -> Source:
    """Return the source that fits the arguments of an optimiser."""
    if callable(x):
        if y is not None or weights is not None:
            raise ValueError("y and weights must be None when x is a factory of batches (x, y[, weights])")
        return Factory(axes, x)
    if isinstance(x, np.memmap):
        if weights is not None:
            raise ValueError("weights must be None for memory-mapped x: use a factory of batches (x, y, weights)")
        return Mapped(axes, x, y, fraction, random)
    return InMemory(axes, x, y, weights, fraction, random)


def held_out(count: int, fraction: float, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the numbers of the samples held out."""
    return random.permutation(count)[: int(count * fraction)]
