"""Differences between bases of one axis through the same nodal values: with larger patches, and with smaller ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from inntd.axes import Axis, CHiDeNNBasis, LinearBasis
from inntd.axes._cache import BoundedCache
from inntd.axes.basis import LARGEST_S
from inntd.axes.quadrature import gauss
from inntd.axes.remesh import on_nodes
from inntd.models.sweep import triangular

Array = npt.NDArray[np.float64]
Sparse: TypeAlias = "scipy.sparse.csr_array"

#: Numbers held at once.
NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class _Stencil:
    """What takes nodal values to differences between bases, at Gauss points of some elements.

    Attributes
    ----------
    elements
        Slice of the elements, E of them with q points each.
    up, down
        Sparse matrices (E q, axis.size) to the differences to patches of one hop more and of one less, or to the next
        smaller ones that there are, times the roots of the points' weights.
    same
        (E,) Where patches cannot grow, between breaks that are close.
    stuck, lower
        There, `down` once more, and the differences to patches that are smaller still; None without such places.
    """

    elements: slice
    up: Sparse
    down: Sparse
    same: npt.NDArray[np.bool_]
    stuck: Sparse | None = None
    lower: Sparse | None = None

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return int(sum(12 * matrix.nnz + 4 * matrix.shape[0] for matrix in (self.up, self.down)))


_cache: BoundedCache[_Stencil] = BoundedCache(32 * 2**20, size=lambda stencil: stencil.nbytes)


def _stencils(axis: Axis) -> Iterable[_Stencil]:
    """Return the stencils of all elements: kept for short axes, made anew for long ones."""
    step = max(1, NUMBERS_AT_ONCE // (axis.table.width * (axis.table.degree + 2)))
    if axis.elements <= step:
        return [_cache.get(axis.key, lambda: next(_made(axis, step)))]
    return _made(axis, step)


def _made(axis: Axis, step: int) -> Iterator[_Stencil]:
    larger = _other(axis, 1)
    xi, weights = gauss(min(axis.table.degree + 2, 20))
    half = 0.5 * np.diff(axis.nodes)
    for begin in range(0, axis.elements, step):
        chosen = slice(begin, min(begin + step, axis.elements))
        middle = axis.nodes[:-1][chosen] + half[chosen]
        x = middle[:, None] + half[chosen, None] * xi
        roots = np.sqrt(half[chosen, None] * weights)
        own = _sampling(axis, x, roots)
        up = 0.0 * own if larger is None else _sampling(larger, x, roots) - own
        same = ~_changed(up, len(middle))
        down, lower = _lowered(axis, x, roots, own, same)
        if not same.any():
            yield _Stencil(chosen, up, down, same)
            continue
        yield _Stencil(chosen, up, down, same, _where(same, down), lower)


def _lowered(axis: Axis, x: Array, roots: Array, own: Sparse, twice: npt.NDArray[np.bool_]) -> tuple[Sparse, Sparse]:
    """Return the differences to the next smaller patches, and to those after them for some elements.

    Between breaks that are close patches are small already: there the basis only changes some hops further down, at the
    latest with constants on the elements.
    """
    found, steps = [0.0 * own, 0.0 * own], np.zeros(len(x), dtype=int)
    for hops in itertools.count(-1, -1):
        other = _other(axis, hops)
        places = x if other else np.repeat(x.mean(axis=1, keepdims=True), x.shape[1], axis=1)
        change = _sampling(other or axis, places, roots) - own
        differs = _changed(change - found[0], len(x)) & _changed(change, len(x))
        for k in range(2):
            chosen = differs & (steps == k)
            if chosen.any():
                found[k] = (found[k] + _where(chosen, change)).tocsr()
        steps += differs & (steps < 2)
        if other is None or np.all(steps >= 1 + twice):
            break
    return found[0], found[1] if twice.any() else found[0]


def _changed(difference: Sparse, elements: int) -> npt.NDArray[np.bool_]:
    """Tell on which elements two bases differ."""
    sizes = np.asarray(abs(difference).sum(axis=1)).reshape(elements, -1).sum(axis=1)
    return np.asarray(sizes > 0.0)


def _where(elements: npt.NDArray[np.bool_], matrix: Sparse) -> Sparse:
    """Return a matrix with the rows of other elements set to zero."""
    rows = matrix.shape[0] // len(elements)
    return (scipy.sparse.diags_array(np.repeat(elements.astype(float), rows)) @ matrix).tocsr()


def _sampling(axis: Axis, x: Array, roots: Array) -> Sparse:
    """Return the matrix from nodal values to values at points (E, q), times `roots`."""
    index, values = axis.tabulate(x.reshape(-1))
    pointer = np.arange(0, values.size + 1, values.shape[1])
    entries = (values * roots.reshape(-1, 1)).reshape(-1)
    return scipy.sparse.csr_array((entries, index.reshape(-1), pointer), shape=(x.size, axis.size))


@dataclass(frozen=True)
class Differences:
    """Columns of an axis minus the same nodal values in bases of one hop more and of one less.

    Attributes
    ----------
    axis, factor
        The columns.
    """

    axis: Axis
    factor: Array

    def blocks(self) -> list[Array | None]:
        """Return the differences `up`, `down`, `stuck` and `lower` of `_Stencil` in orthonormal coordinates."""
        found: list[Array | None] = [None] * 4
        for stencil in _stencils(self.axis):
            for k, matrix in enumerate((stencil.up, stencil.down, stencil.stuck, stencil.lower)):
                if matrix is not None:
                    rows, before = matrix @ self.factor, found[k]
                    found[k] = triangular(rows if before is None else np.concatenate((before, rows)))
        return found

    def squares(self) -> list[Array | None]:
        """Return the inner products (M, M) of the columns of `blocks`, which hold half of their digits."""
        found: list[Array | None] = [None] * 4
        for stencil in _stencils(self.axis):
            for k, matrix in enumerate((stencil.up, stencil.down, stencil.stuck, stencil.lower)):
                if matrix is not None:
                    rows, before = matrix @ self.factor, found[k]
                    found[k] = rows.T @ rows if before is None else before + rows.T @ rows
        return found

    def elements(self, inner: Array, fallen: float) -> tuple[Array, Array]:
        """Return the size of the difference on each element, and its decay; `fallen`: that where patches are stuck."""
        up, down = np.zeros(self.axis.elements), np.zeros(self.axis.elements)
        stuck = np.zeros(self.axis.elements, dtype=bool)
        for stencil in _stencils(self.axis):
            stuck[stencil.elements] = stencil.same
            for target, matrix in ((up, stencil.up), (down, stencil.down)):
                rows = matrix @ self.factor
                squares = np.einsum("km,km->k", rows @ inner, rows)
                target[stencil.elements] = squares.reshape(len(stencil.same), -1).sum(axis=1)
        up, down = np.sqrt(np.maximum(up, 0.0)), np.sqrt(np.maximum(down, 0.0))
        up = np.where(stuck, fallen * down, up)
        decays = np.divide(up, down, out=np.zeros_like(up), where=down > 0)
        return np.minimum(up, down), np.minimum(decays, 1e3)


def _other(axis: Axis, hops: int) -> Axis | None:
    """Return an axis of the same nodes with patches of some hops more or less; None where there is no such basis."""
    s = np.atleast_1d(axis.basis.s) if isinstance(axis.basis, CHiDeNNBasis) else np.zeros(1, dtype=int)
    changed = s + hops
    if changed.max() < 0 or changed.max() > LARGEST_S:
        return None
    if changed.max() == 0:
        return on_nodes(axis, axis.nodes, LinearBasis())
    sizes = np.maximum(changed, 1)
    basis = CHiDeNNBasis(s=int(sizes[0]) if sizes.size == 1 else sizes.tolist())
    try:
        return on_nodes(axis, axis.nodes, basis)
    except ValueError:  # patches do not fit
        return None
