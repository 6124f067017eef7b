"""Orthonormal coordinates of an axis' functions: constant, linear, then from smooth to rough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigh, solve_triangular

from inntd.axes import Axis
from inntd.axes.assembly import matrix

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coordinates:
    r"""Functions :math:`\phi_j` of one axis with :math:`\frac{1}{L}\int \phi_i \phi_j = \delta_{ij}`.

    The first is one, the second linear, the others are eigenfunctions of the curvature :math:`\int u''^2` (of the slope
    for bases of hats; on discrete axes all differences are alike).

    Attributes
    ----------
    axis : Axis
    nodal : array (axis.size, q)
        Nodal values of the functions.
    roughness : array (q,)
        Zero of the constant, otherwise curvature relative to the smoothest curved function, at least one.
    smooth : int
        Number of functions without curvature: 2, or 1 on discrete axes.
    """

    axis: Axis
    nodal: Array
    roughness: Array
    smooth: int

    @classmethod
    def of(cls, axis: Axis) -> Coordinates:
        """Return the coordinates of an axis.

        Examples
        --------
        >>> import inntd as it
        >>> found = Coordinates.of(it.Axis("x", 0, 1, elements=4, s=1))
        >>> found.nodal[:, 0].tolist(), found.roughness[:3].tolist()
        ([1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0])
        """
        mass = matrix(axis).toarray() / (axis.size if axis.discrete else axis.domain[1] - axis.domain[0])
        lower = cholesky(mass, lower=True)
        smooth = [np.ones(axis.size)]
        if not axis.discrete and not axis.periodic:
            smooth.append(axis.nodes[: axis.size])
        first = np.linalg.qr(lower.T @ np.stack(smooth, 1))[0]
        first *= np.sign((lower.T @ np.stack(smooth, 1) * first).sum(0))
        rest = np.linalg.svd(first.T)[2][first.shape[1] :].T
        if not rest.shape[1]:
            return cls(axis, _nodal(lower, first), np.r_[0.0, np.ones(first.shape[1] - 1)], first.shape[1])
        energy = solve_triangular(lower, solve_triangular(lower, _energy(axis), lower=True).T, lower=True)
        values, vectors = eigh(rest.T @ energy @ rest)
        roughness = np.maximum(values / max(values[0], 1e-300), 1.0) if values[0] > 0 else np.ones(len(values))
        nodal = _nodal(lower, np.column_stack([first, rest @ vectors]))
        nodal[:, 0] = 1.0
        return cls(axis, nodal, np.r_[0.0, np.ones(first.shape[1] - 1), roughness], first.shape[1])

    @property
    def size(self) -> int:
        """Number of functions q."""
        return int(self.nodal.shape[1])

    def tabulate(self, x: Array) -> Array:
        """Return the functions' values (K, q) at points (K,)."""
        index, values = self.axis.tabulate(x)
        out: Array = np.einsum("kw,kwq->kq", values, self.nodal[index])
        return out


def _nodal(lower: Array, orthonormal: Array) -> Array:
    nodal: Array = solve_triangular(lower, orthonormal, lower=True, trans="T")
    return nodal


def _energy(axis: Axis) -> Array:
    if axis.discrete:
        identity: Array = np.eye(axis.size)
        return identity
    order = 1 if axis.table.degree < 2 else 2
    found: Array = matrix(axis, order, order).toarray()
    return found
