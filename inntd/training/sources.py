"""Where the samples of an optimiser come from: arrays, or batches that are read anew in each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.batches import ArrayBatches, Batches, Block, FactoryBatches, Without, choose_rows, read_rows
from inntd.training.mesh import warn_of_fine_meshes
from inntd.training.samples import check_samples

Array = npt.NDArray[np.float64]

MOST_HELD_OUT = 100_000  # rows of batches


@dataclass(frozen=True)
class Chunk:
    """Samples that are in memory together: x (K, D), y (K, C) and weights (K,) or None."""

    x: Array
    y: Array
    weights: Array | None


class Source(Protocol):
    """Samples in chunks."""

    @property
    def fixed(self) -> bool:
        """Whether there is one chunk, the same in every epoch."""
        ...

    @property
    def one_target(self) -> bool:
        """Whether the values came as one vector."""
        ...

    @property
    def size(self) -> int:
        """Number of samples of an epoch."""
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
        warn_of_fine_meshes(axes, columns)
        points = np.stack(columns, 1)
        held = random.permutation(len(points))[: int(len(points) * fraction)]
        self.one_target = np.ndim(y) == 1
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


class Streamed:
    """Batches, read once per epoch, their blocks in random order where that is possible; some rows are held out."""

    fixed = False

    def __init__(self, axes: Sequence[Axis], batches: Batches, fraction: float, random: np.random.Generator) -> None:
        self.axes, self.one_target, count = axes, batches.one_target, len(batches)
        self.unit = 1.0  # the mean weight of the first rows that were read: weights count across blocks
        self.known = False
        held = choose_rows(count, min(int(fraction * count), MOST_HELD_OUT), random)
        block = read_rows(batches, held) if len(held) else None
        self.held = None if block is None or not len(block.x) else self._chunk(block)
        self.batches: Batches = Without(batches, held) if len(held) else batches
        self.size = count - len(held)

    def chunks(self, random: np.random.Generator) -> Iterator[Chunk]:
        """Yield the blocks of one pass."""
        for block in self.batches.blocks(random):
            yield self._chunk(block)

    def validation(self) -> Chunk | None:
        """Return the rows held out."""
        return self.held

    def _chunk(self, block: Block) -> Chunk:
        columns, values, _ = check_samples(self.axes, block.x, block.y, block.weights)
        if block.weights is None:
            return Chunk(np.stack(columns, 1), values, None)
        if not self.known:
            self.unit, self.known = float(block.weights.mean()), True
        return Chunk(np.stack(columns, 1), values, block.weights / self.unit)


def make_source(
    axes: Sequence[Axis], x: Any, y: Any, weights: Any, fraction: float, random: np.random.Generator
) -> Source:
    """Return the source that fits the arguments of an optimiser."""
    if hasattr(x, "blocks") or callable(x):
        if y is not None or weights is not None:
            raise ValueError("y and weights must be None when x is a factory of batches (x, y[, weights])")
        return Streamed(axes, x if hasattr(x, "blocks") else FactoryBatches(x), fraction, random)
    if isinstance(x, np.memmap):
        if weights is not None:
            raise ValueError("weights must be None for memory-mapped x: use a factory of batches (x, y, weights)")
        return Streamed(axes, ArrayBatches(x, y), fraction, random)
    return InMemory(axes, x, y, weights, fraction, random)
