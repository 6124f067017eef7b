r"""Samples sorted by element, for the normal equations of one axis of a CP model after the other.

On one element every basis function is a polynomial of degree q. The sums over its samples
:math:`\sum_k w_k\, N_a(x_k) N_b(x_k)\, g_k g_k^T` that alternating least squares needs, for all pairs of functions, are
therefore combinations of the 2q + 1 sums :math:`\sum_k w_k\, P_j(x_k)\, g_k g_k^T` with Legendre polynomials: one dense
product per element. Where an axis takes few distinct values, as on a grid, the samples of one value have one row of
the basis, and one sum is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from inntd import _checks
from inntd.axes import Axis
from inntd.models.factors import check_axes

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Values of a function at points.

    Attributes
    ----------
    x : list of D arrays (K,)
        Coordinates.
    y : array (K, C)
        Values of C outputs.
    weights : array (K,)
        Of mean one.
    """

    x: list[Array]
    y: Array
    weights: Array

    @classmethod
    def checked(
        cls, axes: Sequence[Axis], x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None
    ) -> Samples:
        """Return what users give as samples, or raise."""
        axes = check_axes(axes)
        points = _checks.real_array("x", x)
        if points.ndim != 2 or points.shape[1] != len(axes) or len(points) == 0:
            raise ValueError(
                f"x must have shape (K, {len(axes)}), one column per axis, with K >= 1; got shape {points.shape}"
            )
        k = len(points)
        values = _checks.real_array("y", y)
        if values.ndim not in (1, 2) or len(values) != k or values.size == 0:
            raise ValueError(f"y must have shape ({k},) or ({k}, C), got shape {values.shape}")
        _refuse_odd("y", values)
        _checks.usual_size("y", values)
        for d, axis in enumerate(axes):
            _refuse_odd(f"column {d} of x, axis {axis.name!r},", points[:, d])
        shares = np.ones(k) if weights is None else _checks.finite_vector("weights", weights)
        if shares.shape != (k,) or shares.min() < 0 or shares.sum() <= 0:
            raise ValueError(f"weights must be {k} non-negative numbers, not all zero; got shape {shares.shape}")
        columns = [axis.check_points(points[:, d], "x") for d, axis in enumerate(axes)]
        return cls(columns, np.ascontiguousarray(values.reshape(k, -1)), shares / shares.mean())

    def __len__(self) -> int:
        return len(self.y)

    def take(self, which: Index) -> Samples:
        """Return some of the samples."""
        weights = self.weights[which]
        mean = weights.mean() if len(weights) else 0.0
        return Samples([x[which] for x in self.x], self.y[which], weights / mean if mean > 0 else np.ones(len(which)))


def _refuse_odd(what: str, values: Array) -> None:
    """Raise for numbers that are not finite."""
    odd = np.argwhere(~np.isfinite(values))
    if len(odd):
        raise ValueError(
            f"{what} must be finite, got {len(odd)} NaN or infinite of {values.size} values, the first in row "
            f"{int(odd[0, 0])}: drop those samples"
        )


@dataclass(frozen=True)
class Groups:
    """The samples of one axis in groups: those of one element, or those of one value.

    Attributes
    ----------
    place : array (K,) of int32
        The group of each sample.
    order : array (K,)
        The samples, sorted by group.
    bounds : array (groups + 1,)
        Where each group begins in `order`.
    first : array (groups,)
        Of each group, the first basis function that does not vanish.
    local : array (K,), or (0,) where the groups are values
        Local coordinates of the samples, in [-1, 1].
    rows : array (groups, width, p)
        The basis functions by their coefficients of the first p Legendre polynomials; p = 1 for values.
    products : array (groups, width, width, J)
        The products of two basis functions, likewise.
    """

    place: npt.NDArray[np.int32]
    order: Index
    bounds: Index
    first: Index
    local: Array
    rows: Array
    products: Array

    def functions(self, factor: Array) -> Array:
        """Return the modes of a factor (size, M) in each group by their polynomial coefficients (groups, p, M)."""
        width = self.rows.shape[1]
        values = factor[(self.first[:, None] + np.arange(width)) % len(factor)]  # (groups, width, M)
        return np.ascontiguousarray(np.matmul(self.rows.transpose(0, 2, 1), values))


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
    products = values[:, :, None, None] * values[:, None, :, None]
    return Groups(*_sorted(place, len(levels)), index[:, 0].copy(), np.zeros(0), values[:, :, None], products)


def _by_element(axis: Axis, x: Array) -> Groups:
    table = axis.table
    piece = np.searchsorted(table.breaks[1:-1], x, side="right")
    low, high = table.breaks[:-1], table.breaks[1:]
    local = np.clip((2 * x - low[piece] - high[piece]) / (high - low)[piece], -1, 1)
    return Groups(*_sorted(piece, table.pieces), table.first, local, *_expansions(axis, low, high))


def _sorted(place: Index, count: int) -> tuple[npt.NDArray[np.int32], Index, Index]:
    """Return the groups of all samples, the samples sorted by group, and where each group begins."""
    short = place.astype(np.int16 if count < 2**15 else np.int32)  # numbers of 16 bits are sorted by their digits
    order = np.argsort(short, kind="stable").astype(np.int64, copy=False)
    return (
        place.astype(np.int32),
        order,
        np.concatenate([[0], np.cumsum(np.bincount(place, minlength=count))]).astype(np.int64),
    )


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


def check_samples(
    axes: Sequence[Axis], x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[list[Array], Array, Array]:
    """Return coordinates (K,) per axis, values (K, C) and weights (K,) of mean one, or raise."""
    samples = Samples.checked(axes, x, y, weights)
    return samples.x, samples.y, samples.weights
