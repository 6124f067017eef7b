"""Where a table has no rows: gaps within columns, and empty cells of two columns together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CONTINUOUS = 100  # distinct values from which on a column is no grid of levels
WIDE = 0.04  # of a column's range: narrower gaps are the mesh's business
BESIDE = 0.02  # of the rows lie on either side of a gap: tails are none
CHANCE = 1e-6  # probability that evenly spread rows leave such a gap or cell empty
BINS = 6  # of each column of a pair, with as many rows each
MOST_ROWS = 20_000
MOST_PAIRS = 45


def gaps(x: Array, names: Sequence[str]) -> list[str]:
    """Return what rows (K, D) leave out, in words; an empty list if they cover the box of their ranges well.

    Columns of few distinct values have no gaps: their meshes end at their levels.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((5000, 2))
    >>> gaps(x, ["a", "b"])
    []
    >>> gaps(x[np.abs(x[:, 0] - 0.5) > 0.05], ["a", "b"])
    ["no rows between 0.45 and 0.55 of 'a'"]
    >>> gaps(x[x.sum(1) < 1.2], ["a", "b"])
    ["14% of the cells of 'a' and 'b' have no rows"]
    """
    part = x[:: -(-len(x) // MOST_ROWS)]
    continuous = [d for d, column in enumerate(part.T) if len(np.unique(column)) >= min(CONTINUOUS, len(part) // 2)]
    found = [text for d in continuous for text in _of_column(np.sort(part[:, d]), names[d])]
    for a, b in list(combinations(continuous, 2))[:MOST_PAIRS]:
        found += _of_pair(part[:, [a, b]], names[a], names[b])
    return found


def _of_column(values: Array, name: str) -> list[str]:
    """Return the widest gap of sorted values, if it is one that chance would not leave."""
    steps, extent = np.diff(values), values[-1] - values[0]
    tail = int(BESIDE * len(values))
    widest = tail + int(np.argmax(steps[tail : len(steps) - tail]))
    share = steps[widest] / extent if extent > 0 else 0.0
    # Beside the gap rows may be as sparse as in its own neighbourhood, a tenth of the rows on either side.
    near = max(len(values) // 10, 1)
    low, high = max(widest - near, 0), min(widest + 1 + near, len(values) - 1)
    local = (values[widest] - values[low] + values[high] - values[widest + 1]) / max(high - low - 1, 1)
    if share < WIDE or local * np.log(len(values) / CHANCE) > steps[widest]:
        return []
    return [f"no rows between {values[widest]:.3g} and {values[widest + 1]:.3g} of {name!r}"]


def _of_pair(x: Array, first: str, second: str) -> list[str]:
    """Return how many cells of equally full bins are empty where chance leaves none."""
    if len(x) < BINS**2 * -np.log(CHANCE / BINS**2):
        return []
    low, high = x.min(axis=0), x.max(axis=0)
    cell = np.minimum((BINS * (x - low) / np.where(high > low, high - low, 1)).astype(np.int64), BINS - 1)
    counts = np.bincount(cell[:, 0] * BINS + cell[:, 1], minlength=BINS**2).reshape(BINS, BINS)
    expected = np.outer(counts.sum(1), counts.sum(0)) / len(x)
    empty = int(np.count_nonzero((counts == 0) & (np.exp(-expected) < CHANCE / BINS**2)))
    if not empty:
        return []
    return [f"{empty / BINS**2:.0%} of the cells of {first!r} and {second!r} have no rows"]
