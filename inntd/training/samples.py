r"""Samples sorted by element, for the normal equations of one axis of a CP model after the other.

On one element every basis function is a polynomial of degree q. The sums over its samples
:math:`\sum_k w_k\, N_a(x_k) N_b(x_k)\, g_k g_k^T` that alternating least squares needs, for all pairs of functions, are
therefore combinations of the 2q + 1 sums :math:`\sum_k w_k\, P_j(x_k)\, g_k g_k^T` with Legendre polynomials: one dense
product per element. Where an axis takes few distinct values, as on a grid, the samples of one value have one row of
the basis, and one sum is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from inntd._kernels import core
from inntd.axes import Axis

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

NUMBERS_AT_ONCE = 1 << 18  # in the largest array of a block of samples: it stays in the cache


@dataclass(frozen=True)
class Groups:
    """The samples of one axis in groups: those of one element, or those of one value.

    Attributes
    ----------
    order : array (K,)
        The samples, sorted by group.
    bounds : array (groups + 1,)
        Where each group begins in `order`.
    first : array (groups,)
        Of each group, the first basis function that does not vanish.
    local : array (K,) or None
        Local coordinates in [-1, 1] of the sorted samples; None where the groups are values.
    rows : array (groups, width, p)
        The basis functions by their coefficients of the first p Legendre polynomials.
    products : array (groups, width, width, J)
        The products of two basis functions, likewise.
    place : array (K,) or None
        The group of each sample where the groups are values.
    """

    order: Index
    bounds: Index
    first: Index
    local: Array | None
    rows: Array
    products: Array
    place: Index | None

    def blocks(self, numbers: int) -> Iterator[tuple[int, int, int]]:
        """Yield (group, begin, end) for blocks of sorted samples with so many numbers each."""
        most = max(1, NUMBERS_AT_ONCE // numbers)
        for group, (low, high) in enumerate(zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True)):
            for begin in range(low, high, most):
                yield group, begin, min(begin + most, high)

    def polynomials(self, begin: int, end: int, count: int) -> Array:
        """Return the first `count` Legendre polynomials (end - begin, count) at sorted samples."""
        if self.local is None:
            return np.ones((end - begin, 1))
        polynomials: Array = legendre.legvander(self.local[begin:end], count - 1).astype(np.float64, copy=False)
        return polynomials

    def functions(self, factor: Array) -> Array:
        """Return the modes of a factor (size, M) in each group by their polynomial coefficients (groups, p, M)."""
        width = self.rows.shape[1]
        values = factor[(self.first[:, None] + np.arange(width)) % len(factor)]  # (groups, width, M)
        found: Array = np.einsum("gap,gam->gpm", self.rows, values)
        return found


def group(axis: Axis, x: Array) -> Groups:
    """Return the samples x (K,) of one axis in groups: by value where that leaves less to compute, else by element."""
    levels, place = np.unique(x, return_inverse=True)
    degree, width = axis.table.degree, axis.table.width
    # By value: one sum per sample, and width**2 products per value. By element: 2 * degree + 1 sums per sample.
    if len(levels) * width**2 <= 2 * degree * len(x) or axis.discrete:
        return _by_value(axis, levels, place.reshape(-1).astype(np.int64))
    return _by_element(axis, x)


def _by_value(axis: Axis, levels: Array, place: Index) -> Groups:
    index, values = axis.tabulate(levels)
    order = np.argsort(place, kind="stable").astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(levels)))]).astype(np.int64)
    products = values[:, :, None] * values[:, None, :]
    return Groups(order, bounds, index[:, 0].copy(), None, values[:, :, None], products[..., None], place)


def _by_element(axis: Axis, x: Array) -> Groups:
    table = axis.table
    piece = np.empty(len(x), dtype=np.int64)
    core.tabulate(table, x, piece, np.empty((len(x), table.width)), 0)
    order = np.argsort(piece, kind="stable").astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(piece, minlength=table.pieces))]).astype(np.int64)
    low, high = table.breaks[:-1], table.breaks[1:]
    which = piece[order]
    local = (2 * x[order] - low[which] - high[which]) / (high - low)[which]
    rows, products = _expansions(axis, low, high)
    return Groups(order, bounds, table.first.astype(np.int64), np.clip(local, -1, 1), rows, products, None)


def _expansions(axis: Axis, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the basis functions of all elements, and their products, in Legendre polynomials: by Gauss quadrature."""
    degree = axis.table.degree
    nodes, weights = legendre.leggauss(2 * degree + 1)
    points = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * nodes
    _, values = axis.tabulate(points.reshape(-1))
    values = values.reshape(len(low), len(nodes), -1)
    norm = (2 * np.arange(2 * degree + 1) + 1) / 2
    project = legendre.legvander(nodes, 2 * degree) * weights[:, None] * norm
    rows = np.einsum("gna,np->gap", values, project[:, : degree + 1])
    products = np.einsum("gna,gnb,nj->gabj", values, values, project, optimize=True)
    return rows, products
