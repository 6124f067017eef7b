"""Basis functions of one axis at the Gauss points of its elements, restricted to what conditions leave free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse

from inntd.axes import Axis
from inntd.axes.quadrature import quadrature_points
from inntd.pinn.constraints import AxisConstraints

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AxisPoints:
    """Gauss points of an axis with the basis there.

    Parameters
    ----------
    axis
        Where.
    count
        Gauss points per element.
    order
        The highest derivative that is tabulated.
    """

    axis: Axis
    count: int
    order: int

    @cached_property
    def rule(self) -> tuple[Array, Array]:
        """Points and weights (elements, count)."""
        points, weights = quadrature_points(self.axis, 2 * self.count - 2)
        return points.reshape(-1, self.count), weights.reshape(-1, self.count)

    @property
    def points(self) -> Array:
        """Coordinates (elements, count)."""
        return self.rule[0]

    @property
    def weights(self) -> Array:
        """Gauss weights (elements, count)."""
        return self.rule[1]

    @property
    def elements(self) -> int:
        """Number of elements; pieces of the basis, strictly."""
        return len(self.points)

    @cached_property
    def index(self) -> Integers:
        """Functions that do not vanish on each element (elements, width)."""
        index, _ = self.axis.tabulate(self.points.reshape(-1))
        return index.reshape(self.elements, self.count, -1)[:, 0]

    @cached_property
    def values(self) -> Array:
        """Values and derivatives (order + 1, elements, count, width)."""
        x = self.points.reshape(-1)
        tabulated = [self.axis.tabulate(x, k)[1] for k in range(self.order + 1)]
        return np.stack(tabulated).reshape(self.order + 1, self.elements, self.count, -1)

    def matrix(self, order: int) -> scipy.sparse.csr_array:
        """Return the matrix (elements * count, size) from nodal values to values or derivatives at the points."""
        rows = np.repeat(np.arange(self.elements * self.count), self.index.shape[1])
        columns = np.repeat(self.index, self.count, axis=0).reshape(-1)
        shape = self.elements * self.count, self.axis.size
        return scipy.sparse.coo_array((self.values[order].reshape(-1), (rows, columns)), shape=shape).tocsr()


@dataclass(frozen=True)
class FreeTable:
    """The functions that changes of free nodal values make, element by element.

    A fixed node has none; a node that follows from its neighbours adds its own to theirs.

    Attributes
    ----------
    index
        Nodes (elements, width); repeated where an element has fewer, with zero values.
    values
        Values and derivatives (order + 1, elements, count, width).
    extension
        The matrix (size, size) from free nodal values to all of them.
    """

    index: Integers
    values: Array
    extension: scipy.sparse.csr_array


def free_table(points: AxisPoints, constraints: AxisConstraints) -> FreeTable:
    """Return the functions of the free nodes of an axis.

    Examples
    --------
    >>> import inntd as it
    >>> points = AxisPoints(it.Axis("x", 0, 1, elements=4, s=1), 2, 1)
    >>> table = free_table(points, AxisConstraints(fixed=(0,)))
    >>> table.extension.toarray()[:, 0].tolist(), table.values[0, 0, :, 0].tolist()
    ([0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0])
    """
    size = points.axis.size
    extension = scipy.sparse.eye_array(size).tolil()
    for node in constraints.fixed:
        extension[node, node] = 0.0
    for follower in constraints.dependent:
        extension[follower.node, follower.node] = 0.0
        for other in np.flatnonzero(follower.weights):
            if other not in constraints.fixed:
                extension[follower.node, other] = -follower.weights[other]
    compact = extension.tocsr()
    compact.eliminate_zeros()
    if not constraints.fixed and not constraints.dependent:
        return FreeTable(points.index, points.values, compact)
    index, values = points.index.copy(), points.values.copy()
    values *= compact.diagonal()[index][:, None, :]
    followers = {follower.node: follower for follower in constraints.dependent}
    touched = np.flatnonzero(np.isin(index, list(followers)).any(axis=1))
    columns = {e: _columns(index[e], followers, compact) for e in touched}
    width = max([index.shape[1], *map(len, columns.values())])
    index, values = _padded(index, values, width)
    for e, nodes in columns.items():
        own = compact[points.index[e]][:, nodes].toarray()
        values[:, e] = 0.0
        values[:, e, :, : len(nodes)] = points.values[:, e] @ own
        index[e] = nodes[0]
        index[e, : len(nodes)] = nodes
    return FreeTable(index, values, compact)


def _columns(index: Integers, followers: Mapping[int, object], extension: scipy.sparse.csr_array) -> Integers:
    more = [
        extension.indices[extension.indptr[node] : extension.indptr[node + 1]] for node in index if node in followers
    ]
    return np.unique(np.concatenate([[node for node in index if node not in followers], *more]).astype(np.int64))


def _padded(index: Integers, values: Array, width: int) -> tuple[Integers, Array]:
    extra = width - index.shape[1]
    index = np.concatenate([index, np.repeat(index[:, :1], extra, axis=1)], axis=1)
    return index, np.concatenate([values, np.zeros((*values.shape[:-1], extra))], axis=-1)
