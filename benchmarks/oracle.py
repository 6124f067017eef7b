"""Independent answers for the experiments: 1-D bases and matrices in plain NumPy, and systems solved exactly in time.

Nothing of inntd's code is used but the description of an axis (nodes, patch size, breaks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

Array = np.ndarray[Any, np.dtype[np.float64]]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Mesh:
    """Nodes (n+1,) of one axis, the patch size `s` (0: linear elements) and nodes that no patch crosses."""

    nodes: Array
    s: int
    breaks: tuple[float, ...] = ()

    @classmethod
    def of(cls, axis: Any, linear: bool = False) -> Mesh:
        """Return the mesh of an inntd axis with the default basis, or with linear elements on the same nodes."""
        return cls(np.asarray(axis.nodes), 0 if linear else int(axis.basis.s), tuple(axis.breaks))

    def points(self, count: int) -> tuple[Array, Array]:
        """Return Gauss points (K,) and weights, `count` per element."""
        xi, w = np.polynomial.legendre.leggauss(count)
        half = np.diff(self.nodes)[:, None] / 2
        middle = (self.nodes[1:] + self.nodes[:-1])[:, None] / 2
        return (middle + half * xi).ravel(), (half * w).ravel()

    def tabulate(self, x: Array) -> tuple[Array, Array]:
        """Return values and derivatives (K, n+1) of all basis functions at points x (K,)."""
        nodes, last = self.nodes, len(self.nodes) - 1
        values, slopes = np.zeros((len(x), last + 1)), np.zeros((len(x), last + 1))
        element = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, last - 1)
        edges = [0, *(int(np.argmin(np.abs(nodes - b))) for b in self.breaks), last]
        for e in np.unique(element):
            here = np.flatnonzero(element == e)
            low = max(i for i in edges if i <= e)
            high = min(i for i in edges if i > e)
            h = nodes[e + 1] - nodes[e]
            for node, sign in ((e, -1.0), (e + 1, 1.0)):
                hat = (nodes[e + 1] - x[here]) / h if sign < 0 else (x[here] - nodes[e]) / h
                first = min(max(node - self.s, low), high - 2 * self.s) if self.s else node
                patch = np.arange(first, first + 2 * self.s + 1)
                w, dw = _lagrange(nodes[patch], x[here])
                values[np.ix_(here, patch)] += hat[:, None] * w
                slopes[np.ix_(here, patch)] += hat[:, None] * dw + sign / h * w
        return values, slopes

    def matrix(self, trial: int = 0, test: int = 0, weight: Function | None = None, count: int | None = None) -> Array:
        """Return the integrals (n+1, n+1) of weight * test function * trial function; 0 values, 1 derivatives."""
        x, w = self.points(count or 2 * self.s + 2)
        table = self.tabulate(x)
        factor = w if weight is None else w * weight(x)
        return (table[test] * factor[:, None]).T @ table[trial]

    def load(self, function: Function, count: int = 24) -> Array:
        """Return the integrals (n+1,) of function * basis functions."""
        x, w = self.points(count)
        return self.tabulate(x)[0].T @ (w * function(x))


def _lagrange(nodes: Array, x: Array) -> tuple[Array, Array]:
    """Return the Lagrange polynomials of some nodes and their derivatives at x, both (K, nodes)."""
    count = len(nodes)
    values, slopes = np.empty((len(x), count)), np.zeros((len(x), count))
    for k in range(count):
        others = np.delete(nodes, k)
        scale = 1.0 / np.prod(nodes[k] - others)
        factors = x[:, None] - others
        values[:, k] = scale * np.prod(factors, axis=1)
        for j in range(count - 1):
            slopes[:, k] += scale * np.prod(np.delete(factors, j, axis=1), axis=1)
    return values, slopes


@dataclass(frozen=True)
class Spectrum:
    """Eigenpairs of one axis: K V = M V diag(values), V' M V = 1, on the nodes that are not fixed to zero.

    Attributes
    ----------
    values
        (m,) eigenvalues.
    vectors
        (m, m) eigenvectors at the inner nodes.
    mass
        (n+1, n+1) mass matrix on all nodes.
    """

    values: Array
    vectors: Array
    mass: Array

    @classmethod
    def of(cls, mesh: Mesh, weight: Function | None = None) -> Spectrum:
        """Return the eigenpairs with zero values at both ends."""
        mass, stiffness = mesh.matrix(), mesh.matrix(1, 1, weight, 2 * mesh.s + 2 if weight is None else 24)
        values, vectors = eigh(stiffness[1:-1, 1:-1], mass[1:-1, 1:-1])
        return cls(values, vectors, mass)

    def coefficients(self, nodal: Array) -> Array:
        """Return the coefficients (m, ...) of functions given by nodal values (n+1, ...) that vanish at the ends."""
        return self.vectors.T @ (self.mass[1:-1, 1:-1] @ nodal[1:-1])

    def project(self, load: Array) -> Array:
        """Return the coefficients (m,) of a load vector (n+1,)."""
        return self.vectors.T @ load[1:-1]


def trapezoid(nodes: Array) -> Array:
    """Return the weights of the trapezoidal rule on some nodes."""
    steps = np.diff(nodes)
    return np.concatenate([[0], steps]) / 2 + np.concatenate([steps, [0]]) / 2


def outer(vectors: Sequence[Array]) -> Array:
    """Return the outer product of some vectors."""
    product = vectors[0]
    for vector in vectors[1:]:
        product = product[..., None] * vector
    return product
