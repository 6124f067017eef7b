"""An ordering of nodes on a tensor grid that keeps neighbours together, for banded factorisation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ordering:
    """Where each node of a grid stands in the long vector.

    Parameters
    ----------
    places
        For each axis, its contribution to the position (n_d,).
    size
        Number of nodes, all components counted.
    half_bandwidth
        The largest distance of two nodes that share an element.
    """

    places: tuple[Integers, ...]
    size: int
    half_bandwidth: int

    def positions(self, components: int) -> Integers:
        """Return the positions (components, n_1, ..., n_D) of all nodes."""
        total: Integers = np.arange(components).reshape(-1, *[1] * len(self.places))
        for d, places in enumerate(self.places):
            shape = [1] * (len(self.places) + 1)
            shape[d + 1] = -1
            total = total + places.reshape(shape)
        return total


def order_nodes(sizes: Sequence[int], elements: Sequence[Sequence[Integers]], components: int) -> Ordering:
    """Choose the order of the axes with the narrowest band; rings are folded, so that their ends meet.

    Parameters
    ----------
    sizes
        Nodes n_d per axis.
    elements
        Per axis, for each component, the nodes (elements, width) that share an element.
    components
        How many values a node has; they stand side by side.

    Examples
    --------
    >>> chain = np.stack([np.arange(9), np.arange(1, 10)], axis=1)
    >>> order_nodes([10, 4], [[chain], [chain[:3]]], 1).half_bandwidth  # 4 nodes to the next column, and one
    5
    >>> ring = np.stack([np.arange(10), (np.arange(10) + 1) % 10], axis=1)
    >>> order_nodes([10], [[ring]], 1).half_bandwidth
    2
    """
    local, spreads = [], []
    for size, parts in zip(sizes, elements, strict=True):
        candidates = [np.arange(size), _folded(size)]
        widths = [max(_spread(places[part]) for part in parts) for places in candidates]
        best = int(np.argmin(widths))
        local.append(candidates[best])
        spreads.append(widths[best])
    choices = itertools.permutations(range(len(sizes)))
    best_band, best_strides = min(_band(axes, sizes, spreads, components) for axes in choices)
    places = tuple(places * stride for places, stride in zip(local, best_strides, strict=True))
    return Ordering(places, int(np.prod(sizes)) * components, best_band)


def _band(axes: Sequence[int], sizes: Sequence[int], spreads: Sequence[int], components: int) -> tuple[int, list[int]]:
    """Return the half bandwidth and the strides of the axes, the first of `axes` being the slowest."""
    strides = [0] * len(sizes)
    stride = components
    for d in reversed(axes):
        strides[d] = stride
        stride *= sizes[d]
    return sum(spread * stride for spread, stride in zip(spreads, strides, strict=True)) + components - 1, strides


def _spread(places: Integers) -> int:
    return int((places.max(axis=1) - places.min(axis=1)).max())


def _folded(size: int) -> Integers:
    """Return the places 0, 2, 4, ..., 5, 3, 1 of a ring folded flat."""
    places = 2 * np.arange(size)
    back = places >= size
    places[back] = 2 * (size - 1 - np.arange(size)[back]) + 1
    return places
