"""The rows of the data: weights, duplicates, and which are held out for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SORTED_UP_TO = 100_000  # rows; below, the order of the rows changes nothing


@dataclass(frozen=True)
class Rows:
    """Points (K, D), values (K, C) and positive weights (K,) of mean one, or None where all are one."""

    x: Array
    y: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: npt.NDArray[np.int64]) -> Rows:
        """Return some of the rows."""
        return Rows(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])

    def mean_square(self, error: Array) -> float:
        """Return the weighted mean over rows of the squares (K, C), the mean over outputs."""
        return float(np.average((error**2).mean(axis=1), weights=self.weights))


def collect(x: Array, y: Array, weights: Array | None) -> tuple[Rows, int]:
    """Return the different points with their mean values and summed weights, and how many rows were repeated.

    Least squares does not tell a point that is repeated from one with that weight and the mean value; a leave-one-out
    estimate does, and would be too good. Rows of weight zero are left out. Up to 100,000 rows are sorted, so that
    their order changes nothing.

    Examples
    --------
    >>> rows, repeated = collect(np.array([[2.0], [1.0], [2.0]]), np.array([[5.0], [3.0], [7.0]]), None)
    >>> rows.x.ravel(), rows.y.ravel(), rows.weights, repeated
    (array([1., 2.]), array([3., 6.]), array([0.66666667, 1.33333333]), 1)
    """
    if weights is not None:
        used = weights > 0
        if not used.all():
            x, y, weights = x[used], y[used], weights[used]
        if len(weights) and (weights == weights[0]).all():
            weights = None
    group, count = _groups(x)
    if count < len(x):
        w = np.ones(len(x)) if weights is None else weights
        total: Array = np.bincount(group, w, count).astype(np.float64)
        mean = np.stack([np.bincount(group, w * column, count) for column in y.T], axis=1) / total[:, None]
        first = np.full(count, len(x))
        np.minimum.at(first, group, np.arange(len(x)))
        rows = Rows(x[first], mean, total)
    else:
        rows = Rows(x, y, weights)
    if len(rows) <= SORTED_UP_TO:
        rows = rows.take(np.lexsort(np.hstack([rows.x, rows.y]).T[::-1]))
    if rows.weights is not None:
        equal = bool((rows.weights == rows.weights[0]).all()) if len(rows) else True
        rows = Rows(rows.x, rows.y, None if equal else rows.weights / rows.weights.mean())
    return rows, len(x) - count


def hold_out(count: int, fraction: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows to train on and those to hold out, each in rising order; both have rows if there are two.

    Examples
    --------
    >>> train, held = hold_out(10, 0.2, seed=0)
    >>> len(train), len(held), sorted([*train, *held]) == list(range(10))
    (8, 2, True)
    """
    held = min(max(round(fraction * count), 1), count - 1) if fraction > 0 else 0
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def _groups(x: Array) -> tuple[npt.NDArray[np.int64], int]:
    """Return for each row the number of its group of equal rows, and the number of groups.

    Rows are compared by a 64-bit hash first, which tells almost always that none is repeated.
    """
    keys = _hashes(x)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(x):
        return np.arange(len(x)), len(x)
    if np.array_equal(x[first][group], x):
        return group.astype(np.int64), len(first)
    _, group = np.unique(x, axis=0, return_inverse=True)  # two different rows share a hash
    return group.reshape(-1).astype(np.int64), int(group.max()) + 1


def _hashes(x: Array) -> npt.NDArray[np.uint64]:
    bits = np.ascontiguousarray(x + 0.0).view(np.uint64)  # + 0.0: there is one zero
    key = np.full(len(x), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in bits.T:
        key = (key ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(29)
    return key
